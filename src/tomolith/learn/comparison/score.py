"""Label the test slices with one system, and score them as ``evaluate`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tomolith.config import Component, progress
from tomolith.core import Box, ClassSchema, Provenance
from tomolith.errors import TomolithError
from tomolith.label.splits import Split
from tomolith.learn.comparison.labellers import Labeller
from tomolith.learn.comparison.material import Material
from tomolith.learn.comparison.result import ImageScore
from tomolith.learn.comparison.run import Run
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.store.scan import LabelWriter, Scan

Bytes = npt.NDArray[np.uint8]


def has_labels(run: Run, material: Material, split: Split, *, key: str) -> bool:
    """Tell whether what ``run`` says of the test slices is there and was made under ``key``."""
    for scan_id in material.boxes(split, "test"):
        scan = material.scan(scan_id)
        try:
            made = scan.labels(run.labels).volume.provenance
            if run.has_probabilities:
                scan.extra(f"probabilities/{run.labels}")
        except TomolithError:
            return False
        if made.settings_hash != key:
            return False
    return True


def label_test_slices(
    labeller: Labeller, run: Run, material: Material, split: Split, *, key: str
) -> None:
    """Write the label map of a run in every test scan; only its test slices have labels.

    Beside it the probabilities of all classes, where the system knows of them; 0 elsewhere.

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
            extra = _begin_probabilities(run, scan, material.schema, made)
            for slab in _whole_slabs(scan, writer.layout.shard_zyx[0]):
                values = np.full(slab.shape_zyx, material.schema.unlabelled, np.uint8)
                shares: dict[int, Bytes] = {}
                for z in sorted(wanted & set(range(slab.start_zyx[0], slab.stop_zyx[0]))):
                    values[z - slab.start_zyx[0]], found = labeller.judge_slice(scan, z)
                    if found is not None:
                        shares[z] = found
                    bar.advance(note=scan_id)
                if scan.invalid is not None:
                    bad = np.asarray(scan.invalid[slab.slices]) != 0
                    values[bad] = material.schema.unlabelled
                writer.array[slab.slices] = values
                if extra is not None:
                    _write_probabilities(extra, slab, shares, n_classes=len(material.schema))
            if extra is not None:
                extra.finish()
            writer.finish()


def _begin_probabilities(
    run: Run, scan: Scan, schema: ClassSchema, made: Provenance
) -> LabelWriter | None:
    if not run.has_probabilities:
        return None
    return scan.create_extra(f"probabilities/{run.labels}", schema.names, np.uint8, provenance=made)


def _write_probabilities(
    extra: LabelWriter, slab: Box, shares: Mapping[int, Bytes], *, n_classes: int
) -> None:
    """Write the probabilities of some slices of a slab, class by class; elsewhere 0."""
    for channel in range(n_classes):
        one = np.zeros(slab.shape_zyx, np.uint8)
        for z, found in shares.items():
            one[z - slab.start_zyx[0]] = found[channel]
        extra.array[(slice(channel, channel + 1), *slab.slices)] = one[None]


def _whole_slabs(scan: Scan, depth: int) -> Sequence[Box]:
    """Return boxes of whole shards: one writer each, and every one is written."""
    _, height, width = scan.grid.shape_zyx
    return list(scan.grid.box.tiles((depth, height, width)))


def score_run(run: Run, material: Material, split: Split, *, patch_px: int) -> Scores:
    """Score the label map of a run on the test slices, in both conventions.

    Raises
    ------
    ReadError
        The label map, or the probabilities beside it, are not there.
    """
    pairs = _pairs(run, material, split)
    if run.has_probabilities:
        pairs = [
            replace(p, probabilities=material.scan(p.scan_id).extra(f"probabilities/{run.labels}"))
            for p in pairs
        ]
    return evaluate(pairs, EvaluateSettings(patch_px=patch_px))


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
