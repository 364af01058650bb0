"""The step ``measure``: labels become numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator

from tomolith.config import Component, Settings, did_you_mean, settings_hash
from tomolith.core import Box, ClassSchema, Grid, LabelMap, Measurement, Provenance
from tomolith.errors import InputError
from tomolith.measure.intervals.settings import UncertaintySettings
from tomolith.measure.plan_maps import PlanCounter, PlanMaps
from tomolith.measure.quantities import QUANTITIES, Frame, Quantity, Region, find_frame
from tomolith.measure.quantities.base import ClassValue, QuantityMap
from tomolith.measure.quantities.counting import class_counts

ALL = "all"
_BLOCK_ZYX = (32, 1024, 1024)


class MeasureSettings(Settings):
    """Which numbers are drawn from the labels.

    Examples
    --------
    >>> MeasureSettings(quantities=["share"]).chosen()[0].name
    'share'
    """

    quantities: tuple[Component, ...] | None = Field(
        None,
        description="Names of quantities; all that the voxel size and the classes allow where "
        "none are given. `all` among them stands for all others.",
    )
    plan_axis: Literal["z", "y", "x"] = Field(
        "y", description="Axis that runs across the cell, from one electrode to the other."
    )
    plating_side: Literal["low", "high"] = Field(
        "high", description="Whether Li is plated at small or at large indices of that axis."
    )
    sides: Literal["plane", "half_depth"] = Field(
        "plane",
        description="What parts the two sides: a plane fitted between the electrodes, or half of "
        "the depth, as in Huang et al. 2023.",
    )
    uncertainty: UncertaintySettings = Field(
        UncertaintySettings(), description="Where the 95 % intervals come from."
    )

    @field_validator("quantities")
    @classmethod
    def _known(cls, quantities: tuple[Component, ...] | None) -> tuple[Component, ...] | None:
        for quantity in quantities or ():
            if quantity.name not in (ALL, *QUANTITIES.names()):
                hint = did_you_mean(quantity.name, (ALL, *QUANTITIES.names()))
                raise ValueError(f"unknown quantity '{quantity.name}'; {hint}")
        return quantities

    @property
    def named(self) -> tuple[Component, ...]:
        """The quantities asked for by name."""
        return tuple(c for c in self.quantities or () if c.name != ALL)

    def chosen(self) -> tuple[Component, ...]:
        """Return the quantities asked for, and all others where ``all`` or none are."""
        if self.quantities is not None and len(self.named) == len(self.quantities):
            return self.quantities
        names = {c.name for c in self.named}
        others = (Component(name=name) for name in QUANTITIES.names() if name not in names)
        return (*self.named, *others)

    def allowed(self, schema: ClassSchema) -> tuple[Component, ...]:
        """Return the quantities asked for, or all for which the schema has the classes.

        Raises
        ------
        InputError
            A quantity was asked for by name that needs a class which the schema lacks.
        """
        lacking = {c.name: _lacking(c.name, schema) for c in self.chosen()}
        for name in [c.name for c in self.named]:
            if classes := lacking[name]:
                raise InputError(
                    f"the quantity '{name}' cannot be given: the label map has no class "
                    + " and no class ".join(f"'{c}'" for c in classes),
                    expected=f"a label map with {', '.join(QUANTITIES.load(name).needs)}",
                    mend=f"take '{name}' out of 'quantities', or measure another label map",
                )
        return tuple(c for c in self.chosen() if not lacking[c.name])

    def frame(self, labelmap: LabelMap) -> Frame:
        """Return how the cell lies in a label map."""
        return find_frame(
            labelmap,
            axis="zyx".index(self.plan_axis),
            plating_high=self.plating_side == "high",
            plane=self.sides == "plane",
        )


def _lacking(name: str, schema: ClassSchema) -> tuple[str, ...]:
    needs = QUANTITIES.load(name).needs
    return tuple(c for c in needs if c not in schema.names)


@dataclass(frozen=True, slots=True, eq=False)
class ScanNumbers:
    """What one pass over a label map gives.

    Parameters
    ----------
    measurements
        The numbers.
    plan
        Class counts per column; ``None`` where they were not asked for, and of 2-D sections.
    maps
        What the quantities give as maps; empty where ``plan`` is ``None``.
    """

    measurements: tuple[Measurement, ...]
    plan: PlanMaps | None = None
    maps: tuple[QuantityMap, ...] = ()


def measure(
    labelmap: LabelMap,
    settings: MeasureSettings,
    *,
    region: str = "",
    block_zyx: tuple[int, int, int] = _BLOCK_ZYX,
) -> list[Measurement]:
    """Draw numbers from a label map, out of core; the block size changes no digit.

    Parameters
    ----------
    labelmap
        The labels.
    settings
        The quantities. Where none are named, those that need a voxel size which is unknown are
        kept as measurements without a value, so that the result itself says what is missing.
    region
        What the label map is of, usually the scan's name.
    block_zyx
        Voxels read at a time.

    Returns
    -------
    list of Measurement
        One per quantity and class or part, with ``region`` = ``"<region>/<class>"``.

    Raises
    ------
    InputError
        A quantity was asked for by name that needs the voxel size, and it is unknown, or that
        needs a class which the schema lacks.
    MismatchError
        A label value stands in no class of the schema.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Volume
    >>> grid = Grid((2, 2, 2), (1.0, 1.0, 1.0))
    >>> labels = LabelMap(Volume(np.ones(grid.shape_zyx, np.uint8), grid), PRESETS["li-binary"])
    >>> found = measure(labels, MeasureSettings(quantities=["volume"]), region="scan-0")
    >>> [(m.region, m.value, m.unit) for m in found]
    [('scan-0/background', 0.0, 'um3'), ('scan-0/lithium', 8.0, 'um3')]
    """
    found = measure_scan(labelmap, settings, region=region, block_zyx=block_zyx, plan=False)
    return list(found.measurements)


def measure_scan(
    labelmap: LabelMap,
    settings: MeasureSettings,
    *,
    region: str = "",
    block_zyx: tuple[int, int, int] = _BLOCK_ZYX,
    plan: bool = True,
) -> ScanNumbers:
    """Draw numbers and plan maps from a label map in one pass: each voxel is read once.

    Apart from that, a few cuts are read first, to find the plane between the electrodes.

    Parameters
    ----------
    labelmap, settings, region, block_zyx
        As in :func:`measure`.
    plan
        Whether to make maps.

    Raises
    ------
    InputError, MismatchError
        As in :func:`measure`.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Volume
    >>> grid = Grid((2, 3, 2), (1.0, 1.0, 1.0))
    >>> labels = LabelMap(Volume(np.ones(grid.shape_zyx, np.uint8), grid), PRESETS["li-binary"])
    >>> found = measure_scan(labels, MeasureSettings(quantities=["volume"]), region="scan-0")
    >>> len(found.measurements), found.plan.thickness_um("lithium").max()
    (2, np.float64(3.0))
    """
    grid = labelmap.grid
    components, frame = settings.allowed(labelmap.schema), settings.frame(labelmap)
    quantities: list[Quantity] = [QUANTITIES.build(c, labelmap.schema, frame) for c in components]
    for component, quantity in zip(components, quantities, strict=True):
        if component in settings.named:
            _refuse_unphysical(component.name, quantity, grid)
    counter = PlanCounter(labelmap.schema, frame) if plan and not grid.sections else None
    for core in grid.box.tiles(block_zyx):
        _update(quantities, counter, labelmap, core)
    shared: dict[Any, Any] = {}
    for quantity in quantities:
        quantity.share(shared)
    provenance = Provenance.now(
        "measure", inputs=(region,) if region else (), settings_hash=settings_hash(settings)
    )
    measurements = tuple(
        Measurement(
            component.name,
            found.value,
            quantity.unit,
            f"{region}/{found.class_name}",
            None,
            provenance,
            found.method,
        )
        for component, quantity in zip(components, quantities, strict=True)
        for found in _finish(quantity, grid)
    )
    if counter is None:
        return ScanNumbers(measurements)
    known = quantities if _why_unphysical(grid) is None else []
    maps = tuple(found for quantity in known for found in quantity.maps(grid))
    return ScanNumbers(measurements, counter.finish(grid), maps)


def _update(
    quantities: list[Quantity], counter: PlanCounter | None, labelmap: LabelMap, core: Box
) -> None:
    """Read the core once, with the largest halo that any quantity asks for."""
    z, y, x = (max((q.halo_zyx[axis] for q in quantities), default=0) for axis in range(3))
    if labelmap.grid.sections:
        z = 0  # the next section is no neighbour in space
    read = core.expand((z, y, x)).clip(labelmap.grid.shape_zyx)
    region = Region(labelmap.read(read), read, core)
    class_counts(region, labelmap.schema)  # refuses values of no class, whatever is asked for
    for quantity in quantities:
        quantity.update(region)
    if counter is not None:
        counter.update(region)


def _finish(quantity: Quantity, grid: Grid) -> tuple[ClassValue, ...]:
    if quantity.is_physical and _why_unphysical(grid) is not None:
        return tuple(ClassValue(part, None) for part in quantity.parts)
    return quantity.finish(grid)


def _why_unphysical(grid: Grid) -> str | None:
    if grid.sections:
        return "the scan holds independent 2-D images, which have no volume"
    return None if grid.is_physical else "the voxel size is unknown"


def _refuse_unphysical(name: str, quantity: Quantity, grid: Grid) -> None:
    why = _why_unphysical(grid)
    if quantity.is_physical and why is not None:
        raise InputError(
            f"the quantity '{name}' cannot be given: {why}",
            expected=f"a volume with a known voxel size, to give {quantity.unit}",
            mend="give 'voxel_size_um' for this scan in the recipe, or take "
            f"'{name}' out of 'quantities'",
        )
