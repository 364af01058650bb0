"""The step ``evaluate``: predictions scored against the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, field_validator

from tomolith.config import Component, Settings, did_you_mean
from tomolith.core import Box, LabelMap
from tomolith.errors import InputError, MismatchError
from tomolith.measure.confusion import ConfusionMatrix, ConfusionRecord, LabelCoder, PatchMean
from tomolith.measure.held_out import HeldOut, SliceTally
from tomolith.measure.metrics import METRICS, Metric, MetricValues
from tomolith.measure.reliability import ClassShares, Reliability, ReliabilityRecord
from tomolith.measure.rows import ScoreRow

Subset = Literal["train", "validation", "test"]
_BLOCK_VOX = 2**22  # voxels of truth and prediction read at a time


def _all_metrics() -> tuple[Component, ...]:
    return tuple(Component(name=name) for name in METRICS.names())


class EvaluateSettings(Settings):
    """Which scores are computed, on what.

    Examples
    --------
    >>> EvaluateSettings(metrics=["iou"]).metrics[0].name
    'iou'
    """

    metrics: tuple[Component, ...] = Field(
        default_factory=_all_metrics, description="Names of metrics; all by default."
    )
    patch_px: int = Field(
        128, ge=1, description="Side in pixels of the patches of the mean over patches."
    )
    baselines: tuple[Literal["otsu"], ...] = Field(
        ("otsu",), description="Simple methods scored beside the network."
    )
    subsets: tuple[Subset, ...] = Field(
        ("validation", "test"), description="Parts of the split that are scored."
    )

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: tuple[Component, ...]) -> tuple[Component, ...]:
        known = METRICS.names()
        for metric in metrics:
            if metric.name not in known:
                hint = did_you_mean(metric.name, known)
                raise ValueError(f"unknown metric '{metric.name}'; {hint}")
        return metrics


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and the truth it is scored against.

    Parameters
    ----------
    scan_id
        Name of the scan.
    prediction, truth
        Label maps of one shape and voxel size, with the same class names.
    boxes
        The regions scored (held-out slices); they must not overlap.
    subset
        Part of the split the boxes belong to.
    system
        What predicted: the model's name, or the baseline's.
    probabilities
        Of the classes of ``prediction``, in its order; ``None`` where there are none.
    """

    scan_id: str
    prediction: LabelMap
    truth: LabelMap
    boxes: tuple[Box, ...]
    subset: str
    system: str = "prediction"
    probabilities: ClassShares | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Tidy score rows, and the counts they were computed from.

    ``held_out`` holds the counts of single slices; it is empty where scores were read back.
    """

    rows: tuple[ScoreRow, ...]
    confusions: tuple[ConfusionRecord, ...]
    patch_px: int
    reliability: tuple[ReliabilityRecord, ...] = ()
    held_out: tuple[HeldOut, ...] = field(default=(), compare=False)

    def value(
        self, metric: str, *, system: str, subset: str, class_name: str = "", scan: str = "all"
    ) -> float | None:
        """Return one pooled value, by default the mean over classes of all scans.

        Raises
        ------
        InputError
            There is no such row.
        """
        wanted = (system, subset, scan, "pooled", metric, class_name)
        for r in self.rows:
            if (r.system, r.subset, r.scan, r.convention, r.metric, r.class_name) == wanted:
                return r.value
        raise InputError(f"no score {wanted}")


class _Tally:
    """The confusion matrix and the patch means of one scan, or of all."""

    def __init__(self, names: tuple[str, ...], metrics: Sequence[Metric], patch_px: int) -> None:
        self.matrix = ConfusionMatrix(names)
        self.patches = PatchMean(names, metrics, patch_px=patch_px)
        self.reliability: Reliability | None = None

    def trust(self) -> Reliability:
        """Return the reliability, begun where it is not."""
        self.reliability = self.reliability or Reliability()
        return self.reliability

    def merge(self, other: _Tally) -> None:
        self.matrix.merge(other.matrix)
        self.patches.merge(other.patches)
        if other.reliability is not None:
            self.trust().merge(other.reliability)

    def values(self) -> Iterator[tuple[int, str, MetricValues]]:
        """Yield (index of the metric, convention, values)."""
        for index, metric in enumerate(self.patches.metrics):
            yield index, "pooled", self.matrix.finish(metric)
            yield index, "mean_over_patches", self.patches.finish(index)


def evaluate(pairs: Sequence[Pair], settings: EvaluateSettings) -> Scores:
    """Score predictions against truth, out of core and in both conventions.

    Parameters
    ----------
    pairs
        What is compared. Pairs of one system and subset share the rows of scan ``"all"``.
    settings
        Metrics and patch size.

    Returns
    -------
    Scores
        One row per system, subset, scan, convention (``pooled`` over all pixels, or
        ``mean_over_patches``: see :class:`~tomolith.measure.confusion.PatchMean`), metric and
        class; class ``""`` is the mean over classes. ``None`` where a class occurs neither in
        the truth nor in the prediction. Where there are probabilities the metric ``ece`` is the
        expected calibration error, 0 at best.

    Raises
    ------
    MismatchError
        Shape, voxel size or classes of a pair differ, or a label value is in no class.
    InputError
        Nothing to score, a box outside the volume, boxes that overlap.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Grid, Volume
    >>> def labels(values):
    ...     array = np.array(values, np.uint8)
    ...     return LabelMap(Volume(array, Grid(array.shape, None)), PRESETS["li-binary"])
    >>> pair = Pair("scan-0", labels([[[0, 1, 1, 1]]]), labels([[[0, 0, 1, 1]]]),
    ...             boxes=(Box((0, 0, 0), (1, 1, 4)),), subset="test")
    >>> scores = evaluate([pair], EvaluateSettings(metrics=["iou"]))
    >>> round(scores.value("iou", system="prediction", subset="test"), 4)
    0.5833
    """
    if not pairs:
        raise InputError(
            "there is nothing to score", mend="give labels for held-out slices, or widen 'subsets'"
        )
    metrics = [METRICS.build(component) for component in settings.metrics]
    rows: list[ScoreRow] = []
    confusions, reliability, held_out = [], [], []
    for system, subset in dict.fromkeys((p.system, p.subset) for p in pairs):
        group = [p for p in pairs if (p.system, p.subset) == (system, subset)]
        total = _Tally(group[0].truth.schema.names, metrics, settings.patch_px)
        slices = SliceTally(total.matrix.names)
        for scan_id in dict.fromkeys(p.scan_id for p in group):
            tally = _Tally(total.matrix.names, metrics, settings.patch_px)
            for pair in group:
                if pair.scan_id == scan_id:
                    _count(pair, tally, slices)
            total.merge(tally)
            rows += _rows(tally, settings.metrics, (system, subset, scan_id))
        rows += _rows(total, settings.metrics, (system, subset, "all"))
        confusions.append(ConfusionRecord.of(total.matrix, system=system, subset=subset))
        held_out.append(slices.record(system, subset))
        if total.reliability is not None:
            reliability.append(total.reliability.record(system, subset))
    return Scores(
        tuple(rows), tuple(confusions), settings.patch_px, tuple(reliability), tuple(held_out)
    )


def _count(pair: Pair, tally: _Tally, slices: SliceTally) -> None:
    _check(pair, tally.matrix.names)
    names = tally.matrix.names
    code_truth = LabelCoder(pair.truth.schema, names, what=f"truth of scan '{pair.scan_id}'")
    code_prediction = LabelCoder(
        pair.prediction.schema, names, what=f"{pair.system} of scan '{pair.scan_id}'"
    )
    for box in pair.boxes:
        for tile in box.tiles(_tile(box, tally.patches.patch_px)):
            truth = code_truth(pair.truth.read(tile))
            prediction = code_prediction(pair.prediction.read(tile))
            tally.matrix.update(truth, prediction)
            tally.patches.update(truth, prediction, tile)
            shares = None
            if pair.probabilities is not None:
                shares = pair.probabilities[(slice(None), *tile.slices)]
                tally.trust().update_block(shares, truth, prediction)
                order = [pair.prediction.schema.names.index(name) for name in names]
                shares = shares[order]
            slices.update(pair.scan_id, tile, truth, prediction, shares)


def _tile(box: Box, patch_px: int) -> tuple[int, int, int]:
    """Return a block of whole patches with about ``_BLOCK_VOX`` voxels."""
    _, y, x = box.shape_zyx
    width = math.ceil(max(x, 1) / patch_px + 1) * patch_px
    height = min(math.ceil(max(y, 1) / patch_px + 1), max(1, _BLOCK_VOX // (width * patch_px)))
    return max(1, _BLOCK_VOX // (width * height * patch_px)), height * patch_px, width


def _check(pair: Pair, names: tuple[str, ...]) -> None:
    where = f"{pair.system} of scan '{pair.scan_id}'"
    truth, prediction = pair.truth.grid, pair.prediction.grid
    if truth.shape_zyx != prediction.shape_zyx:
        raise MismatchError(
            f"the prediction has shape {prediction.shape_zyx} (z, y, x)",
            expected=f"the shape of the truth, {truth.shape_zyx}",
            where=where,
            mend="predict the scan that the labels belong to",
        )
    if truth.sections != prediction.sections or not _same_size(pair):
        raise MismatchError(
            f"the prediction has voxel size {prediction.voxel_size_um} µm",
            expected=f"that of the truth, {truth.voxel_size_um} µm, and the same kind of scan",
            where=where,
        )
    for what, schema in (("truth", pair.truth.schema), ("prediction", pair.prediction.schema)):
        if sorted(schema.names) != sorted(names):
            raise MismatchError(
                f"the {what} has the classes {', '.join(schema.names)}",
                expected=", ".join(names),
                where=where,
            )
    _check_boxes(pair, where)


def _same_size(pair: Pair) -> bool:
    truth, prediction = pair.truth.grid.voxel_size_um, pair.prediction.grid.voxel_size_um
    if truth is None or prediction is None:
        return truth is prediction
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(truth, prediction, strict=True))


def _check_boxes(pair: Pair, where: str) -> None:
    boxes = sorted(pair.boxes)
    if sum(box.n_voxels for box in boxes) == 0:
        raise InputError("the regions to score hold no voxel", where=where)
    for i, box in enumerate(boxes):
        if not pair.truth.grid.box.contains(box):
            raise InputError(
                f"the region {box.start_zyx} to {box.stop_zyx} lies outside the volume",
                expected=f"a region inside {pair.truth.grid.shape_zyx} (z, y, x)",
                where=where,
            )
        for other in boxes[i + 1 :]:
            if other.start_zyx[0] >= box.stop_zyx[0]:
                break
            if box.intersect(other).n_voxels:
                raise InputError(
                    f"two regions to score overlap: {box.start_zyx} to {box.stop_zyx} "
                    f"and {other.start_zyx} to {other.stop_zyx}",
                    where=where,
                )


def _rows(
    tally: _Tally, metrics: Sequence[Component], key: tuple[str, str, str]
) -> Iterator[ScoreRow]:
    for index, convention, values in tally.values():
        name = metrics[index].name
        yield ScoreRow(*key, convention, name, "", values.overall)
        if tally.patches.metrics[index].has_classes:
            for class_name, value in zip(tally.matrix.names, values.of_classes, strict=True):
                yield ScoreRow(*key, convention, name, class_name, value)
    if tally.reliability is not None:
        system, subset, _ = key
        error = tally.reliability.record(system, subset).error
        yield ScoreRow(*key, "pooled", "ece", "", error)
