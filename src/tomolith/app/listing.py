"""``tomolith list``: what can be named in a recipe."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence

from tomolith.config import Registry, did_you_mean
from tomolith.errors import InputError

_REGISTRIES = {
    "networks": "tomolith.learn.networks:NETWORKS",
    "losses": "tomolith.learn.losses:LOSSES",
    "metrics": "tomolith.measure.metrics:METRICS",
    "quantities": "tomolith.measure.quantities:QUANTITIES",
    "readers": "tomolith.store.readers:READERS",
    "cyclers": "tomolith.store.cyclers:CYCLERS",
    "exporters": "tomolith.store.exporters:EXPORTERS",
}
_MOST_PARTS = 8
_UNIT_WITHOUT = ", without a cycler's file "
KINDS = (*_REGISTRIES, "steps", "recipes")


def listing(kind: str) -> Iterator[str]:
    """Yield one line per component of ``kind``, and one per option; of quantities their formula.

    Raises
    ------
    InputError
        There is no such kind.

    Examples
    --------
    >>> [line.split()[0] for line in listing("steps")][:2]
    ['phantom', 'reconstruct']
    """
    if kind == "steps":
        from tomolith.app.steps import STEPS

        return (f"{step.name:<22} {step.summary}" for step in STEPS.values())
    if kind == "recipes":
        from tomolith.app.new import named_recipes

        return (f"{name:<22} {summary}" for name, summary in named_recipes().items())
    if kind not in _REGISTRIES:
        raise InputError(
            f"there is no list of '{kind}'",
            expected=f"one of {', '.join(KINDS)}",
            mend=did_you_mean(kind, KINDS),
        )
    registry: Registry = Registry("registry", _REGISTRIES, group="tomolith.none").load(kind)
    if kind == "quantities":
        known = _units_and_parts()
        return itertools.chain(_components(registry, known), _of_series(known))
    return _components(registry, {})


def _components(registry: Registry, beside: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name in registry.names():
        yield f"{name:<22} {registry.summary(name)}"
        yield from beside.get(name, ())
        for said in ("formula", "source", "no_interval"):
            if text := getattr(registry.load(name), said, ""):
                yield f"    {said.replace('_', ' ') + ':':<18} {text}"
        if not inspect.isclass(registry.load(name)) and not callable(registry.load(name)):
            continue
        for option, parameter in registry.options(name).items():
            default = "required" if parameter.default is parameter.empty else parameter.default
            yield f"    {option:<18} {default}"


def _units_and_parts() -> dict[str, tuple[str, ...]]:
    """Return for each number a line with its unit and one with its parts, of an operando cell."""
    from tomolith.core import PRESETS
    from tomolith.measure.planned_numbers import planned_numbers
    from tomolith.measure.quantify import MeasureSettings

    units: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    for cycler in (True, False):
        for one in planned_numbers(MeasureSettings(), PRESETS["li-operando"], cycler=cycler):
            name, unit = one.row.quantity, one.row.unit
            if not one.why_not:
                units.setdefault(name, []).append(unit)
                parts.setdefault(name, []).append(one.row.class_name)
    return {
        name: (
            f"    {'unit:':<18} {_UNIT_WITHOUT.join(dict.fromkeys(units[name]))}",
            f"    {'parts:':<18} {_shortened(tuple(dict.fromkeys(parts[name])))}",
        )
        for name in units
    }


def _shortened(parts: Sequence[str]) -> str:
    text = "; ".join(parts[:_MOST_PARTS])
    return text if len(parts) <= _MOST_PARTS else f"{text}; … ({len(parts)} of li-operando)"


def _of_series(beside: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the numbers that nobody names: of maps, of a series, and of the cycler's file."""
    from tomolith.measure.series_quantities import SERIES_QUANTITIES

    yield ""
    yield "Of plan maps, of a series and of a cycler file, there without being named:"
    for one in SERIES_QUANTITIES:
        yield f"{one.name:<22} {one.summary}"
        yield from beside.get(one.name, ())
        yield f"    {'formula:':<18} {one.formula}"
        yield f"    {'source:':<18} {one.source}"
        yield f"    {'no interval:':<18} {one.no_interval}"
