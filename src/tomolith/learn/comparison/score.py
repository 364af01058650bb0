"""Label the test slices with one system, and score them as ``evaluate`` does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tomolith.config import Component, progress
from tomolith.core import Box, Provenance
from tomolith.errors import TomolithError
from tomolith.label.splits import Split
from tomolith.learn.comparison.labellers import Labeller
from tomolith.learn.comparison.material import Material
from tomolith.learn.comparison.result import ImageScore
from tomolith.learn.comparison.settings import Run
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.store.scan import Scan


def has_labels(run: Run, material: Material, split: Split, *, key: str) -> bool:
    """Tell whether the label maps of ``run`` are there and were made under ``key``."""
    for scan_id in material.boxes(split, "test"):
        try:
            made = material.scan(scan_id).labels(run.labels).volume.provenance
        except TomolithError:
            return False
        if made.settings_hash != key:
            return False
    return True


def label_test_slices(
    labeller: Labeller, run: Run, material: Material, split: Split, *, key: str
) -> None:
    """Write the label map of a run in every test scan; only its test slices have labels.

    Parameters
    ----------
    labeller
        The trained system.
    run
        Names the label map.
    key
        Hash of all that the labels depend on; kept in the provenance of the map.

    Raises
    ------
    DiskError
        A label map cannot be written.
    """
    boxes = material.boxes(split, "test")
    total = sum(box.shape_zyx[0] for slabs in boxes.values() for box in slabs)
    with progress(f"labels of {run.name}", total=total) as bar:
        for scan_id, slabs in boxes.items():
            scan = material.scan(scan_id)
            wanted = {z for box in slabs for z in range(box.start_zyx[0], box.stop_zyx[0])}
            made = Provenance.now("compare", inputs=(scan_id,), settings_hash=key, seed=run.seed)
            writer = scan.create_labels(run.labels, material.schema, provenance=made)
            for slab in _whole_slabs(scan, writer.layout.shard_zyx[0]):
                values = np.full(slab.shape_zyx, material.schema.unlabelled, np.uint8)
                for z in sorted(wanted & set(range(slab.start_zyx[0], slab.stop_zyx[0]))):
                    values[z - slab.start_zyx[0]] = labeller.label_slice(scan, z)
                    bar.advance(note=scan_id)
                if scan.invalid is not None:
                    bad = np.asarray(scan.invalid[slab.slices]) != 0
                    values[bad] = material.schema.unlabelled
                writer.array[slab.slices] = values
            writer.finish()


def _whole_slabs(scan: Scan, depth: int) -> Sequence[Box]:
    """Return boxes of whole shards: one writer each, and every one is written."""
    _, height, width = scan.grid.shape_zyx
    return list(scan.grid.box.tiles((depth, height, width)))


def score_run(run: Run, material: Material, split: Split, *, patch_px: int) -> Scores:
    """Score the label map of a run on the test slices, in both conventions.

    Raises
    ------
    ReadError
        The label map is not there.
    """
    return evaluate(_pairs(run, material, split), EvaluateSettings(patch_px=patch_px))


def score_images(run: Run, material: Material, split: Split) -> tuple[ImageScore, ...]:
    """Return the pixel accuracy of every single test slice that has truth."""
    single = [
        Pair(f"{pair.scan_id}[{plane.start_zyx[0]}]", pair.prediction, pair.truth, (plane,), "test")
        for pair in _pairs(run, material, split)
        for box in pair.boxes
        for plane in box.tiles((1, *box.shape_zyx[1:]))
    ]
    scores = evaluate(single, EvaluateSettings(metrics=(Component(name="pixel_accuracy"),)))
    found = []
    for row in scores.rows:
        if row.convention == "pooled" and row.scan != "all" and row.value is not None:
            scan_id, _, z = row.scan.removesuffix("]").rpartition("[")
            found.append(ImageScore(scan_id, int(z), row.value))
    return tuple(found)


def _pairs(run: Run, material: Material, split: Split) -> list[Pair]:
    pairs = []
    for scan_id, boxes in material.boxes(split, "test").items():
        scan = material.scan(scan_id)
        truth, prediction = scan.labels(material.truth), scan.labels(run.labels)
        pairs.append(Pair(scan_id, prediction, truth, boxes, "test", run.name))
    return pairs
