"""What a refinement holds in memory is what was projected, and not much less."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from refine_helpers import OPERANDO, make_scan, with_flips
from tomolith.core import Grid, LabelMap, Volume
from tomolith.measure.refine import RefineSettings, plan, refine
from tomolith.measure.refine.faces import FACE_BYTES, find_faces
from tomolith.store.layout import Layout

SHAPE = (32, 128, 128)
OFF = {"allowed": False, "split": False, "min_size": False, "fill_holes": False}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    values = np.zeros(SHAPE, np.uint8)
    values[:, :30] = values[:, 100:] = 1
    values[:, 70:100, ::3] = 4
    layout = Layout((16, 128, 128), (32, 128, 128))
    made = [
        make_scan(folder, f"s{i}", with_flips(values, 0.02, i), layout=layout) for i in range(3)
    ]
    refine(made[:1], RefineSettings(executor="serial"))  # loads what is loaded when first used
    return made


@pytest.mark.parametrize("operation", ["allowed", "split", "min_size", "fill_holes", "time"])
def test_the_peak_stays_below_the_projection(scans, operation):
    settings = RefineSettings(**{**OFF, operation: {}}, executor="serial")
    chosen = scans if operation == "time" else scans[:1]
    n_scans = len(chosen)
    projected = plan.plan_refinement(
        scans[0].grid, settings, OPERANDO, n_scans=n_scans, layouts=[s.layout for s in chosen]
    ).projected_bytes
    tracemalloc.start()
    refine(chosen, settings, name=operation.replace("_", "-"), steps=("charge",) * (n_scans - 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    beyond_libraries = projected - plan._LIBRARIES_BYTES
    small = 4 * 2**20  # what does not grow with the blocks
    assert 0.3 * beyond_libraries - small < peak < beyond_libraries + small


def test_faces_take_what_is_projected_per_column():
    values = np.zeros((300, 12, 400), np.uint8)
    values[:, :4] = values[:, 8:] = 1
    labels = LabelMap(Volume(values, Grid(values.shape, None)), OPERANDO)
    tracemalloc.start()
    find_faces(labels, axis=1, plating_high=True, block_zyx=(16, 12, 400))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.6 * FACE_BYTES < peak / (300 * 400) < FACE_BYTES
