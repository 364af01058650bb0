"""Each number has a 95 % interval, or its quantity says why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tomolith.app.listing import listing
from tomolith.core import PRESETS, Grid, Measurement, Provenance
from tomolith.measure.intervals.attach import attach_intervals
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.measure.quantities import QUANTITIES
from tomolith.measure.series_numbers import series_numbers
from tomolith.measure.series_quantities import SERIES_QUANTITIES
from tomolith.measure.tables import measurement_rows
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-operando"]
GRID = Grid((16, 40, 24), (2.0, 1.0, 2.0))
MADE = Provenance("test")
BY_RULE = (
    *("swelling", "li_change", "travelling_li", "li_moved", "li_left", "pits_left"),
    *("thickness_rate", "thickness_growth", "pearson", "growth_share"),
    *("persistence_jaccard", "persistence_dice", "persistence_share"),
    "persistence_share_by_chance",
)
PAGE = Path(__file__).parents[2] / "docs/explanation/error-bars.md"


def cell(grown: int) -> np.ndarray:
    """Return a cell with each kind of Li, the dendrites ``grown`` voxels high."""
    found = np.zeros(GRID.shape_zyx, np.uint8)
    rng = np.random.default_rng(grown)
    low, high = rng.integers(8, 11, (16, 24)), rng.integers(29, 32, (16, 24))
    y = np.arange(40)[None, :, None]
    found[((y >= 3) & (y < low[:, None])) | ((y >= high[:, None]) & (y < 37))] = 1
    found[2:8, 4:10, 2:12] = 3
    found[2:8, 8:12, 2:8] = 5
    found[10:14, 9:12, 14:20] = 5
    found[3:6, 28 - grown : 30, 4:8] = 2
    found[9:13, 27 - grown : 30, 15:18] = 2
    found[9:13, 16:20, 2:6] = 2  # it lost its foot
    found[3:6, 14:17, 4:8] = 2  # and here its middle
    found[6:12, 28:30, 9:14] = 4
    return found


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> list[Measurement]:
    """Return all numbers of three scans and of their series; the last three need no cycler."""
    settings, found, plans = MeasureSettings(workers=1), [], {}
    for name, grown in zip("abc", (4, 9, 7), strict=True):
        folder = tmp_path_factory.mktemp("intervals")
        scan = Scan.create(folder / f"{name}.zarr", GRID, np.uint8, provenance=MADE)
        labels = scan.create_labels("prediction", SCHEMA, provenance=MADE)
        labels.array[:] = cell(grown)
        labels.finish()
        one = measure_scan(scan.labels("prediction"), settings, region=name)
        found += attach_intervals(one.measurements, scan, "prediction", settings, also=one.also)
        assert one.plan is not None
        plans[name] = one.plan
    series = series_numbers(found, ["a", "b", "c"], plans, provenance=MADE)
    return [*found, *series.measurements]


def of(numbers: Sequence[Measurement], name: str) -> list[Measurement]:
    return [m for m in numbers if m.name == name and m.value is not None]


@pytest.mark.parametrize("name", QUANTITIES.names())
def test_a_number_has_an_interval_or_its_quantity_says_why_not(
    name: str, numbers: list[Measurement]
) -> None:
    found, why = of(numbers, name), QUANTITIES.load(name).no_interval
    assert any(m.value for m in found)
    for m in found:
        if why:
            assert m.interval is None
        elif m.value:
            assert m.interval is not None, m.region
            assert m.interval.method
            assert m.interval.low <= m.value <= m.interval.high
            assert m.interval.half_width > 0


@pytest.mark.parametrize("one", SERIES_QUANTITIES, ids=lambda one: one.name)
def test_numbers_of_a_series_have_an_interval_or_say_why_not(
    one: object, numbers: list[Measurement]
) -> None:
    assert one.no_interval
    found = [m for m in of(numbers, one.name) if m.value]
    if one.name in BY_RULE:
        assert found
        assert all(m.interval is not None and m.interval.method for m in found)
    else:
        assert all(m.interval is None for m in found)


def test_the_table_tells_of_every_number(numbers: list[Measurement]) -> None:
    rows = measurement_rows(numbers, labels="prediction")
    for row in rows:
        if row.value is None:
            assert row.method.startswith("not given: ")
            continue
        word, other = ("95 %:", "no interval:")[:: 1 if row.low is not None else -1]
        assert other not in row.method
        assert len(row.method.partition(f"; {word}")[2]) > 10, (row.quantity, row.class_name)


def test_the_list_says_why_there_is_none() -> None:
    lines = list(listing("quantities"))
    told = {lines[i].split()[0] for i in range(len(lines)) if _why_below(lines, i)}
    silent = {n for n in QUANTITIES.names() if not QUANTITIES.load(n).no_interval}
    assert told == {*QUANTITIES.names(), *(one.name for one in SERIES_QUANTITIES)} - silent
    assert {"volume", "roughness", "tilt", "penetration_frac"} <= silent


def _why_below(lines: Sequence[str], i: int) -> bool:
    """Tell whether a quantity's own lines hold a reason."""
    if not lines[i] or lines[i].startswith(" "):
        return False
    below = []
    for line in lines[i + 1 :]:
        if not line.startswith(" "):
            break
        below.append(line)
    return any(line.strip().startswith("no interval:") for line in below)


def test_the_page_of_error_bars_names_every_number() -> None:
    text = PAGE.read_text(encoding="utf-8")
    ruled = [n for n in QUANTITIES.names() if not QUANTITIES.load(n).no_interval]
    assert [n for n in ruled if f"`{n}`" not in text] == []
    assert "{{ no_intervals }}" in text
