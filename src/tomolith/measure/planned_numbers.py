"""Which numbers the step ``measure`` will give, known from its settings and the classes alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from tomolith.core import ClassSchema
from tomolith.errors import RecipeError
from tomolith.measure.colocalisation import (
    BY_CHANCE,
    GROWTH_PART,
    PLACES,
    PLATED,
    REGROWN,
)
from tomolith.measure.electrochemistry.closure import CELL, CELL_STRIPPING
from tomolith.measure.left_li import ALL_PLATED, LI_LEFT
from tomolith.measure.pits_left import PIT, PITS_LEFT
from tomolith.measure.quantify import MeasureSettings
from tomolith.measure.quantities import QUANTITIES
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.sides import ALL_LI
from tomolith.measure.rows import QuantityRow
from tomolith.measure.series_quantities import SERIES_QUANTITIES
from tomolith.measure.verdict_rules import Rule, full_name, parse_rule, select, slug

_SIDES = (STRIPPING, PLATING)
_OF_CYCLER = (
    *("pulse", "current_on_time", "charge_passed", "expected_li_volume"),
    *("inventory_closure", "capacity_ratio", "plating_current_density", "li_moved_per_pulse"),
)
_OF_EACH_SCAN = ("pearson", "pearson_p", "pearson_n")
# what nobody can foresee in a name: later cycles, and the scan that first sites are of
_UNFORESEEN = (
    (r"_(charge|discharge)_\d+(?=\.)", r"_\1"),
    (r"_since_.+(?=\.)", "_since_first_scan"),
)


@dataclass(frozen=True, slots=True)
class PlannedNumber:
    """A number of the table to come.

    Parameters
    ----------
    row
        Its row, without scan and value.
    why_not
        What settings or classes keep it from being measured; empty where nothing does.
    """

    row: QuantityRow
    why_not: str = ""


def planned_numbers(
    settings: MeasureSettings, schema: ClassSchema, *, cycler: bool = False, series: bool = True
) -> list[PlannedNumber]:
    """Return every number that there is, and why some will not be measured; nothing is read.

    Parameters
    ----------
    settings
        The quantities.
    schema
        The classes of the label maps.
    cycler
        Whether there is a cycler's file.
    series
        Whether scans may be a series.

    Raises
    ------
    RecipeError
        An option of a quantity is unknown or refused.
    InputError
        ``settings.correlate`` names what is no map of such labels.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> found = planned_numbers(MeasureSettings(quantities=["volume"]), PRESETS["li-binary"])
    >>> [one.row.class_name for one in found if not one.why_not]
    ['background', 'lithium']
    >>> [one.why_not for one in found if one.row.quantity == "share"][0]
    "'measure.quantities' does not name 'share'"
    """
    found = list(_of_scans(settings, schema))
    why_not = {one.row.quantity: one.why_not for one in found}
    units = {one.name: one.unit for one in SERIES_QUANTITIES}
    for name, needs, parts in _of_series(schema, found, settings.correlated(schema)):
        reason = why_not.get(needs, "")
        if name in _OF_CYCLER and not cycler:
            reason = "it needs the cycler's file, and there is no 'measure.cycler'"
        elif name not in _OF_EACH_SCAN and not series:
            reason = "it needs a series, and 'measure.series' is []"
        unit = units[name] if cycler else units[name].replace("/pulse", "/scan")
        found += [PlannedNumber(_row(part, name, unit), reason) for part in parts]
    return found


def check_rules(rules: Sequence[str], numbers: Sequence[PlannedNumber], *, where: str = "") -> None:
    """Refuse rules about numbers that will not be measured, before hours are spent.

    Parameters
    ----------
    rules
        Of the verdict.
    numbers
        Of :func:`planned_numbers`.
    where
        Where the rules come from, for messages.

    Raises
    ------
    RecipeError
        A name is unknown, has another unit, or is of a number that will not be measured.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> numbers = planned_numbers(MeasureSettings(), PRESETS["li-operando"])
    >>> check_rules(["dendrite.penetration_frac < 0.5"], numbers)
    """
    measured = [one.row for one in numbers if not one.why_not]
    for rule in map(parse_rule, rules):
        try:
            select(rule, measured, where=where)
        except RecipeError:
            if _is_foreseen(rule, measured):
                continue
            if not (why_not := _ruled_out(rule, numbers)):
                raise
            raise RecipeError(
                f"the rule '{rule.text}' names '{rule.name}', which will not be measured: "
                f"{why_not}",
                where=where,
                mend="change 'measure', or take the rule out",
            ) from None


def _is_foreseen(rule: Rule, measured: Sequence[QuantityRow]) -> bool:
    name = rule.name
    for unforeseen, instead in _UNFORESEEN:
        name = re.sub(unforeseen, instead, name, flags=re.IGNORECASE)
    try:
        return bool(select(replace(rule, name=name), measured))
    except RecipeError:
        return False


def _ruled_out(rule: Rule, numbers: Sequence[PlannedNumber]) -> str:
    """Return why the quantity of a rule is not measured of any part; else nothing."""
    measured = {one.row.quantity for one in numbers if not one.why_not}
    wanted = {slug(rule.name), slug(rule.name.rpartition(".")[2])}
    for one in numbers:
        if one.row.quantity not in measured and wanted & {
            slug(one.row.quantity),
            full_name(one.row),
        }:
            return one.why_not
    return ""


def _of_scans(settings: MeasureSettings, schema: ClassSchema) -> Iterator[PlannedNumber]:
    chosen = {component.name: component for component in settings.chosen()}
    frame = Frame.half_depth((2, 2, 2))  # any that parts the sides
    for name in QUANTITIES.names():
        kind = QUANTITIES.load(name)
        lacking = [c for c in kind.needs if c not in schema.names]
        if lacking:
            why_not = f"'{name}' needs the class '{lacking[0]}'"
        else:
            why_not = "" if name in chosen else f"'measure.quantities' does not name '{name}'"
        parts = ("",) if why_not else QUANTITIES.build(chosen[name], schema, frame).parts
        for part in parts:
            yield PlannedNumber(_row(part, name, kind.unit), why_not)


def _of_series(
    schema: ClassSchema, of_scans: Sequence[PlannedNumber], correlated: Sequence[str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the quantity, the quantity of single scans that it needs, if any, and its parts."""
    all_li = tuple(f"{ALL_LI}, {side}" for side in _SIDES)
    thick = [p.row.class_name for p in of_scans if p.row.quantity == "effective_thickness"]
    background = {c.name for c in schema.classes if c.role == "background"}
    stretched = tuple(
        f"{part}{half}"
        for part in thick
        if part not in background
        for half in ("", ", charge", ", discharge")
    )
    yield "swelling", "gap", ("gap",)
    yield "swelling", "cell_thickness", ("cell",)
    yield "li_change", "li_volume", (*all_li, ALL_LI)
    for name in ("travelling_li", "li_moved", "li_moved_per_pulse"):
        yield name, "li_volume", _SIDES
    yield LI_LEFT, "li_volume", (*PLATED, ALL_PLATED)
    yield PITS_LEFT, "volume", (PIT,) if PIT in schema.names else ()
    for name in ("thickness_rate", "thickness_growth"):
        yield name, "effective_thickness", stretched
    yield from _of_maps(correlated)
    for name in ("pulse", "current_on_time", "charge_passed", "expected_li_volume"):
        yield name, "", (CELL,)
    for name in ("inventory_closure", "capacity_ratio"):
        yield name, "li_volume", (CELL, CELL_STRIPPING)
    yield "plating_current_density", "", (CELL,)


def _of_maps(known: Sequence[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    pairs = tuple(f"{a} ~ {b}" for a, b in combinations(known, 2))
    growth = {*PLATED, *REGROWN} <= {*known}
    for name in _OF_EACH_SCAN:
        yield name, "", (*pairs, *((GROWTH_PART,) if growth else ()))
    yield "growth_share", "", (*PLACES, BY_CHANCE) if growth else ()
    sites = tuple(f"{name} since first scan" for name in known if name in (*PLATED, *REGROWN))
    for one in SERIES_QUANTITIES:
        if one.name.startswith("persistence_"):
            yield one.name, "", sites


def _row(part: str, quantity: str, unit: str) -> QuantityRow:
    return QuantityRow("", "", part, quantity, None, unit, None, None, "", "")
