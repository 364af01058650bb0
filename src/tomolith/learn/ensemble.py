"""Trained models made into one: the weighted mean of their probabilities (E-Net)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tomolith.config import Component, settings_hash
from tomolith.core import Provenance
from tomolith.errors import InputError, MismatchError
from tomolith.label.splits import Split
from tomolith.learn.bundle import ModelBundle, classes_text
from tomolith.learn.calibration import slices_temperature
from tomolith.learn.device import make_fabric, torch_threads
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.examples import Example, SliceCache, channel_table, normalise_stack
from tomolith.learn.losses.cross_entropy import CrossEntropy
from tomolith.learn.networks import NETWORKS
from tomolith.learn.networks.ensemble import Ensemble, MembersApart
from tomolith.learn.optimise import has_depth
from tomolith.learn.settings import TrainSettings
from tomolith.learn.validation import SlicePredictor, choose_slices, slice_logits, validate
from tomolith.learn.weight_search import SearchResult, Slice, search_weights
from tomolith.store.atomic import write_text

__all__ = ["EnsembleResult", "ensemble", "join_models"]

_BATCH = 4
_CACHE_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class EnsembleResult:
    """What making an ensemble gave.

    Parameters
    ----------
    bundle
        The ensemble; also stored.
    weights
        Of each member that was given, with sum 1; a member of weight 0 is not in the bundle.
    search
        How the weights were found; ``None`` where they were given.
    """

    bundle: ModelBundle
    weights: tuple[float, ...]
    search: SearchResult | None


def join_models(members: Sequence[ModelBundle], weights: Sequence[float]) -> ModelBundle:
    """Return one bundle that gives the weighted mean of the members' probabilities.

    Members of weight 0 are left out.  The temperature is the weighted mean of the members', as long
    as none is fitted (:func:`ensemble`).  Where members learnt from different planes, ``predict``
    shows each its own, and averages the logits between planes with the weights (batteryNET's
    fusion), the probabilities between members of one plane.

    Raises
    ------
    InputError
        Not one weight for each member, a negative one, or all are 0; or a member is 3-D, or joins
        models of several planes.
    MismatchError
        The members differ in classes, voxel size, normalisation, channels or patch size.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Normalisation
    >>> from tomolith.learn.networks import NETWORKS
    >>> unet = Component(name="unet", options={"channels": 2, "depth": 2})
    >>> weights = NETWORKS.build(unet, 1, 2).state_dict()
    >>> member = ModelBundle(
    ...     unet, PRESETS["li-binary"], None, False, Normalisation(), 1, 16, weights=weights
    ... )
    >>> join_models([member, member], [1, 3]).network.options["weights"]
    [0.25, 0.75]
    """
    if len(members) != len(weights) or not any(weights) or min(weights) < 0:
        raise InputError(
            f"{len(members)} members and the weights {list(weights)}",
            expected="a weight of at least 0 for each member, and one above 0",
            where="ensemble.weights",
        )
    _check_alike(members)
    kept = [(m, float(w) / sum(weights)) for m, w in zip(members, weights, strict=True) if w > 0]
    options: dict[str, Any] = {
        "members": [{"name": m.network.name, **m.network.options} for m, _ in kept],
        "weights": [weight for _, weight in kept],
    }
    if _are_of_several_planes([member for member, _ in kept]):
        options["planes"] = [member.plane for member, _ in kept]
    network = Component(name="ensemble", options=options)
    tensors = {
        f"members.{i}.{name}": tensor
        for i, (member, _) in enumerate(kept)
        for name, tensor in member.weights.items()
    }
    return replace(
        kept[0][0],
        network=network,
        weights=tensors,
        settings=kept[0][0].settings.model_copy(update={"network": network}),
        scores={},
        temperature=math.fsum(weight * member.temperature for member, weight in kept),
        provenance=Provenance.now(
            "ensemble",
            inputs=tuple(f"model {member.fingerprint}" for member, _ in kept),
            settings_hash=settings_hash(network),
        ),
    )


def ensemble(
    members: Sequence[ModelBundle],
    settings: EnsembleSettings,
    folder: Path,
    *,
    examples: Sequence[Example] = (),
    splits: Sequence[Split] = (),
) -> EnsembleResult:
    """Make an ensemble of trained models, and store it as a model.

    With labelled scans the weights may be searched, and in any case the ensemble is scored and
    its temperature fitted, on the validation slices of its members. Not so where these learnt from
    different planes: a slice that validates one member is cut by all slices that train another.
    The split that is stored then names the test alone.

    Parameters
    ----------
    members
        The trained models, in the order of ``settings.members``.
    settings
        The weights, or what they shall be best at.
    folder
        Where the ensemble is stored.
    examples
        The scans that the members were trained on.
    splits
        The split of each member; all must be the same.

    Raises
    ------
    InputError
        Weights are to be searched and there are no validation slices, or a member is 3-D.
    MismatchError
        The members do not fit together, or were trained on different slices; of different planes:
        they do not keep the same whole scans for the test.
    IntegrityError
        The weights of a member are damaged.
    DiskError
        ``folder`` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import PRESETS, Normalisation
    >>> unet = Component(name="unet", options={"channels": 2, "depth": 2})
    >>> binary = PRESETS["li-binary"]
    >>> members = [
    ...     ModelBundle(unet, binary, None, False, Normalisation(), 1, 16, weights=net.state_dict())
    ...     for net in (NETWORKS.build(unet, 1, 2), NETWORKS.build(unet, 1, 2))
    ... ]
    >>> folder, settings = Path(tempfile.mkdtemp()), EnsembleSettings(weights=[1, 3], threads=1)
    >>> ensemble(members, settings, folder).weights, ModelBundle.load(folder).network.name
    ((0.25, 0.75), 'ensemble')
    """
    check_fusion(members, settings)
    common = _common_test if _are_of_several_planes(members) else _common_split
    split = common(settings.members, splits) if splits else Split((), ())
    examples = [example.in_plane(split.plane) for example in examples]
    most_px = max(member.settings.validation_pixels for member in members)
    places = _validation_places(examples, split, most_px=most_px)
    if settings.search is not None and not places:
        raise InputError(
            "there are no validation slices to search the weights on",
            where="ensemble.search",
            mend="add 'train:' with the split of the members, or give 'weights'",
        )
    weights, found = settings.member_weights, None
    with torch_threads(settings.threads):
        if places:
            slices = _ValidationSlices(examples, places, members[0], settings)
            if settings.search is not None:
                found = slices.search(members)
                weights = found.weights
            bundle = slices.finish(join_models(members, weights))
        else:
            bundle = join_models(members, weights)
    if splits:
        write_text(folder / "split.json", json.dumps(split.to_dict(), indent=1))
    bundle.save(folder)
    return EnsembleResult(bundle, tuple(w / sum(weights) for w in weights), found)


class _ValidationSlices:
    """The validation slices, and what is found on them."""

    def __init__(
        self,
        examples: Sequence[Example],
        places: Sequence[tuple[int, int]],
        like: ModelBundle,
        settings: EnsembleSettings,
    ) -> None:
        self._examples, self._places, self._goal = examples, places, settings.search
        self._cache = SliceCache(examples, like.schema, _CACHE_BYTES)
        self._normalisation, self._patch_px = like.normalisation, like.patch_px
        self._n_slices = like.in_channels
        train = TrainSettings(device=settings.device, precision="fp32")
        self._device = make_fabric(train).device
        self._table = channel_table(like.schema)

    def search(self, members: Sequence[ModelBundle]) -> SearchResult:
        """Return the best weights of the members."""
        network = join_models(members, [1.0] * len(members)).build_network()
        assert isinstance(network, Ensemble)
        assert self._goal is not None
        forward = self._forward(MembersApart(network))
        n = len(members)

        def slices() -> Iterator[Slice]:
            for example, z in self._places:
                greys, labels = self._cache.read_stack(example, z, self._n_slices)
                of = self._examples[example]
                image = normalise_stack(np.stack(greys), of, z, self._normalisation)
                logits = slice_logits(
                    forward, image, patch_px=self._patch_px, batch=_BATCH, is_fixed=False
                )
                yield logits.reshape(n, -1, *labels.shape), self._table[labels]

        return search_weights(slices, n, goal=self._goal, n_slices=len(self._places))

    def finish(self, bundle: ModelBundle) -> ModelBundle:
        """Return the bundle with its scores and its temperature."""
        forward = self._forward(bundle.build_network())
        predictor = SlicePredictor(
            forward,
            self._examples,
            self._cache,
            self._normalisation,
            self._patch_px,
            _BATCH,
            self._n_slices,
        )
        scores = validate(predictor, CrossEntropy(), self._places)
        named = {f"validation_iou_{name}": value for name, value in scores.iou.items()}
        return replace(
            bundle,
            scores={"validation_iou": scores.mean_iou, **named},
            temperature=slices_temperature(predictor, self._places),
        )

    def _forward(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        module = network.eval().to(self._device, memory_format=torch.channels_last)

        def forward(image: Tensor) -> Tensor:
            given = image.to(self._device, memory_format=torch.channels_last)
            logits: Tensor = module(given)
            return logits

        return forward


def check_fusion(members: Sequence[ModelBundle], settings: EnsembleSettings) -> None:
    """Refuse members that do not fit together; errors as of :func:`ensemble`."""
    _check_alike(members)
    if settings.search is not None and _are_of_several_planes(members):
        raise InputError(
            "the members learnt from different planes, so no slices validate them all",
            where="ensemble.search",
            mend="give 'weights'",
        )


def _are_of_several_planes(members: Sequence[ModelBundle]) -> bool:
    return len({member.plane for member in members}) > 1


def _common_test(names: Sequence[str], splits: Sequence[Split]) -> Split:
    """Return the test of all members, whole scans of which none has learnt anything."""
    kept = {r.scan_id for r in splits[0].test}
    for name, split in zip(names, splits, strict=True):
        learnt = {r.scan_id for r in (*split.train, *split.validation)}
        if learnt & kept or {r.scan_id for r in split.test} != kept:
            raise MismatchError(
                f"'{name}' does not keep the same whole scans for the test as '{names[0]}'",
                expected="whole scans, the same for all members, as these see different planes",
                where="ensemble.members",
                mend="train all members with the same 'train.split: {test: [scan]}'",
            )
    return Split((), (), splits[0].test)


def _common_split(names: Sequence[str], splits: Sequence[Split]) -> Split:
    for name, split in zip(names, splits, strict=True):
        if split != splits[0]:
            raise MismatchError(
                f"'{name}' was trained and validated on other slices than '{names[0]}'",
                expected="one split for all members",
                where="ensemble.members",
                mend="train all members with the same 'train.split', scans and labels",
            )
    return splits[0]


def _validation_places(
    examples: Sequence[Example], split: Split, *, most_px: int
) -> list[tuple[int, int]]:
    numbers = {e.scan_id: i for i, e in enumerate(examples)}
    ranges = [r for r in split.validation if r.scan_id in numbers]
    places = [(numbers[r.scan_id], z) for r in ranges for z in range(r.z_start, r.z_stop)]
    return choose_slices(places, examples, most_px=most_px)


def _check_alike(members: Sequence[ModelBundle]) -> None:
    """Refuse members that cannot see the same patches or do not mean the same classes."""
    for member in members:
        if has_depth(NETWORKS.load(member.network.name)):
            raise InputError(
                f"the member '{member.network.name}' sees cubes of a volume",
                expected="networks that see slices",
                where="ensemble.members",
                mend="leave it out; its predictions can be compared with theirs",
            )
        if member.network.options.get("planes"):
            raise InputError(
                "a member is itself an ensemble of models of several planes",
                where="ensemble.members",
                mend="name its members instead",
            )
    first, want = members[0], _facts(members[0])
    for i, member in enumerate(members[1:], start=1):
        rows = [
            f"    {name}: {want[name]}, and {value}"
            for name, value in _facts(member).items()
            if value != want[name]
        ]
        if rows:
            raise MismatchError(
                f"member {i} ({member.network.name}) does not fit the first one "
                f"({first.network.name})\n" + "\n".join(rows),
                expected="models of one kind of scan",
                where="ensemble.members",
                mend="train the members with the same settings but for the network",
            )


def _facts(bundle: ModelBundle) -> dict[str, str]:
    size = bundle.voxel_size_um
    return {
        "classes": classes_text(bundle.schema),
        "voxel size": "unknown" if size is None else " × ".join(f"{v:g}" for v in size) + " µm",
        "sections": str(bundle.sections),
        "normalisation": str(bundle.normalisation),
        "slices seen at a time": str(bundle.in_channels),
        "patch_px": str(bundle.patch_px),
    }
