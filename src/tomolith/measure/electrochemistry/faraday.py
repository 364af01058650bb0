"""Charge to lithium on the analysed area, and what of it the scans show.

Source: Faraday's law with the rounded constants of the field (:mod:`tomolith.core.lithium`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tomolith.core import (
    Grid,
    Interval,
    charge_to_amount_umol,
    charge_to_mass_ug,
    charge_to_thickness_um,
    charge_to_volume_um3,
    volume_to_charge_mah,
)
from tomolith.errors import InputError
from tomolith.measure.electrochemistry.pulses import Pulse
from tomolith.measure.intervals.propagate import difference, quotient, scaled

CYCLER_FRAC = 0.01
"""The cycler's own error at most, as a share of the charge that flowed, either way."""

CYCLER_WORDS = f"{100 * CYCLER_FRAC:g} % of the charge that flowed, either way"
_UM2_PER_CM2 = 1e8


@dataclass(frozen=True, slots=True)
class ExpectedLithium:
    """What a charge moves, by Faraday's law.

    Parameters
    ----------
    charge_mah, amount_umol, mass_ug, volume_um3
        Of the whole cell.
    thickness_um
        Of dense metal, spread evenly.
    analysed_frac
        Analysed area over that of the electrode.
    analysed_charge_mah, analysed_volume_um3
        What falls on the analysed area if the charge is spread evenly.
    """

    charge_mah: float
    amount_umol: float
    mass_ug: float
    volume_um3: float
    thickness_um: float
    analysed_frac: float
    analysed_charge_mah: float
    analysed_volume_um3: float


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """Volume of travelled lithium that a scan shows.

    Parameters
    ----------
    after_pulse
        The state of the cell.
    volume_um3
        On the analysed area.
    interval
        Its 95 % interval; ``None`` where it is not known.
    """

    after_pulse: int
    volume_um3: float
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class CapacityRatio:
    """Lithium seen against charge passed, between two scans.

    Parameters
    ----------
    from_pulse, to_pulse
        States of the two scans.
    ct_mah
        The change of the seen volume, as charge.
    cycler_mah
        The charge passed, scaled to the analysed area, with sign.
    ratio
        ``ct_mah / cycler_mah``; ``1 - ratio`` is the missing share.
    interval
        95 % interval; ``None`` where a volume has none.
    """

    from_pulse: int
    to_pulse: int
    ct_mah: float
    cycler_mah: float
    ratio: float
    interval: Interval | None = None

    @property
    def missing_frac(self) -> float:
        """Share of the charge that the scans do not show."""
        return 1.0 - self.ratio


def plan_area_cm2(grid: Grid, *, axis: Literal["z", "y", "x"] = "y") -> float:
    """Return the area of a grid seen along ``axis``, which runs from electrode to electrode.

    Raises
    ------
    InputError
        The voxel size is not known.

    Examples
    --------
    The paper's region of 1707 × 2280 voxels of 1.33 µm (with the rounded voxel size):

    >>> f"{plan_area_cm2(Grid((2280, 698, 1707), (1.33, 1.33, 1.33))):.4f}"
    '0.0688'
    """
    size = grid.voxel_size_um
    if size is None:
        raise InputError(
            "the voxel size is not known, so there is no area to scale the charge to",
            mend="give 'voxel_size_um' when importing the scan",
        )
    sides = [n * s for name, n, s in zip("zyx", grid.shape_zyx, size, strict=True) if name != axis]
    return math.prod(sides) / _UM2_PER_CM2


def expected_lithium(
    charge_mah: float, *, electrode_area_cm2: float, analysed_area_cm2: float | None = None
) -> ExpectedLithium:
    """Return the lithium that a charge moves, in the cell and on the analysed area.

    Parameters
    ----------
    charge_mah
        With sign.
    electrode_area_cm2
        Of the whole cell.
    analysed_area_cm2
        Of what was analysed (:func:`plan_area_cm2`); the whole electrode where not given.

    Raises
    ------
    InputError
        An area that is not positive, or an analysed area larger than the electrode.

    Examples
    --------
    A pulse of 10 min at 1.5 mA/cm² on 0.5 cm²: 0.125 mAh = 0.45 C.

    >>> li = expected_lithium(0.125, electrode_area_cm2=0.5)
    >>> round(li.amount_umol, 3), round(li.mass_ug, 2), f"{li.volume_um3:.3g}"
    (4.664, 32.38, '6.06e+07')
    >>> round(li.thickness_um, 3)
    1.213
    >>> round(expected_lithium(3.0, electrode_area_cm2=1.0).thickness_um, 2)
    14.55

    On the paper's region of 0.0689 cm²:

    >>> roi = expected_lithium(0.125, electrode_area_cm2=0.5, analysed_area_cm2=0.0689)
    >>> round(roi.analysed_frac, 4), f"{roi.analysed_volume_um3:.3g}"
    (0.1378, '8.36e+06')
    """
    analysed = electrode_area_cm2 if analysed_area_cm2 is None else analysed_area_cm2
    if not 0 < analysed <= electrode_area_cm2 * (1 + 1e-9):
        raise InputError(
            f"the analysed area is {analysed:g} cm², the electrode's {electrode_area_cm2:g} cm²",
            expected="positive areas, the analysed one not larger than the electrode",
            mend="correct the area of the electrode (cm²), or the voxel size (µm)",
        )
    share = analysed / electrode_area_cm2
    volume_um3 = charge_to_volume_um3(charge_mah)
    return ExpectedLithium(
        charge_mah=charge_mah,
        amount_umol=charge_to_amount_umol(charge_mah),
        mass_ug=charge_to_mass_ug(charge_mah),
        volume_um3=volume_um3,
        thickness_um=charge_to_thickness_um(charge_mah / electrode_area_cm2),
        analysed_frac=share,
        analysed_charge_mah=charge_mah * share,
        analysed_volume_um3=volume_um3 * share,
    )


def capacity_ratios(
    pulses: Sequence[Pulse], seen: Sequence[SeenVolume], *, analysed_frac: float
) -> tuple[CapacityRatio, ...]:
    """Return CT capacity over cycler capacity, from each scan to the next.

    Notes
    -----
    Errors that both scans share (a bias of the boundary) cancel in the difference as far as they
    are alike; the others are independent, and their half widths add in quadrature. So does the
    cycler's error, :data:`CYCLER_FRAC` of the charge that flowed; where no charge on balance is
    within it, there is no interval.

    Raises
    ------
    InputError
        Scans not in the order of their states, or no charge between two of them.

    Examples
    --------
    >>> pulse = Pulse(1, 1, 0, 0.0, 600.0, (0, 2), 0.75, 0.125)
    >>> boundary = "half-voxel boundary shift"
    >>> seen = [SeenVolume(0, 0.0, Interval(-1e6, 1e6, boundary)),
    ...         SeenVolume(1, 1.5e7, Interval(1.4e7, 1.6e7, boundary))]
    >>> ratio = capacity_ratios([pulse], seen, analysed_frac=1.0)[0]
    >>> round(ratio.ratio, 3), round(ratio.missing_frac, 3)
    (0.247, 0.753)
    >>> round(ratio.interval.low, 3), round(ratio.interval.high, 3), ratio.interval.method
    (0.224, 0.271, 'half-voxel boundary shift; 1 % of the charge that flowed, either way')
    """
    found = []
    for first, second in itertools.pairwise(seen):
        between = [p for p in pulses if first.after_pulse < p.number <= second.after_pulse]
        cycler_mah = analysed_frac * sum(p.charge_mah for p in between)
        doubt_mah = CYCLER_FRAC * analysed_frac * sum(abs(p.charge_mah) for p in between)
        if cycler_mah == 0:
            raise InputError(
                f"no net charge passed between the states {first.after_pulse} and "
                f"{second.after_pulse}",
                expected="scans in the order of time, one per rest",
                mend="leave out one of the two scans",
            )
        change = change_interval(first, second)
        charge = Interval(cycler_mah - doubt_mah, cycler_mah + doubt_mah, CYCLER_WORDS)
        ct_mah = volume_to_charge_mah(second.volume_um3 - first.volume_um3)
        found.append(
            CapacityRatio(
                first.after_pulse,
                second.after_pulse,
                ct_mah,
                cycler_mah,
                ct_mah / cycler_mah,
                change and quotient(scaled(change, volume_to_charge_mah(1.0)), charge),
            )
        )
    return tuple(found)


def change_interval(first: SeenVolume, second: SeenVolume) -> Interval | None:
    """Return the interval of ``second - first``; what both share cancels."""
    a, b = first.interval, second.interval
    return None if a is None or b is None else difference(b, a)


def local_current_density_ma_cm2(
    current_ma: float, *, electrode_area_cm2: float, covered_frac: float
) -> float:
    """Return the current density where lithium is plated, on the area really covered.

    Parameters
    ----------
    covered_frac
        Share of the plan area that deposits cover, above 0 and at most 1.

    Raises
    ------
    InputError
        A share or an area out of range.

    Examples
    --------
    >>> local_current_density_ma_cm2(0.75, electrode_area_cm2=0.5, covered_frac=0.25)
    6.0
    """
    if not (electrode_area_cm2 > 0 and 0 < covered_frac <= 1):
        raise InputError(
            f"an electrode of {electrode_area_cm2:g} cm², of which {covered_frac:g} is covered",
            expected="a positive area, and a share above 0 and at most 1",
            mend="where nothing is covered there is no current density",
        )
    return current_ma / (electrode_area_cm2 * covered_frac)
