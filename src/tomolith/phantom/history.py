"""What happens to the lithium of a cell through its cycle, before any geometry."""

from __future__ import annotations

from dataclasses import dataclass

from tomolith.core import charge_to_thickness_um
from tomolith.phantom.settings import PhantomSettings


@dataclass(frozen=True, slots=True)
class State:
    """The cell after some pulses; amounts of Li as µm of metal over the plane.

    Parameters
    ----------
    pulse
        Pulses done, of charge and of discharge.
    charged_um, returned_um
        What the charge passed so far comes to, in charge and in discharge.
    progress
        Share of the charge that was passed, and of it the share that came back: 0 to 1.
    stripped_um
        Li that left the stripping electrode.
    visible_um
        Li that the plating side holds more than its first electrode did, as far as a scan can
        show it: efficiency and hidden share taken off.
    redeposited_um
        Li that came back to the stripping side, as far as a scan can show it.
    """

    pulse: int
    charged_um: float
    returned_um: float
    progress: tuple[float, float]
    stripped_um: float
    visible_um: float
    redeposited_um: float

    @property
    def phase(self) -> str:
        """``pristine``, ``charge`` or ``discharge``."""
        if self.pulse == 0:
            return "pristine"
        return "discharge" if self.returned_um > 0 else "charge"

    @classmethod
    def after(cls, settings: PhantomSettings, pulse: int) -> State:
        """Return the state of the cell after ``pulse`` pulses.

        Source: the protocol of Huang et al. 2023 and Faraday's law; all charge is taken from the
        stripping electrode, and ``coulombic_efficiency`` × (1 - ``hidden_frac``) of it shows up.

        Examples
        --------
        >>> half = State.after(PhantomSettings(coulombic_efficiency=1.0, hidden_frac=0.0), 12)
        >>> half.phase, round(half.visible_um, 2)
        ('charge', 14.55)
        """
        charged, returned = (
            charge_to_thickness_um(mah_cm2) for mah_cm2 in settings.protocol.passed_mah_cm2(pulse)
        )
        shown = settings.coulombic_efficiency * (1 - settings.hidden_frac)
        n = settings.n_pulses
        return cls(
            pulse,
            charged,
            returned,
            (min(pulse, n) / n, max(pulse - n, 0) / n),
            stripped_um=charged,
            visible_um=shown * (charged - returned),
            redeposited_um=shown * returned,
        )
