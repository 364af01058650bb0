"""Every number of the scans of one cell and of their series, as ``tomolith measure`` gives them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomolith.core import LabelMap, Measurement, Provenance
from tomolith.measure.electrochemistry import CyclerSettings, cycle_cell
from tomolith.measure.kept_plans import KeptPlans
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.measure.quantities import QUANTITIES
from tomolith.measure.series_numbers import series_numbers
from tomolith.phantom import PhantomSettings

Key = tuple[str, str, str]
Numbers = dict[Key, float | None]


@dataclass(frozen=True)
class MeasuredCell:
    """Numbers by scan (``series`` where they are of no single one), quantity and part."""

    of_scans: Numbers
    of_series: Numbers

    @property
    def numbers(self) -> Numbers:
        """All of them."""
        return {**self.of_scans, **self.of_series}


def measure_cell(
    labels: Mapping[str, LabelMap],
    settings: PhantomSettings,
    cycler: Path,
    *,
    quantities: Sequence[str] | None = None,
) -> MeasuredCell:
    """Measure label maps, one of each of ``settings.scans``, with what the cycler recorded."""
    names = [n for n in quantities or QUANTITIES.names() if n != "li_volume"]
    porosities = {
        "name": "li_volume",
        "deposited_porosity_frac": settings.deposit_porosity_frac,
        "redeposited_porosity_frac": settings.redeposit_porosity_frac,
    }
    chosen = MeasureSettings(quantities=[porosities, *names])
    cell = cycle_cell(
        CyclerSettings(path=str(cycler), electrode_area_cm2=settings.area_cm2),
        list(labels),
        known_times_s={
            scan: settings.protocol.scan_time_s(pulse)
            for scan, pulse in zip(labels, settings.scans, strict=True)
        },
    )
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        plans = KeptPlans(Path(folder))
        for scan, labelmap in labels.items():
            numbers = measure_scan(labelmap, chosen, region=scan)
            found += numbers.measurements
            if numbers.plan is not None:
                plans.keep(scan, numbers.plan)
        series = series_numbers(
            found, list(labels), plans.analysed(), cell=cell, provenance=Provenance("measure")
        )
    return MeasuredCell(_by_key(found), _by_key(series.measurements))


def _by_key(measurements: Sequence[Measurement]) -> Numbers:
    found: Numbers = {}
    for m in measurements:
        scan, _, part = m.region.partition("/")
        assert (scan, m.name, part) not in found, f"two rows {m.name} of {m.region}"
        found[scan, m.name, part] = m.value
    return found
