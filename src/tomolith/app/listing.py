"""``tomolith list``: what can be named in a recipe."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator

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
KINDS = (*_REGISTRIES, "steps")


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
    if kind not in _REGISTRIES:
        raise InputError(
            f"there is no list of '{kind}'",
            expected=f"one of {', '.join(KINDS)}",
            mend=did_you_mean(kind, KINDS),
        )
    registry: Registry = Registry("registry", _REGISTRIES, group="tomolith.none").load(kind)
    if kind == "quantities":
        return itertools.chain(_components(registry), _of_series())
    return _components(registry)


def _components(registry: Registry) -> Iterator[str]:
    for name in registry.names():
        yield f"{name:<22} {registry.summary(name)}"
        for said in ("formula", "source", "no_interval"):
            if text := getattr(registry.load(name), said, ""):
                yield f"    {said.replace('_', ' ') + ':':<18} {text}"
        if not inspect.isclass(registry.load(name)) and not callable(registry.load(name)):
            continue
        for option, parameter in registry.options(name).items():
            default = "required" if parameter.default is parameter.empty else parameter.default
            yield f"    {option:<18} {default}"


def _of_series() -> Iterator[str]:
    """Yield the numbers that nobody names: of maps, of a series, and of the cycler's file."""
    from tomolith.measure.series_quantities import SERIES_QUANTITIES

    yield ""
    yield "Of plan maps, of a series and of a cycler file, there without being named:"
    for one in SERIES_QUANTITIES:
        yield f"{one.name:<22} {one.summary}"
        yield f"    {'formula:':<18} {one.formula}"
        yield f"    {'source:':<18} {one.source}"
        yield f"    {'no interval:':<18} {one.no_interval}"
