"""Multi-Otsu thresholding: the baseline that looks at grey values only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from tomolith.core import ArrayLike, Box, ClassSchema, LabelMap, Volume
from tomolith.errors import InputError, MismatchError

_N_SAMPLE_SLICES = 16
_N_SAMPLE = 2**20
_N_READ = 2**22  # pixels that are read at a time; reading section by section takes far longer
# multi-Otsu tries all ways to choose the thresholds: at most about 10 million of them
_N_BINS = {2: 256, 3: 256, 4: 256, 5: 128, 6: 64, 7: 46, 8: 37, 9: 32, 10: 29}


@dataclass(frozen=True)
class TrainingSlices:
    """What the baseline learns from: a scan, its labels, possibly sparse, and the boxes to use."""

    image: Volume
    labels: LabelMap
    boxes: Sequence[Box]


@dataclass(frozen=True, slots=True)
class OtsuThresholds:
    """The grey values that separate the ranges of one scan.

    Parameters
    ----------
    grey
        (1, K-1), or one row for each section where the scan holds independent 2-D images, whose
        grey scales may differ.
    """

    grey: npt.NDArray[np.float64]

    def of_slice(self, z: int) -> npt.NDArray[np.float64]:
        """Return the K-1 thresholds of slice ``z`` of the scan."""
        return np.asarray(self.grey[z if len(self.grey) > 1 else 0])


@dataclass(frozen=True)
class OtsuBaseline:
    """Multi-Otsu thresholds, found anew in each scan, with one class per grey range.

    The thresholds of a scan (of each section, where it holds independent images) maximise the
    variance between K grey ranges in a strided sample of that scan alone. Training slices decide
    the rest: which class each range stands for, by the best mean IoU there (starting from the
    order of the classes from dark to bright and changing one range at a time until nothing
    improves), and K, from 2 to the number of classes that occur. Classes that cannot be told
    apart by grey value may thus share a range: the best that thresholds can do, which is what a
    network must be compared with.

    Use: :meth:`fit` on training slices, then for each scan :meth:`thresholds` once and
    :meth:`predict_box` (or :meth:`predict_block`) for any part of it, in any order.

    Source: P.-S. Liao, T.-S. Chen, P.-C. Chung, J. Inf. Sci. Eng. 17, 713 (2001), as implemented
    in scikit-image.

    Parameters
    ----------
    schema
        The classes.
    class_of_range
        Name of the class of each grey range, from dark to bright.
    median_px
        Side of a median filter applied in the plane first; 1 for none.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid
    >>> grey = np.array([[[10, 12, 90, 93]]], np.uint8)
    >>> otsu = OtsuBaseline(PRESETS["li-binary"], ("lithium", "background"))
    >>> volume = Volume(grey, Grid(grey.shape, None))
    >>> otsu.predict_box(volume, volume.grid.box, otsu.thresholds(volume)).tolist()
    [[[1, 1, 0, 0]]]
    """

    schema: ClassSchema
    class_of_range: tuple[str, ...]
    median_px: int = 1

    @classmethod
    def fit(
        cls,
        examples: Sequence[TrainingSlices],
        *,
        median_px: int = 1,
        max_ranges: int | None = None,
    ) -> OtsuBaseline:
        """Learn which class each grey range stands for.

        Parameters
        ----------
        examples
            Images with labels and the boxes to learn from; unlabelled voxels are ignored.
        median_px
            Side of the median filter in pixels; odd.
        max_ranges
            Grey ranges at most, at least 2; ``None``: as many as there are classes. With 2 it is
            Otsu's own method, a single threshold.

        Raises
        ------
        InputError
            No labelled voxel, or an even filter.
        MismatchError
            The examples have different classes, or image and labels different shapes.
        """
        if median_px < 1 or median_px % 2 == 0:
            raise InputError(f"the median filter has {median_px} px", expected="an odd number")
        schema = _common_schema(examples)
        names = _present(examples, schema)
        if not names:
            raise InputError(
                "the training slices hold no labelled voxel",
                mend="label some of their pixels, or train on other slices",
            )
        best, best_score = names[:1], -1.0
        most = len(names) if max_ranges is None else min(max_ranges, len(names))
        for n_ranges in range(most, 1, -1):  # on a tie, as many ranges as classes
            ranges = cls(schema, names[:n_ranges], median_px)
            joint = sum(ranges._joint(example, names) for example in examples)
            classes, score = _best_classes(np.asarray(joint))
            if score > best_score:
                best, best_score = tuple(names[c] for c in classes), score
        return cls(schema, best, median_px)

    def thresholds(self, volume: Volume, *, section: int | None = None) -> OtsuThresholds:
        """Return the thresholds of a scan, from a strided sample of it.

        Parameters
        ----------
        volume
            The scan.
        section
            Where the scan holds independent images, only those of this one.
        """
        n_ranges = len(self.class_of_range)
        n_slices = volume.grid.shape_zyx[0]
        if volume.grid.sections:
            whole = volume.grid.box
            if section is not None:
                whole = Box((section, *whole.start_zyx[1:]), (section + 1, *whole.stop_zyx[1:]))
            slabs = (self._filtered(volume, slab) for slab in _slabs([whole]))
            return OtsuThresholds(np.concatenate([self._of_sections(slab) for slab in slabs]))
        spread = np.linspace(0, n_slices - 1, min(n_slices, _N_SAMPLE_SLICES) + 2)[1:-1]
        chosen = sorted({round(float(z)) for z in spread})
        return OtsuThresholds(otsu_thresholds(self._sample(volume, chosen), n_ranges)[None])

    def predict_block(
        self, block: npt.NDArray[Any], thresholds: OtsuThresholds, *, z_start: int = 0
    ) -> npt.NDArray[np.uint8]:
        """Return the labels of grey values ``block`` (z, y, x); no filter is applied.

        Values that are not finite become unlabelled.

        Parameters
        ----------
        block
            Grey values.
        thresholds
            Of the scan that the block comes from.
        z_start
            Index of the block's first slice in the scan.
        """
        value_of_range = np.array([self.schema[name].value for name in self.class_of_range])
        labels = value_of_range.astype(np.uint8)[_to_ranges(block, thresholds, z_start)]
        if np.issubdtype(block.dtype, np.floating):
            labels[~np.isfinite(block)] = self.schema.unlabelled
        return np.asarray(labels, np.uint8)

    def predict_box(
        self, volume: Volume, box: Box, thresholds: OtsuThresholds
    ) -> npt.NDArray[np.uint8]:
        """Return the labels of ``box``, filtered; the same whatever the boxes are."""
        return self.predict_block(self._filtered(volume, box), thresholds, z_start=box.start_zyx[0])

    def predict(
        self,
        volume: Volume,
        out: Any,
        *,
        block_zyx: tuple[int, int, int],
        invalid: ArrayLike | None = None,
    ) -> None:
        """Label a whole scan block by block into ``out``, an array of the same shape.

        Parameters
        ----------
        volume
            The scan.
        out
            Anything that takes ``out[slices] = labels``: NumPy, Zarr.
        block_zyx
            Voxels per block; for a Zarr array its shard, so that each is written once.
        invalid
            Not zero where the source of the scan was NaN or Inf: left unlabelled.
        """
        thresholds = self.thresholds(volume)
        for box in volume.grid.box.tiles(block_zyx):
            labels = self.predict_box(volume, box, thresholds)
            if invalid is not None:
                labels[np.asarray(invalid[box.slices]) != 0] = self.schema.unlabelled
            out[box.slices] = labels

    def _joint(self, example: TrainingSlices, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Count pixels of one example: rows ranges, columns true classes."""
        sections = example.image.grid.sections
        thresholds = None if sections else self.thresholds(example.image)
        joint = np.zeros((len(self.class_of_range), len(names)), np.int64)
        for box in _slabs(example.boxes):
            grey = self._filtered(example.image, box)
            ranges = _to_ranges(grey, thresholds or OtsuThresholds(self._of_sections(grey)), 0)
            labels = example.labels.read(box)
            for column, name in enumerate(names):
                inside = ranges[labels == example.labels.schema[name].value]
                joint[:, column] += np.bincount(inside, minlength=len(joint))
        return joint

    def _of_sections(self, planes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return a row of thresholds for each independent image (z, y, x), filtered."""
        return np.array(
            [otsu_thresholds(_strided([plane]), len(self.class_of_range)) for plane in planes]
        )

    def _filtered(self, volume: Volume, box: Box) -> npt.NDArray[Any]:
        halo = self.median_px // 2
        if halo == 0:
            return volume.read(box)
        read = box.expand((0, halo, halo)).clip(volume.grid.shape_zyx)
        size = (1, self.median_px, self.median_px)
        filtered = ndimage.median_filter(volume.read(read), size=size, mode="nearest")
        return np.asarray(filtered[box.relative_to(read).slices])

    def _sample(self, volume: Volume, slices: Sequence[int]) -> npt.NDArray[np.float64]:
        _, height, width = volume.grid.shape_zyx
        return _strided(
            [self._filtered(volume, Box((z, 0, 0), (z + 1, height, width)))[0] for z in slices]
        )


def otsu_thresholds(sample: npt.NDArray[np.float64], n_ranges: int) -> npt.NDArray[np.float64]:
    """Return ``n_ranges - 1`` thresholds; a value at or above one belongs to the brighter range.

    Outliers beyond the 0.1 and 99.9 percentiles do not stretch the histogram.

    Raises
    ------
    InputError
        No finite value, or more ranges than can be searched.

    Examples
    --------
    >>> grey = np.repeat([1.0, 5.0, 9.0], 50)
    >>> otsu_thresholds(grey, 3).searchsorted([1, 5, 9], side="right").tolist()
    [0, 1, 2]
    """
    if sample.size == 0:
        raise InputError("the image holds no finite value, so Otsu finds no threshold")
    if n_ranges > max(_N_BINS):
        raise InputError(
            f"{n_ranges} classes", expected=f"at most {max(_N_BINS)} for the Otsu baseline",
            mend="take 'otsu' out of 'baselines'",
        )  # fmt: skip
    if n_ranges == 1:
        return np.empty(0)
    low, high = np.percentile(sample, (0.1, 99.9), method="nearest")
    sample = np.clip(sample, low, high)
    distinct = np.unique(sample)
    if distinct.size <= n_ranges:  # nothing to search: each grey value is a range
        missing = n_ranges - distinct.size
        return np.concatenate([(distinct[1:] + distinct[:-1]) / 2, np.full(missing, np.inf)])
    try:
        return np.asarray(
            threshold_multiotsu(sample, n_ranges, nbins=_N_BINS[n_ranges]), np.float64
        )
    except ValueError:  # fewer filled bins than ranges: nearly all voxels have a few values
        quantiles = np.linspace(0, 1, n_ranges + 1)[1:-1]
        return np.asarray(np.quantile(distinct, quantiles), np.float64)


def _strided(planes: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return about ``_N_SAMPLE`` finite values at most, evenly spread over the images (y, x)."""
    step = max(1, int(np.ceil(np.sqrt(sum(plane.size for plane in planes) / _N_SAMPLE))))
    sample = np.concatenate([plane[::step, ::step].astype(np.float64).ravel() for plane in planes])
    return sample[np.isfinite(sample)]


def _to_ranges(
    block: npt.NDArray[Any], thresholds: OtsuThresholds, z_start: int
) -> npt.NDArray[np.intp]:
    ranges = np.empty(block.shape, np.intp)
    for k, plane in enumerate(block):
        ranges[k] = np.digitize(plane, thresholds.of_slice(z_start + k))
    return ranges


def _slabs(boxes: Iterable[Box]) -> Iterable[Box]:
    for box in boxes:
        _, height, width = box.stop_zyx
        yield from box.tiles((max(1, _N_READ // (height * width)), height, width))


def _common_schema(examples: Sequence[TrainingSlices]) -> ClassSchema:
    if not examples:
        raise InputError("the Otsu baseline has no training slices")
    schema = examples[0].labels.schema
    for example in examples:
        if example.labels.schema.names != schema.names:
            raise MismatchError(
                f"classes {', '.join(example.labels.schema.names)}",
                expected=f"the classes of the other labels: {', '.join(schema.names)}",
            )
        if example.image.grid.shape_zyx != example.labels.grid.shape_zyx:
            raise MismatchError(
                f"the labels have shape {example.labels.grid.shape_zyx} (z, y, x)",
                expected=f"the shape of the image, {example.image.grid.shape_zyx}",
            )
    return schema


def _present(examples: Sequence[TrainingSlices], schema: ClassSchema) -> tuple[str, ...]:
    """Return the classes that occur in the boxes to learn from."""
    n_of_value = np.zeros(256, np.int64)
    for example in examples:
        for box in _slabs(example.boxes):
            n_of_value += np.bincount(example.labels.read(box).ravel(), minlength=256)
    return tuple(c.name for c in schema.classes if n_of_value[c.value])


def _best_classes(joint: npt.NDArray[np.int64]) -> tuple[list[int], float]:
    """Return the class of each range and its mean IoU; rows are ranges, columns classes."""
    n_ranges, n_classes = joint.shape
    rank = (np.arange(n_ranges) @ joint) / joint.sum(axis=0)  # mean place from dark to bright
    order = sorted(range(n_classes), key=lambda c: (rank[c], c))
    best = [order[i * n_classes // n_ranges] for i in range(n_ranges)]
    score = _mean_iou(joint, best)
    improved = True
    while improved:
        improved = False
        for i in range(n_ranges):
            for c in range(n_classes):
                trial = [*best[:i], c, *best[i + 1 :]]
                if _mean_iou(joint, trial) > score:
                    best, score, improved = trial, _mean_iou(joint, trial), True
    return best, score


def _mean_iou(joint: npt.NDArray[np.int64], classes: Sequence[int]) -> float:
    given = np.zeros((joint.shape[1],) * 2, np.int64)  # rows: class given, columns: true class
    for i, c in enumerate(classes):
        given[c] += joint[i]
    hit = np.diagonal(given)
    return float(np.mean(hit / (given.sum(axis=0) + given.sum(axis=1) - hit)))
