"""What is refined, and how."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tomolith.blocks import parse_bytes
from tomolith.config import Settings

Range = tuple[int, int]


class RegionSettings(Settings):
    """The part of the scan that is analysed; outside of it voxels become *unlabelled*.

    Examples
    --------
    The cut of Huang et al. 2023, 2280 of 3896 slices:

    >>> RegionSettings(z=(808, 3088)).z
    (808, 3088)
    """

    z: Range | None = Field(None, description="First slice, and first slice beyond; all if none.")
    y: Range | None = Field(None, description="Likewise along y.")
    x: Range | None = Field(None, description="Likewise along x.")

    @model_validator(mode="after")
    def _is_a_box(self) -> RegionSettings:
        for axis in "zyx":
            found = getattr(self, axis)
            if found is not None and not 0 <= found[0] < found[1]:
                raise ValueError(
                    f"'{axis}' is {list(found)}; give the first index, and the first one beyond it"
                )
        if self.z is None and self.y is None and self.x is None:
            raise ValueError("a range of z, y or x, such as 'z: [808, 3088]'")
        return self


class TimeSettings(Settings):
    """Time consistency: the likeliest history of each voxel through the series."""

    charging: tuple[str, ...] | None = Field(
        None,
        description="Scans taken while the cell charges, up to and with half cycle. Simulated "
        "scans know it themselves.",
    )
    evidence: Literal["auto", "labels", "probabilities"] = Field(
        "auto",
        description="What speaks for a class: the labels, or the stored probabilities; `auto` "
        "takes these where every scan has them.",
    )
    confidence_frac: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="How likely a label is taken to be right, where no probabilities are used.",
    )
    natural_cost: float = Field(
        1.0, ge=0, description="Cost of a change that the physics expects, in nats."
    )
    against_cost: float = Field(
        6.0, ge=0, description="Cost of a change against the physics, in nats."
    )
    follow: bool = Field(
        True, description="Follow the plating side by whole voxels as the gap swells."
    )

    @model_validator(mode="after")
    def _costs_rise(self) -> TimeSettings:
        if self.against_cost < self.natural_cost:
            raise ValueError("'against_cost' is below 'natural_cost'")
        return self


class AllowedSettings(Settings):
    """Allowed regions, from the detected surfaces of the electrodes."""

    margin_um: float = Field(
        10.0, ge=0, description="How far beyond a surface a class may still reach, in µm."
    )
    reference: str | None = Field(
        None,
        description="Scan that shows the stripping electrode before it was stripped; the first of "
        "the series if left out.",
    )


class SplitSettings(Settings):
    """Li deposits split into deposited and redeposited, electrodes by their side."""

    by: Literal["nearest", "half_depth"] = Field(
        "nearest",
        description="The nearest electrode in three dimensions, or half of the depth as in Huang "
        "et al. 2023.",
    )


class MinSizeSettings(Settings):
    """Pieces (26 neighbours) of fewer voxels become what mostly surrounds them."""

    voxels: int = Field(27, ge=2, description="Voxels of the smallest piece that stays.")
    classes: dict[str, int] | None = Field(
        None, description="Such a number by class; where given, other classes stay as they are."
    )

    @field_validator("classes")
    @classmethod
    def _at_least_two(cls, value: dict[str, int] | None) -> dict[str, int] | None:
        if value is not None and (not value or min(value.values()) < 2):
            raise ValueError("classes with a number of voxels of at least 2")
        return value


class FillHolesSettings(Settings):
    """Holes that a class encloses (6 neighbours), up to a size, become that class."""

    voxels: int = Field(27, ge=1, description="Voxels of the largest hole that is filled.")
    classes: tuple[str, ...] = Field(
        ("electrode", "dendrite", "lithium"),
        min_length=1,
        description="Classes whose holes are filled.",
    )


class RefineSettings(Settings):
    """What is refined, in this order: region, time, split, allowed, min_size, fill_holes.

    The last four are done where nothing is said, as far as the classes and the voxel size allow;
    ``false`` leaves one out, and one that is asked for is refused where it cannot be done.

    Examples
    --------
    >>> settings = RefineSettings.model_validate({"time": None, "split": False})
    >>> settings.time.natural_cost, settings.wanted("split"), settings.wanted("allowed")
    (1.0, None, AllowedSettings(margin_um=10.0, reference=None))
    """

    region: RegionSettings | None = Field(
        None, description="The part that is analysed: the keys `z`, `y` and `x`."
    )
    time: TimeSettings | bool = Field(False, description="Time consistency of a series.")
    split: SplitSettings | bool | None = Field(None, description="Split by side.")
    allowed: AllowedSettings | bool | None = Field(None, description="Allowed regions.")
    min_size: MinSizeSettings | bool | None = Field(None, description="Smallest pieces.")
    fill_holes: FillHolesSettings | bool | None = Field(None, description="Largest holes.")
    plan_axis: Literal["z", "y", "x"] = Field(
        "y", description="Axis that runs across the cell, from one electrode to the other."
    )
    plating_side: Literal["low", "high"] = Field(
        "high", description="Whether Li is plated at small or at large indices of that axis."
    )
    memory: str = Field("4GiB", description="Budget for the whole process; labels do not change.")
    executor: Literal["serial", "threads"] = Field(
        "threads", description="`threads` works on several blocks at a time."
    )
    workers: int = Field(
        2, ge=1, le=64, description="Blocks at a time, as many of them as the memory allows."
    )
    block_zyx: tuple[int, int, int] | None = Field(
        None, description="Voxels per block, whole shards; as large as the memory allows if none."
    )

    @model_validator(mode="before")
    @classmethod
    def _time_alone_is_all_defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and "time" in values and values["time"] is None:
            return {**values, "time": {}}
        return values

    @field_validator("memory")
    @classmethod
    def _memory_is_a_size(cls, value: str) -> str:
        parse_bytes(value)
        return value

    @property
    def memory_bytes(self) -> int:
        """The budget in bytes."""
        return parse_bytes(self.memory)

    def wanted(self, operation: str) -> Any:
        """Return the settings of an operation; ``None`` where it was switched off."""
        given = getattr(self, operation)
        if given is False or (given is None and operation == "region"):
            return None
        return _KINDS[operation]() if given is None or given is True else given

    def is_asked_for(self, operation: str) -> bool:
        """Tell whether an operation was named, so that leaving it out would be wrong."""
        return getattr(self, operation) not in (None, False)


_KINDS: dict[str, type[Settings]] = {
    "time": TimeSettings,
    "split": SplitSettings,
    "allowed": AllowedSettings,
    "min_size": MinSizeSettings,
    "fill_holes": FillHolesSettings,
}
OPERATIONS = ("region", "time", "split", "allowed", "min_size", "fill_holes")
"""Names of the operations, in the order in which they are done."""
