"""Label maps with an electrode for each side give the numbers of those with one electrode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refine_helpers import OPERANDO, true_series, with_flips
from tomolith.core import Box, ClassSchema, Grid, LabelMap, Measurement, Provenance, Volume
from tomolith.core.schema import LabelClass
from tomolith.measure.held_out import HeldOut, SliceTally
from tomolith.measure.intervals.attach import attach_intervals
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.measure.quantities import QUANTITIES, find_frame
from tomolith.measure.quantities.one_electrode import one_electrode
from tomolith.measure.quantities.sides import has_electrodes
from tomolith.measure.rows import QuantityRow
from tomolith.report.lithium import classes_of
from tomolith.report.study_files import StudyFiles
from tomolith.report.words import class_colours
from tomolith.store.scan import Scan

ELECTRODE, STRIPPING_VALUE = 1, 9
MADE = Provenance("test")
Numbers = dict[tuple[str, str], Measurement]


def two_electrodes(plating: str, stripping: str) -> ClassSchema:
    """Return the classes of an operando cell, with an electrode for each side."""
    classes = list(OPERANDO.classes)
    classes[ELECTRODE] = LabelClass(plating, ELECTRODE, "#56B4E9")
    return ClassSchema((*classes, LabelClass(stripping, STRIPPING_VALUE, "#CC79A7")))


SCHEMAS = [
    two_electrodes("plating-electrode", "stripping-electrode"),
    two_electrodes("electrode", "stripping-electrode"),
]


def true_labels() -> np.ndarray:
    """Return half a cycle back: a scan with a voxel of every class."""
    (labels,) = true_series((18,))
    return labels[20:44]


def in_two(labels: np.ndarray) -> np.ndarray:
    """Return labels in which the stripping electrode, at small y, has a value of its own."""
    out = labels.copy()
    half = out[:, : out.shape[1] // 2]
    half[half == ELECTRODE] = STRIPPING_VALUE
    return out


def as_measured(found: list[Measurement]) -> Numbers:
    return {(m.name, m.region): m for m in found}


def same(found: Numbers, expected: Numbers) -> None:
    assert found.keys() == expected.keys()
    for key, m in expected.items():
        other = found[key]
        assert (other.value, other.unit, other.interval) == (m.value, m.unit, m.interval), key


@pytest.mark.parametrize("schema", SCHEMAS, ids=["both", "one"])
def test_every_quantity_gives_the_numbers_of_one_electrode(schema: ClassSchema) -> None:
    values = true_labels()
    grid = Grid(values.shape, (2.0, 1.0, 2.0))
    one = LabelMap(Volume(values, grid), OPERANDO)
    two = LabelMap(Volume(in_two(values), grid), schema)
    assert find_frame(two) == find_frame(one) != find_frame(one, plane=False)
    settings = MeasureSettings(correlate=["electrode"])
    expected = measure_scan(one, settings, region="s")
    found = measure_scan(two, settings, region="s", block_zyx=(7, 33, 16))
    assert {m.name for m in found.measurements} == set(QUANTITIES.names())
    same(as_measured(list(found.measurements)), as_measured(list(expected.measurements)))
    assert has_electrodes(schema)  # so that its scans are taken for a series
    assert found.plan is not None and expected.plan is not None
    for name in OPERANDO.names:
        assert (found.plan.thickness_um(name) == expected.plan.thickness_um(name)).all()


def stored(folder: Path, values: np.ndarray, schema: ClassSchema) -> Scan:
    """Store labels, and probabilities that are unsure everywhere."""
    grid = Grid(values.shape, (2.0, 1.0, 2.0))
    scan = Scan.create(folder, grid, np.uint8, provenance=MADE)
    labels = scan.create_labels("prediction", schema, provenance=MADE)
    labels.array[:] = values
    labels.finish()
    writer = scan.create_extra("probabilities/prediction", schema.names, np.uint8, provenance=MADE)
    sure = np.where(np.arange(values.size).reshape(values.shape) % 5 == 0, 155, 245)
    shares = np.stack([np.where(values == c.value, sure, 0) for c in schema.classes])
    shares[0] += 255 - shares.sum(axis=0)  # background, what is unsure
    writer.array[:] = shares.astype(np.uint8)
    writer.finish()
    return scan


def held_out(true: np.ndarray, found: np.ndarray, schema: ClassSchema) -> HeldOut:
    numbers = np.zeros(256, np.uint8)
    numbers[list(schema.values)] = np.arange(len(schema))
    tally = SliceTally(schema.names)
    for z in range(0, len(true), 2):
        box = Box((z, 0, 0), (z + 1, *true.shape[1:]))
        tally.update("other", box, numbers[true[z : z + 1]], numbers[found[z : z + 1]])
    return tally.record("unet", "test")


@pytest.mark.parametrize("schema", SCHEMAS, ids=["both", "one"])
def test_and_its_intervals_from_the_same_evidence(schema: ClassSchema, tmp_path: Path) -> None:
    true = true_labels()
    found = with_flips(true, 0.02, seed=4)
    settings = MeasureSettings(uncertainty={"n_draws": 50})

    def numbers(name: str, labels: list[np.ndarray], classes: ClassSchema) -> Numbers:
        scan = stored(tmp_path / f"{name}.zarr", labels[1], classes)
        one = measure_scan(scan.labels("prediction"), settings, region="s")
        known = held_out(labels[0], labels[1], classes)
        assert known.classes == classes.names
        attached = attach_intervals(
            one.measurements, scan, "prediction", settings, held_out=known, also=one.also
        )
        return as_measured(attached)

    expected = numbers("one", [true, found], OPERANDO)
    assert sum(m.interval is not None for m in expected.values()) > 50
    same(numbers("two", [in_two(true), in_two(found)], schema), expected)


@pytest.mark.parametrize("schema", SCHEMAS, ids=["both", "one"])
def test_the_report_knows_the_electrode_that_was_measured(
    schema: ClassSchema, tmp_path: Path
) -> None:
    scan = stored(tmp_path / "s.zarr", in_two(true_labels()[:4]), schema)
    row = QuantityRow("s", "prediction", "electrode", "volume", 1.0, "um3", None, None, "", "")
    files = StudyFiles(tmp_path, None, {}, (scan,), (), None, (row,), (), ())
    assert [c.name for c in classes_of(files)] == list(OPERANDO.names)
    assert {*OPERANDO.names, *schema.names} <= class_colours(files).keys()


def test_a_role_alone_makes_no_side_of_a_cell() -> None:
    winding = LabelClass("winding", 1, "#E69F00", "electrode")
    schema = ClassSchema((OPERANDO["background"], winding))
    assert one_electrode(schema) == schema
    assert not has_electrodes(schema)
