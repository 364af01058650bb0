"""Volumes, label maps, measurements and provenance."""

import dataclasses
import json
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from tomolith.core import (
    PRESETS,
    ArrayLike,
    Box,
    Grid,
    Interval,
    LabelMap,
    Measurement,
    Provenance,
    Volume,
    provenance,
)
from tomolith.errors import InputError, MismatchError


class Watched:
    """An array that notes what is read from it."""

    shape = (4, 5, 6)
    dtype = np.dtype(">u2")

    def __init__(self):
        self.reads = []

    def __getitem__(self, index):
        self.reads.append(index)
        return np.zeros([s.stop - s.start for s in index], self.dtype)


def test_a_volume_reads_only_what_is_asked():
    array = Watched()
    assert isinstance(array, ArrayLike)
    volume = Volume(array, Grid((4, 5, 6), None))
    assert array.reads == []
    box = Box((1, 0, 0), (2, 5, 3))
    assert volume.read(box).shape == (1, 5, 3)
    assert array.reads == [box.slices]
    assert volume.dtype == np.dtype(">u2")


def test_a_volume_refuses_a_grid_of_another_shape():
    with pytest.raises(MismatchError, match=r"\(4, 5, 6\)") as caught:
        Volume(Watched(), Grid((4, 5, 7), None))
    assert "(4, 5, 7)" in (caught.value.expected or "")


def test_a_label_map_holds_bytes_only():
    schema = PRESETS["cathode-3phase"]
    with pytest.raises(MismatchError, match="int64"):
        LabelMap(Volume(np.zeros((1, 2, 2), np.int64), Grid((1, 2, 2), None)), schema)
    labels = LabelMap(Volume(np.full((1, 2, 2), 2, np.uint8), Grid((1, 2, 2), None)), schema)
    assert labels.grid.shape_zyx == (1, 2, 2)
    assert labels.read(Box.whole((1, 1, 2))).tolist() == [[[2, 2]]]


def test_core_values_are_frozen():
    for value in (Measurement("volume", None, "um3"), Provenance("predict"), Grid((1, 1, 1), None)):
        field = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, "other")


def test_an_absent_value_stays_absent():
    assert Measurement("iou", None, "1", region="scan-0/pit").value is None


def test_provenance_goes_through_json_unchanged():
    made = Provenance.now("train", inputs=("a.zarr", "b.zarr"), settings_hash="00ff", seed=7)
    assert Provenance.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert made.created_utc.endswith("+00:00")
    assert made.code_version == provenance.code_version()


def test_the_version_of_code_that_was_never_installed(monkeypatch):
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", missing)
    assert provenance.code_version() == "0+unknown"


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_an_interval_that_is_none_is_refused(low, high):
    with pytest.raises(InputError, match="interval"):
        Interval(low, high, "x")
    assert Interval(0.0, 0.0, "x").half_width == 0
