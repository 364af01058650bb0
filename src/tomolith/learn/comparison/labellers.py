"""One face for networks and classical methods: slices and patches in, labels out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tomolith.core import Box, Grid, Normalisation, Volume
from tomolith.errors import InputError
from tomolith.label.splits import Split
from tomolith.learn.backends import BackendInfo, build_backend, resolve
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.classical import (
    Forest,
    ForestSettings,
    OtsuBaseline,
    OtsuThresholds,
    TrainingSlices,
    fit_forest,
)
from tomolith.learn.comparison.material import Material
from tomolith.learn.comparison.run import Run
from tomolith.learn.comparison.settings import classical_options
from tomolith.learn.cubes import cube_logits
from tomolith.learn.examples import neighbours
from tomolith.learn.optimise import has_depth
from tomolith.learn.settings import PredictSettings
from tomolith.learn.sliding import best_class, softmax, to_bytes
from tomolith.learn.validation import Forward, as_infer, slice_logits
from tomolith.store.scan import Scan

Bytes = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Patches = Callable[[Float32], Bytes]

_FOREST_PX = 2**26  # pixels of training slices that are held for a forest at most


class Labeller(Protocol):
    """A trained system.

    Attributes
    ----------
    engine
        What computes the labels, in words.
    """

    engine: str

    def label_slice(self, scan: Scan, z: int) -> Bytes:
        """Return the labels (y, x) of one slice of a scan."""

    def judge_slice(self, scan: Scan, z: int) -> tuple[Bytes, Bytes | None]:
        """Return the labels (y, x) of one slice, and the probabilities of all classes.

        Probabilities are (classes, y, x), 255 for 1; ``None`` where the method knows of none.
        """

    def for_patches(self, batch: int, patch_px: int) -> Patches:
        """Return what labels batches of normalised patches (batch, patch_px, patch_px).

        A 3-D network labels batches of cubes, every slice of which is such a patch.
        """

    def fit_px(self, patch_px: int) -> int:
        """Return the least side of a patch, at least ``patch_px``, that it can take."""


class NetworkLabeller:
    """A network, run as ``predict`` runs it: the same labels, slice by slice.

    Parameters
    ----------
    bundle
        The trained model.
    settings
        Backend, precision, device, threads.
    """

    def __init__(self, bundle: ModelBundle, settings: PredictSettings) -> None:
        self.bundle, self._settings = bundle, settings
        self._network = bundle.build_network()
        self._values = np.array(bundle.schema.values, np.uint8)
        self._is_3d = has_depth(self._network)
        self._batch = resolve(settings, is_3d=self._is_3d).batch_size
        self._forward: Callable[[Tensor], Tensor] | None = None
        self._ahead: Iterator[tuple[int, Float32]] = iter(())
        self._next: tuple[str, int] | None = None  # scan and slice that come next of these
        self.engine = ""

    @property
    def network(self) -> nn.Module:
        """The network with its weights, in evaluation mode."""
        return self._network

    def label_slice(self, scan: Scan, z: int) -> Bytes:
        """Return the labels (y, x) of one slice of a scan."""
        return best_class(self._logits(scan, z), self._values)

    def judge_slice(self, scan: Scan, z: int) -> tuple[Bytes, Bytes | None]:
        """Return the labels (y, x) of one slice, and calibrated probabilities of all classes."""
        logits = self._logits(scan, z)
        labels = best_class(logits, self._values)
        logits *= np.float32(1 / self.bundle.temperature)
        return labels, to_bytes(softmax(logits))

    def _logits(self, scan: Scan, z: int) -> Float32:
        patch_px = self.bundle.patch_px
        if self._forward is None:
            backend = build_backend(
                self._network, self._shape(self._batch, patch_px), self._settings
            )
            self._forward = lambda given: torch.from_numpy(backend.logits(given.numpy()))
        if self._is_3d:
            return self._deep_logits(scan, z, self._forward)
        image = _normalised_stack(
            scan, z, self.bundle.normalisation, n_slices=self.bundle.in_channels
        )
        np.nan_to_num(image, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return slice_logits(self._forward, image, patch_px=patch_px, batch=self._batch)

    def _deep_logits(self, scan: Scan, z: int, forward: Forward) -> Float32:
        """Return the logits of a slice; those asked for one after another are computed together."""
        if self._next != (scan.id, z):
            self._ahead = cube_logits(
                as_infer(forward),
                scan,
                normalisation=self.bundle.normalisation,
                patch_px=self.bundle.patch_px,
                batch=self._batch,
                z_range=(z, scan.grid.shape_zyx[0]),
            )
        self._next = scan.id, z + 1
        return next(self._ahead)[1]

    def _shape(self, batch: int, patch_px: int) -> tuple[int, ...]:
        return (batch, self.bundle.in_channels, *(patch_px,) * (3 if self._is_3d else 2))

    def for_patches(self, batch: int, patch_px: int) -> Patches:
        """Return what labels batches of normalised patches (batch, patch_px, patch_px)."""
        shape, values = self._shape(batch, patch_px), self._values
        backend = build_backend(self._network, shape, self._settings)
        self.engine = str(BackendInfo.of(backend))

        def label(patches: Float32) -> Bytes:
            given = patches[:, None].repeat(self.bundle.in_channels, axis=1)
            if self._is_3d:
                given = given[:, :, None].repeat(patch_px, axis=2)
            logits = backend.logits(given)
            return best_class(np.moveaxis(logits, 1, 0), values)

        return label

    def fit_px(self, patch_px: int) -> int:
        """Return the next multiple of the network's divisor."""
        divisor = int(getattr(self._network, "divisor", 1))
        return -(-patch_px // divisor) * divisor


class OtsuLabeller:
    """Thresholds found anew in each scan."""

    engine = "scikit-image on cpu, 1 thread"

    def __init__(self, otsu: OtsuBaseline) -> None:
        self._otsu = otsu
        self._thresholds: dict[str, OtsuThresholds] = {}

    def label_slice(self, scan: Scan, z: int) -> Bytes:
        """Return the labels (y, x) of one slice of a scan."""
        if scan.grid.sections:  # each has thresholds of its own: not those of the whole scan
            thresholds = self._otsu.thresholds(scan.image, section=z)
        else:
            if scan.id not in self._thresholds:
                self._thresholds[scan.id] = self._otsu.thresholds(scan.image)
            thresholds = self._thresholds[scan.id]
        labels: Bytes = self._otsu.predict_box(scan.image, _slice_box(scan, z), thresholds)[0]
        return labels

    def judge_slice(self, scan: Scan, z: int) -> tuple[Bytes, Bytes | None]:
        """Return the labels (y, x) of one slice; thresholds know of no probabilities."""
        return self.label_slice(scan, z), None

    def for_patches(self, batch: int, patch_px: int) -> Patches:
        """Return what labels batches of patches, by thresholds of the first of them."""
        found: list[OtsuThresholds] = []

        def label(patches: Float32) -> Bytes:
            volume = Volume(patches, Grid(patches.shape, None))
            if not found:  # during the warm-up, as a scan has its thresholds beforehand
                found.append(self._otsu.thresholds(volume))
            return self._otsu.predict_box(volume, volume.grid.box, found[0])

        return label

    def fit_px(self, patch_px: int) -> int:
        """Return ``patch_px``: every size will do."""
        return patch_px


class ForestLabeller:
    """A random forest on normalised grey values."""

    engine = "scikit-learn on cpu, 1 thread"

    def __init__(self, forest: Forest, normalisation: Normalisation) -> None:
        self._forest, self._normalisation = forest, normalisation

    def label_slice(self, scan: Scan, z: int) -> Bytes:
        """Return the labels (y, x) of one slice of a scan."""
        return self.judge_slice(scan, z)[0]

    def judge_slice(self, scan: Scan, z: int) -> tuple[Bytes, Bytes | None]:
        """Return the labels (y, x) of one slice, and the votes of the trees."""
        return self._forest.judge(_normalised(scan, z, self._normalisation))

    def for_patches(self, batch: int, patch_px: int) -> Patches:
        """Return what labels batches of patches, one after the other."""
        return lambda patches: np.stack([self._forest.predict(patch) for patch in patches])

    def fit_px(self, patch_px: int) -> int:
        """Return ``patch_px``: every size will do."""
        return patch_px


def fit_classical(run: Run, material: Material, split: Split) -> Labeller:
    """Fit Otsu thresholds or a forest on the training slices.

    Raises
    ------
    InputError
        The training slices hold no labelled pixel.
    RecipeError
        An option is unknown.
    """
    options = classical_options(run.method)
    boxes = material.boxes(split, "train")
    if isinstance(options, ForestSettings):
        return _forest(run, material, boxes, options)
    learnt = [
        TrainingSlices(scan.image, scan.labels(material.labels), boxes[scan.id])
        for scan in material.scans
        if scan.id in boxes
    ]
    most = 2 if run.method.name == "otsu" else None
    return OtsuLabeller(OtsuBaseline.fit(learnt, median_px=options.median_px, max_ranges=most))


def _forest(
    run: Run, material: Material, boxes: dict[str, tuple[Box, ...]], options: ForestSettings
) -> ForestLabeller:
    normalisation = run.train.normalisation.normalisation()
    places = [
        (scan_id, z)
        for scan_id, slab in boxes.items()
        for box in slab
        for z in range(box.start_zyx[0], box.stop_zyx[0])
    ]
    if not places:
        raise InputError("there is no training slice to fit a forest on", where="compare")
    images, labels, n_px = [], [], 0
    spread = np.random.default_rng(0).permutation(len(places))
    for i in spread:
        scan_id, z = places[int(i)]
        scan = material.scan(scan_id)
        images.append(_normalised(scan, z, normalisation))
        labels.append(_known_labels(scan, material, z))
        n_px += images[-1].size
        if n_px >= _FOREST_PX:
            break
    if run.seed is not None:
        options = options.model_copy(update={"seed": run.seed})
    forest = fit_forest(images, labels, schema=material.schema, settings=options)
    return ForestLabeller(forest, normalisation)


def _known_labels(scan: Scan, material: Material, z: int) -> npt.NDArray[Any]:
    box = _slice_box(scan, z)
    values: npt.NDArray[Any] = scan.labels(material.labels).read(box)[0]
    if scan.invalid is None:
        return values
    bad = np.asarray(scan.invalid[box.slices])[0] != 0
    return np.where(bad, np.uint8(material.schema.unlabelled), values)


def _normalised(scan: Scan, z: int, normalisation: Normalisation) -> Float32:
    grey = scan.image.read(_slice_box(scan, z))
    image: Float32 = normalisation.apply(grey, scan.stats, z_start=z)[0]
    return image


def _normalised_stack(
    scan: Scan, z: int, normalisation: Normalisation, *, n_slices: int
) -> Float32:
    """Return a slice between its neighbours (n_slices, y, x), as a network is shown it."""
    depth, height, width = scan.grid.shape_zyx
    wanted = neighbours(z, n_slices, depth)
    first = min(wanted)
    grey = scan.image.read(Box((first, 0, 0), (max(wanted) + 1, height, width)))
    return normalisation.apply(grey[[k - first for k in wanted]], scan.stats, z_start=z)


def _slice_box(scan: Scan, z: int) -> Box:
    _, height, width = scan.grid.shape_zyx
    return Box((z, 0, 0), (z + 1, height, width))
