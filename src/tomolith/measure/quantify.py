"""The step ``measure``: labels become numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field, field_validator

from tomolith.config import Component, Settings, did_you_mean, settings_hash
from tomolith.core import ClassSchema, Grid, LabelMap, Measurement, Provenance
from tomolith.errors import InputError
from tomolith.measure.colocalisation import CLASSES
from tomolith.measure.intervals.settings import UncertaintySettings
from tomolith.measure.one_pass import Tally, choose_block, tally
from tomolith.measure.plan_maps import PlanCounter, PlanMaps
from tomolith.measure.quantities import QUANTITIES, Frame, Quantity, find_frame
from tomolith.measure.quantities.base import ClassValue, QuantityMap
from tomolith.measure.quantities.one_electrode import with_one_electrode

ALL = "all"
_HOW = {"workers"}  # of the settings, what changes no number


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
    correlate: tuple[str, ...] = Field(
        (),
        description="Further plan maps that are compared with each other and with those of "
        "dendrite, deposited, pit and redeposited (`pearson`): of a class, such as `electrode`, or "
        "of a quantity, such as `void_depth`.",
    )
    uncertainty: UncertaintySettings = Field(
        UncertaintySettings(), description="Where the 95 % intervals come from."
    )
    workers: int = Field(
        2, ge=1, le=64, description="Blocks that are counted at the same time; no number changes."
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
            A quantity was asked for by name that needs a class which the schema lacks, or
            ``correlate`` names what is no map of such labels.
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
        self.correlated(schema)
        return tuple(c for c in self.chosen() if not lacking[c.name])

    def correlated(self, schema: ClassSchema) -> tuple[str, ...]:
        """Return the classes and the maps of quantities that are compared with each other.

        Raises
        ------
        InputError
            ``correlate`` names what is neither, or the map of a quantity that is not measured.

        Examples
        --------
        >>> from tomolith.core import PRESETS
        >>> MeasureSettings(correlate=["electrode"]).correlated(PRESETS["li-operando"])
        ('dendrite', 'deposited', 'pit', 'redeposited', 'electrode')
        """
        owners = {m: q for q in QUANTITIES.names() for m in QUANTITIES.load(q).map_names}
        chosen = {c.name for c in self.chosen() if not _lacking(c.name, schema)}
        for name in self.correlate:
            if name in schema.names or owners.get(name) in chosen:
                continue
            known = (*schema.names, *(m for m, q in owners.items() if q in chosen))
            what = "there is no class and no plan map"
            mend = did_you_mean(name, known)
            if name in owners:
                what = f"the quantity '{owners[name]}' is not measured, so there is no plan map"
                mend = f"add '{owners[name]}' to 'measure.quantities', or take '{name}' out"
            raise InputError(
                f"{what} '{name}', which 'measure.correlate' names",
                expected=f"some of {', '.join(known)}",
                mend=mend,
            )
        classes = (name for name in CLASSES if name in schema.names)
        return tuple(dict.fromkeys((*classes, *self.correlate)))

    def identity(self) -> str:
        """Return a hash of what the numbers depend on.

        Examples
        --------
        >>> MeasureSettings(workers=1).identity() == MeasureSettings(workers=4).identity()
        True
        """
        return settings_hash(self.model_dump(mode="json", exclude=_HOW))

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
        Class counts per column, with the maps that are to be correlated; ``None`` where they were
        not asked for, and of 2-D sections.
    maps
        What the quantities give as maps; empty where ``plan`` is ``None``.
    also
        Numbers that the settings do not ask for.
    """

    measurements: tuple[Measurement, ...]
    plan: PlanMaps | None = None
    maps: tuple[QuantityMap, ...] = ()
    also: tuple[Measurement, ...] = ()


def measure(
    labelmap: LabelMap,
    settings: MeasureSettings,
    *,
    region: str = "",
    block_zyx: tuple[int, int, int] | None = None,
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
        Voxels read at a time; whole columns across the cell, as far as they fit, if left out.

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
    block_zyx: tuple[int, int, int] | None = None,
    plan: bool = True,
    also: Sequence[str] = (),
) -> ScanNumbers:
    """Draw numbers and plan maps from a label map in one pass: each voxel is read once.

    An electrode of each side is measured as one ``electrode``, see
    :mod:`~tomolith.measure.quantities.one_electrode`. A few cuts are read first, to find the plane
    between the electrodes. Blocks are counted by ``settings.workers`` threads; no digit depends on
    how many.

    Parameters
    ----------
    labelmap, settings, region, block_zyx
        As in :func:`measure`.
    plan
        Whether to make maps.
    also
        Names of quantities that are counted in the same pass, whatever the settings ask for; of
        such as need no class.

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
    grid, labelmap = labelmap.grid, with_one_electrode(labelmap)
    components, frame = settings.allowed(labelmap.schema), settings.frame(labelmap)
    unasked = [Component(name=n) for n in also if n not in {c.name for c in components}]

    def fresh() -> Tally:
        built = (QUANTITIES.build(c, labelmap.schema, frame) for c in (*components, *unasked))
        counter = PlanCounter(labelmap.schema, frame) if plan and not grid.sections else None
        return Tally(tuple(built), counter)

    for component, quantity in zip(components, fresh().quantities, strict=False):
        if component in settings.named:
            _refuse_unphysical(component.name, quantity, grid)
    cores = grid.box.tiles(block_zyx or choose_block(grid, frame.axis))
    found = tally(labelmap, fresh, cores, workers=settings.workers)
    found.share()
    provenance = Provenance.now(
        "measure", inputs=(region,) if region else (), settings_hash=settings.identity()
    )
    numbers = [
        Measurement(
            name, v.value, q.unit, f"{region}/{v.class_name}", v.interval, provenance, v.method
        )
        for name, q in zip((c.name for c in (*components, *unasked)), found.quantities, strict=True)
        for v in _finish(q, grid)
    ]
    asked = {c.name for c in components}
    measurements = tuple(m for m in numbers if m.name in asked)
    others = tuple(m for m in numbers if m.name not in asked)
    if found.counter is None:
        return ScanNumbers(measurements, also=others)
    known = found.quantities[: len(components)] if _why_unphysical(grid) is None else ()
    maps = tuple(drawn for quantity in known for drawn in quantity.maps(grid))
    correlated = tuple(drawn for drawn in maps if drawn.name in settings.correlate)
    counted = replace(found.counter.finish(grid), others=correlated)
    return ScanNumbers(measurements, counted, maps, others)


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
