"""What a recipe says of the cycler."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NaiveDatetime, model_validator

from tomolith.config import Settings
from tomolith.store.cyclers import CyclerUnits


class UnitSettings(Settings):
    """Units that go before those of the file's headings.

    Examples
    --------
    >>> UnitSettings(current="mA").units().of("current")
    'mA'
    """

    time: str | None = Field(None, description="Such as `s`, `min` or `h`.")
    current: str | None = Field(None, description="Such as `A` or `mA`.")
    voltage: str | None = Field(None, description="Such as `V` or `mV`.")
    charge: str | None = Field(None, description="Such as `mAh`, `Ah` or `C`.")

    @model_validator(mode="after")
    def _known(self) -> UnitSettings:
        self.units()
        return self

    def units(self) -> CyclerUnits:
        """Return them as the readers take them; ``ValueError`` for an unknown unit."""
        return CyclerUnits(self.time, self.current, self.voltage, self.charge)


class CyclerSettings(Settings):
    """The cycler's file, and how its rests belong to the scans.

    Examples
    --------
    >>> CyclerSettings(path="cell.mpt", electrode_area_cm2=0.5).match
    'auto'
    """

    path: str = Field(description="The cycler's file, of any vendor that is read.")
    electrode_area_cm2: float = Field(gt=0, description="Area of the whole electrode.")
    units: UnitSettings = Field(
        UnitSettings(), description="Units that go before those of the file's headings."
    )
    rest_below_ma: float | None = Field(
        None, ge=0, description="Currents up to this are a rest; 2 % of the largest if left out."
    )
    match: Literal["auto", "time", "order"] = Field(
        "auto", description="How scans find their rests; `auto`: by time where times are known."
    )
    scan_stamps: dict[str, NaiveDatetime] | None = Field(
        None, description="When each scan began: local date and time, without time zone."
    )
    scan_times_min: dict[str, float] | None = Field(
        None, description="Or minutes, counted from the start of the cycler's test."
    )
    scan_min: float = Field(0.0, ge=0, description="How many minutes a scan takes.")
    clock_offset_s: float | None = Field(
        None, description="How far the cycler's clock is ahead of the scanner's, where known."
    )
    after_pulse: dict[str, int] | None = Field(
        None, description="After how many pulses each scan was taken; nothing is matched then."
    )

    @model_validator(mode="after")
    def _go_together(self) -> CyclerSettings:
        given = [n for n in ("scan_stamps", "scan_times_min", "after_pulse") if getattr(self, n)]
        if len(given) > 1:
            raise ValueError(f"'{given[0]}' and '{given[1]}' say the same: give one of them")
        if self.match == "order" and given:
            raise ValueError(f"'match: order' has no use for '{given[0]}'")
        if self.match == "time" and self.after_pulse:
            raise ValueError("'match: time' has no use for 'after_pulse'")
        return self
