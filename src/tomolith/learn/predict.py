"""Predict a whole scan, out of core: labels, and where asked how sure they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.blocks import Block, run_blocks
from tomolith.config import settings_hash
from tomolith.core import Box, IntensityStats, LabelMap, Normalisation, Provenance
from tomolith.core.provenance import code_version
from tomolith.errors import IncompleteError
from tomolith.learn.backends import Backend, BackendInfo
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.examples import neighbours
from tomolith.learn.outputs import EXTRAS, BlockResult, Outputs
from tomolith.learn.planes import PlanePatches
from tomolith.learn.predict_plan import PredictPlan, plan_prediction
from tomolith.learn.settings import PredictSettings
from tomolith.learn.sliding import best_class, blend_slices, entropy, softmax, to_bytes
from tomolith.learn.uncertainty import build_predictor
from tomolith.store.locks import lock
from tomolith.store.marks import Marks
from tomolith.store.scan import Scan

__all__ = ["PredictPlan", "plan_prediction", "predict"]

Float32 = npt.NDArray[np.float32]


def predict(
    scan: Scan,
    bundle: ModelBundle,
    settings: PredictSettings,
    *,
    name: str = "prediction",
    title: str = "predict",
) -> LabelMap:
    """Label every voxel of a scan, block by block, within a memory budget.

    Patches lie on a grid anchored at the scan's origin, their logits are averaged where
    they overlap, and the class with the highest mean becomes the label. The labels do not
    depend on block size, executor or number of workers, nor on where a run was killed and
    resumed. Voxels that are ``invalid`` in the scan become *unlabelled*. Labels that were made
    from the same scan, model and settings, and are whole, are returned as they are.

    Parameters
    ----------
    scan
        The finished scan; gets ``labels/<name>``, and where asked ``probabilities/<name>``,
        ``entropy/<name>`` and ``mutual_information/<name>``.
    bundle
        The trained model.
    settings
        How to run it.
    name
        Name of the label map. While it is unfinished it is called ``<name>.partial``.
    title
        For the progress bar and messages.

    Raises
    ------
    MismatchError
        The model was trained for another voxel size.
    InputError
        The scan is smaller than a patch, or holds sections where the model sees a slice between
        its neighbours; planes across the slices, or a 3-D network, where voxels
        are no cubes; dropout or mutual information of a network that has none.
    MemoryBudgetError
        Not even the smallest block fits ``settings.memory``.
    LockedError
        Another process predicts the same label map.
    DiskError
        The disk is full, read-only or not permitted; run again to go on.
    IncompleteError
        Some blocks failed; run again to try these once more.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> from tomolith.config import Component
    >>> from tomolith.core import PRESETS, Grid
    >>> from tomolith.learn.networks import NETWORKS
    >>> unet = Component(name="unet", options={"channels": 2, "depth": 2})
    >>> weights = NETWORKS.build(unet, 1, 2).state_dict()
    >>> bundle = ModelBundle(
    ...     unet, PRESETS["li-binary"], None, False, Normalisation(), 1, 16, weights=weights
    ... )
    >>> image = np.random.default_rng(0).integers(0, 99, (2, 40, 40), dtype=np.uint8)
    >>> path = Path(tempfile.mkdtemp()) / "a.zarr"
    >>> scan = Scan.create(path, Grid((2, 40, 40), None), np.uint8, provenance=Provenance("doc"))
    >>> scan.image.array[:] = image
    >>> scan.set_stats([IntensityStats.of_sample(image)])
    >>> scan.finish()
    >>> predict(scan, bundle, PredictSettings(backend="torch", threads=1)).volume.array.shape
    (2, 40, 40)
    """
    bundle.check_matches(scan.image)
    _check_stats(scan)
    plan = plan_prediction(scan.grid, bundle, settings, layout=scan.layout, dtype=scan.image.dtype)
    folder = scan.path.parent / ".tomolith" / f"{scan.id}.{name}"
    with lock(folder, title):
        backends = _build_backends(plan, settings)
        engine = ", ".join(dict.fromkeys(str(BackendInfo.of(backend)) for backend in backends))
        key = _key(scan, bundle, plan, settings=settings, engine=engine)
        marks = Marks(folder, key)
        outputs = Outputs(
            scan,
            name,
            schema=bundle.schema,
            extras=[kind for kind in EXTRAS if getattr(settings, kind)],
        )
        if outputs.are_made(key):
            marks.clear()
            return scan.labels(name)
        made_from = (f"scan {scan.id}", f"model {bundle.fingerprint}", engine)
        outputs.open(
            marks,
            all_done=all(marks.is_done(block.name) for block in plan.blocks),
            provenance=Provenance.now("predict", inputs=made_from, settings_hash=key),
        )
        run_blocks(
            plan.blocks,
            BlockPredictor(scan, bundle, plan, backends=backends, outputs=outputs),
            executor=settings.executor,
            workers=settings.workers,
            marks=marks,
            title=title,
        )
        outputs.finish()
        marks.clear()
    return scan.labels(name)


class BlockPredictor:
    """Reads, predicts and writes one block; may be called from several threads.

    Each plane of the plan has its own backend, or shares it with others. One thread at a time runs
    a network, the others read, blend or write.
    """

    def __init__(
        self,
        scan: Scan,
        bundle: ModelBundle,
        plan: PredictPlan,
        *,
        backends: Sequence[Backend],
        outputs: Outputs,
    ) -> None:
        self._image, self._invalid = scan.image, scan.invalid
        self._stats: tuple[IntensityStats, ...] = scan.stats
        self._normalisation: Normalisation = bundle.normalisation
        self._schema, self._temperature = bundle.schema, bundle.temperature
        self._plan, self._backends, self._outputs = plan, backends, outputs
        self._network_free = threading.Lock()

    def __call__(self, block: Block) -> None:
        """Predict ``block``; when this returns its voxels are safely on the disk."""
        result = self._compute(block.write)
        if self._invalid is not None:
            masked = self._invalid[block.write.slices] != 0
            result.labels[masked] = self._schema.unlabelled
            if result.probabilities is not None:
                result.probabilities[:, masked] = 0
            for doubt in (result.entropy, result.mutual_information):
                if doubt is not None:
                    doubt[masked] = 255
        self._outputs.write(block.write, result)

    def _compute(self, write: Box) -> BlockResult:
        read = self._plan.read_box(write)
        image = self._image.read(read)
        result = self._empty(write)
        values = np.array(self._schema.values, np.uint8)
        n_classes = len(values)
        for z, channels in self._slices(image, read, write):
            k, logits = z - write.start_zyx[0], channels[:n_classes]
            result.labels[k] = best_class(logits, values)
            if result.mutual_information is not None:
                result.mutual_information[k] = to_bytes(channels[n_classes])
            if result.probabilities is None and result.entropy is None:
                continue
            logits *= np.float32(1 / self._temperature)
            shares = softmax(logits)
            if result.probabilities is not None:
                for channel, share in enumerate(shares):
                    result.probabilities[channel, k] = to_bytes(share)
            if result.entropy is not None:
                result.entropy[k] = to_bytes(entropy(shares))
        return result

    def _slices(
        self, image: npt.NDArray[Any], read: Box, write: Box
    ) -> Iterator[tuple[int, Float32]]:
        """Yield z and the channels (C, H, W) of each slice of ``write``, mean over the planes."""
        planes, weights = self._plan.planes, self._plan.weights
        if [plane.name for plane in planes] == ["xy"]:
            yield from self._blend(planes[0], self._backends[0], image, read=read, write=write)
            return
        sums: Float32 | None = None
        for plane, backend, weight in zip(planes, self._backends, weights, strict=True):
            first = plane.turn(write).start_zyx[0]
            for number, logits in self._blend(plane, backend, image, read=read, write=write):
                if sums is None:
                    sums = np.zeros((len(logits), *write.shape_zyx), np.float32)
                turned = sums.transpose(0, *(axis + 1 for axis in plane.axes))
                logits *= np.float32(weight)
                turned[:, number - first] += logits
        assert sums is not None
        sums /= np.float32(sum(weights))
        yield from enumerate(sums.swapaxes(0, 1), start=write.start_zyx[0])

    def _blend(
        self,
        plane: PlanePatches,
        backend: Backend,
        image: npt.NDArray[Any],
        *,
        read: Box,
        write: Box,
    ) -> Iterator[tuple[int, Float32]]:
        is_3d = len(self._plan.batch_shape) == 5

        def prepare(patch: Box) -> Float32:
            shown = plane.between_neighbours(patch)
            box = plane.turn_back(shown)
            grey = image[box.relative_to(read).slices].transpose(plane.axes)
            if plane.n_slices > 1:
                first, depth = shown.start_zyx[0], plane.patches.shape_zyx[0]
                wanted = neighbours(patch.start_zyx[0], plane.n_slices, depth)
                grey = grey[[z - first for z in wanted]]
            given = self._normalisation.apply(grey, self._stats, z_start=box.start_zyx[0])
            if grey.dtype.kind == "f":  # what is invalid becomes a middle grey
                np.nan_to_num(given, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            # of a 2-D network the slices are the channels
            return given[None] if is_3d else given

        def infer(batch: Float32) -> Float32:
            with self._network_free:
                return backend.logits(batch)

        return blend_slices(
            prepare,
            infer,
            patches=plane.patches,
            write=plane.turn(write),
            batch_size=self._plan.batch_shape[0],
        )

    def _empty(self, write: Box) -> BlockResult:
        shape = write.shape_zyx
        n_classes = len(self._schema)
        asked = self._outputs.kinds
        return BlockResult(
            np.empty(shape, np.uint8),
            np.empty((n_classes, *shape), np.uint8) if "probabilities" in asked else None,
            np.empty(shape, np.uint8) if "entropy" in asked else None,
            np.empty(shape, np.uint8) if "mutual_information" in asked else None,
        )


def _build_backends(plan: PredictPlan, settings: PredictSettings) -> tuple[Backend, ...]:
    """Return what runs the model of each plane; planes of one model share it."""
    built: dict[int, Backend] = {}
    for model in plan.models:
        if id(model) not in built:
            network = model.build_network()
            built[id(model)] = build_predictor(network, plan.batch_shape, settings)
    return tuple(built[id(model)] for model in plan.models)


def _check_stats(scan: Scan) -> None:
    if not scan.stats:
        raise IncompleteError(
            f"scan '{scan.id}' has no intensity statistics to normalise it by",
            where=scan.path,
            mend="run the step that makes the scan again (import or phantom)",
        )


def _key(
    scan: Scan,
    bundle: ModelBundle,
    plan: PredictPlan,
    *,
    settings: PredictSettings,
    engine: str,
) -> str:
    """Return the hash of all that a voxel's label depends on; blocks are not among it."""
    return settings_hash(
        code_version(),
        [scan.grid.shape_zyx, str(scan.image.dtype), scan.image.provenance.identity()],
        [stats.to_dict() for stats in scan.stats],
        [bundle.fingerprint, bundle.network, bundle.schema.to_dict(), str(bundle.normalisation)],
        bundle.temperature,
        [[plane.name for plane in plan.planes], plan.weights],
        [settings.overlap_frac, plan.batch_shape],
        [settings.flips, settings.mc_dropout, engine],
        [getattr(settings, kind) for kind in EXTRAS],
    )
