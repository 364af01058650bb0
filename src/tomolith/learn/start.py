"""The trained model whose weights a training starts from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tomolith.core import ClassSchema
from tomolith.errors import IntegrityError, MismatchError
from tomolith.label.splits import SliceRange, Split
from tomolith.learn.bundle import ModelBundle, classes_text
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings

_KEY = "train.start_from"
_BEFORE = "learnt_before"  # of split.json: what the models before this one have learnt from


@dataclass(frozen=True, slots=True)
class Start:
    """A trained model, and the slices that it has learnt from.

    Parameters
    ----------
    bundle
        The model; its weights take the place of random ones.
    learnt
        Slices that it, and the models that it started from, have learnt from: of its plane, and
        of scans with the same ids as those that are to train. Empty where they are not known.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Normalisation
    >>> schema, unet = PRESETS["li-binary"], TrainSettings(network="unet").network
    >>> weights = NETWORKS.build(unet, 1, 2).state_dict()
    >>> bundle = ModelBundle(unet, schema, None, False, Normalisation(), 1, 16, weights=weights)
    >>> Start(bundle).check(TrainSettings(network="ynet"), schema)
    Traceback (most recent call last):
    tomolith.errors.MismatchError: the model to start from is of another kind...
    """

    bundle: ModelBundle
    learnt: tuple[SliceRange, ...] = ()

    @classmethod
    def load(cls, folder: Path, *, same_scans: bool) -> Start:
        """Read a model, and what it learnt from where ``same_scans`` says that it knows the scans.

        Raises
        ------
        ReadError
            There is no model.
        IntegrityError
            Its weights or its split are damaged.
        """
        bundle, path = ModelBundle.load(folder), folder / "split.json"
        if not (same_scans and path.is_file()):
            return cls(bundle)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            before = tuple(SliceRange(*entry) for entry in values.get(_BEFORE, ()))
            return cls(bundle, (*Split.from_dict(values).train, *before))
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"the split of the model cannot be read: {error!r}",
                where=path,
                mend="train the model again, or name it by its path",
            ) from None

    def history(self) -> dict[str, Any]:
        """Return what ``split.json`` of the new model says of what was learnt before."""
        return {_BEFORE: [[r.scan_id, r.z_start, r.z_stop] for r in dict.fromkeys(self.learnt)]}

    def check(self, settings: TrainSettings, schema: ClassSchema) -> None:
        """Refuse a model of which the training cannot take over the weights.

        Raises
        ------
        MismatchError
            It is of another network, or other classes, plane, slices at a time or normalisation.
        """
        bundle = self.bundle
        pairs = {
            "network": (bundle.network.name, settings.network.name),
            "classes": (classes_text(bundle.schema), classes_text(schema)),
            "plane": (bundle.plane, settings.plane),
            "slices seen at a time": (bundle.in_channels, settings.in_channels),
            "normalisation": (bundle.normalisation, settings.normalisation.normalisation()),
        }
        rows = [
            f"{name}: {found}, and {wanted} is to be trained"
            for name, (found, wanted) in pairs.items()
            if found != wanted
        ]
        rows = rows or list(self._other_sizes(settings, len(schema)))
        if rows:
            raise MismatchError(
                "\n    ".join(("the model to start from is of another kind", *rows)),
                expected="what is to be trained, but for its weights",
                where=_KEY,
                mend="give 'train' the settings of the model, or leave 'start_from' out",
            )

    def _other_sizes(self, settings: TrainSettings, n_classes: int) -> Iterable[str]:
        """Say where the network to be trained has other weights; options may differ else."""
        with torch.random.fork_rng(devices=[]):
            network = NETWORKS.build(settings.network, settings.in_channels, n_classes)
        wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
        found = {name: tuple(t.shape) for name, t in self.bundle.weights.items()}
        different = [n for n in {**wanted, **found} if wanted.get(n) != found.get(n)]
        if different:
            name = different[0]
            yield (
                f"network: {len(different)} weights are of another size; '{name}' is "
                f"{found.get(name, 'not there')}, and {wanted.get(name, 'none')} is to be trained"
            )

    def check_held_out(self, parts: Split, *, gap: int) -> None:
        """Refuse to hold out slices that the model has learnt from, or that lie beside them.

        A slice of another plane cuts all slices of the test.

        Raises
        ------
        MismatchError
            Scores on such slices would be too good.
        """
        cut = set() if parts.plane == "xy" else set(parts.test)
        for learnt in self.learnt:
            for held in (*parts.validation, *parts.test):
                is_near = held in cut or _apart(learnt, held) < gap
                if learnt.scan_id == held.scan_id and is_near:
                    raise MismatchError(
                        f"the model to start from has learnt from {_text(learnt)} of "
                        f"'{learnt.scan_id}', and {_text(held)} is to be held out",
                        expected=f"at least {gap} between them" if gap else "other slices",
                        where=_KEY,
                        mend="hold out what it held out, by name: 'split: {validation: "
                        '["run-1[40-49]"], test: [run-2]}\'; what it has learnt from stands in '
                        "split.json of the model",
                    )


def _apart(one: SliceRange, other: SliceRange) -> int:
    """Return how many slices lie between two ranges; below 0 where they overlap."""
    return max(one.z_start, other.z_start) - min(one.z_stop, other.z_stop)


def _text(part: SliceRange) -> str:
    last = part.z_stop - 1
    return f"slice {last}" if last == part.z_start else f"slices {part.z_start}-{last}"
