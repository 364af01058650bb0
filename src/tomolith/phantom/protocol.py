"""When which current flows: galvanostatic intermittent titration of a symmetric cell."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Protocol:
    """Charge pulses, then as many discharge pulses, with a rest before, between and after.

    Scans are taken in the rests. State ``s`` is the cell after ``s`` pulses, so state 0 is the
    fresh cell, state ``n_pulses`` the charged one and state ``2 n_pulses`` the discharged one.
    Times count from the start of the first rest.

    Parameters
    ----------
    n_pulses
        Pulses each way; 0 is a cell that only rests.
    pulse_s, rest_s
        Duration of every pulse and of every rest.
    current_density_ma_cm2
        Size of the current in both directions.
    area_cm2
        Area of each electrode.

    Raises
    ------
    ValueError
        A number of pulses below 0, or anything else that is not positive and finite.

    Notes
    -----
    The defaults are those of Huang et al. 2023: 12 pulses of 10 min at 1.5 mA/cm² with rests of
    20 min, 3 mAh/cm² each way.

    Examples
    --------
    >>> protocol = Protocol()
    >>> protocol.charge_per_pulse_mah, protocol.charge_per_pulse_mah_cm2, protocol.n_states
    (0.125, 0.25, 25)
    >>> protocol.pulse_s_range(1), protocol.scan_time_s(1)
    ((1200.0, 1800.0), 2400.0)
    >>> protocol.passed_mah_cm2(14)
    (3.0, 0.5)
    """

    n_pulses: int = 12
    pulse_s: float = 600.0
    rest_s: float = 1200.0
    current_density_ma_cm2: float = 1.5
    area_cm2: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.n_pulses, int) or self.n_pulses < 0:
            raise ValueError(f"'n_pulses' is {self.n_pulses!r}; give a whole number, at least 0")
        for name in ("pulse_s", "rest_s", "current_density_ma_cm2", "area_cm2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name!r} is {value}; give a positive, finite number")

    @property
    def current_ma(self) -> float:
        """Size of the current through the cell."""
        return self.current_density_ma_cm2 * self.area_cm2

    @property
    def charge_per_pulse_mah(self) -> float:
        """Charge that one pulse passes."""
        return self.current_ma * self.pulse_s / 3600.0

    @property
    def charge_per_pulse_mah_cm2(self) -> float:
        """Charge that one pulse passes per area of an electrode."""
        return self.current_density_ma_cm2 * self.pulse_s / 3600.0

    @property
    def n_states(self) -> int:
        """Number of states that can be scanned: the fresh cell, and one after every pulse."""
        return 2 * self.n_pulses + 1

    @property
    def end_s(self) -> float:
        """End of the last rest."""
        return self._rest_start_s(2 * self.n_pulses) + self.rest_s

    def pulse_s_range(self, pulse: int) -> tuple[float, float]:
        """Return start and stop of a pulse, counted from 1.

        Raises
        ------
        ValueError
            There is no such pulse.

        Examples
        --------
        >>> Protocol().pulse_s_range(0)
        Traceback (most recent call last):
        ...
        ValueError: pulse 0 does not exist; pulses are 1 to 24
        """
        if not 1 <= pulse <= 2 * self.n_pulses:
            raise ValueError(
                f"pulse {pulse} does not exist; "
                + (f"pulses are 1 to {2 * self.n_pulses}" if self.n_pulses else "there are none")
            )
        return self._rest_start_s(pulse - 1) + self.rest_s, self._rest_start_s(pulse)

    def rest_s_range(self, state: int) -> tuple[float, float]:
        """Return start and stop of the rest in which a state is scanned.

        Raises
        ------
        ValueError
            There is no such state.
        """
        self._check_state(state)
        start_s = self._rest_start_s(state)
        return start_s, start_s + self.rest_s

    def scan_time_s(self, state: int) -> float:
        """Return when a state is scanned: the middle of the rest after ``state`` pulses.

        Raises
        ------
        ValueError
            There is no such state.
        """
        return sum(self.rest_s_range(state)) / 2

    def passed_mah_cm2(self, state: int) -> tuple[float, float]:
        """Return the charge passed in charging, and that returned in discharging.

        Raises
        ------
        ValueError
            There is no such state.
        """
        self._check_state(state)
        n_returned = max(state - self.n_pulses, 0)
        charged = min(state, self.n_pulses) * self.charge_per_pulse_mah_cm2
        return charged, n_returned * self.charge_per_pulse_mah_cm2

    def _rest_start_s(self, state: int) -> float:
        return state * (self.rest_s + self.pulse_s)

    def _check_state(self, state: int) -> None:
        if not 0 <= state < self.n_states:
            raise ValueError(
                f"state {state} does not exist; states are 0 to {self.n_states - 1} "
                f"({self.n_pulses} pulses each way)"
            )
