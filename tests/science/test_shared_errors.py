"""Errors that two scans share cancel in what is between them: slabs, and a cell drawn too wide."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tomolith.core import PRESETS, Box, Grid, Interval, Measurement, Provenance
from tomolith.measure.intervals.attach import attach_intervals
from tomolith.measure.intervals.propagate import difference
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.phantom import Cell, PhantomSettings
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-operando"]
LI = [SCHEMA[n].value for n in ("electrode", "dendrite", "deposited", "redeposited")]
SHAPE = (64, 64, 64)
PARTS = ("all Li, plating side", "all Li, stripping side", "all Li")
SETTINGS = MeasureSettings(quantities=["li_volume"])


def li_volumes(values: np.ndarray, size_um: float, folder: Path) -> dict[str, Measurement]:
    """Return the Li of a label map with its intervals."""
    made = Provenance("test")
    scan = Scan.create(
        folder / "a.zarr", Grid(values.shape, (size_um,) * 3), np.uint8, provenance=made
    )
    labels = scan.create_labels("prediction", SCHEMA, provenance=made)
    labels.array[:] = values
    labels.finish()
    found = measure(scan.labels("prediction"), SETTINGS, region="a")
    attached = attach_intervals(found, scan, "prediction", SETTINGS)
    return {m.region.removeprefix("a/"): m for m in attached}


def interval(m: Measurement) -> Interval:
    assert m.interval is not None
    return m.interval


def test_deposit_on_an_electrode_has_outer_borders_alone(tmp_path: Path) -> None:
    pristine = np.zeros((8, 20, 8), np.uint8)
    pristine[:, :4] = pristine[:, 16:] = SCHEMA["electrode"].value
    charged = pristine.copy()
    charged[:, 3] = SCHEMA["pit"].value
    charged[:, 14:16] = SCHEMA["deposited"].value
    charged[:, 12:14] = SCHEMA["dendrite"].value
    before, after = (li_volumes(v, 2.0, tmp_path / n) for v, n in ((pristine, "0"), (charged, "1")))
    area = 64 * 4.0  # of the plan, µm²
    for found in (before, after):  # no class need be there for a sum to have an interval
        assert interval(found["all Li, plating side"]).half_width == pytest.approx(1.0 * area)
        assert interval(found["all Li"]).half_width == pytest.approx(2.0 * area)
    moved = difference(interval(after["all Li"]), interval(before["all Li"]))
    # the border moved, but is as large as before: only a tenth of a voxel of each is left
    assert moved.half_width == pytest.approx(0.2 * 2.0 * 2**0.5 * area)
    assert (moved.low + moved.high) / 2 == pytest.approx(3 * 2.0 * area)


def wider(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return labels in which Li has taken half of the voxels that border on it."""
    is_li = np.isin(values, LI)
    out = values.copy()
    reach = ndimage.grey_dilation(np.where(is_li, values, 0), footprint=_CROSS)
    taken = ~is_li & (reach > 0) & (rng.random(values.shape) < 0.5)
    out[taken] = reach[taken]
    return out


_CROSS = ndimage.generate_binary_structure(3, 1)


def test_a_border_drawn_too_wide_in_all_scans_cancels(tmp_path: Path) -> None:
    settings, rng = PhantomSettings(preset="tiny", scans=(6, 12, 24)), np.random.default_rng(0)
    cell, box = Cell.build(settings, 0), Box((0, 0, 0), SHAPE)
    true, found = [], []
    for pulse in settings.scans:
        values = cell.draw(box, pulse).material
        true.append(li_volumes(values, settings.voxel_size_um, tmp_path / f"true{pulse}"))
        seen = wider(values, rng)
        found.append(li_volumes(seen, settings.voxel_size_um, tmp_path / f"seen{pulse}"))
    for (i, j), part in product(((0, 1), (1, 2), (0, 2)), PARTS):
        moved = float(true[j][part].value or 0) - float(true[i][part].value or 0)
        a, b = interval(found[i][part]), interval(found[j][part])
        change, half = difference(b, a), np.hypot(a.half_width, b.half_width)
        assert change.low <= moved <= change.high
        assert change.half_width < half / 2
