"""The trained model whose weights a training starts from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tomolith.core import ClassSchema
from tomolith.errors import MismatchError
from tomolith.label.splits import SliceRange, Split
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.settings import TrainSettings

_KEY = "train.start_from"


@dataclass(frozen=True, slots=True)
class Start:
    """A trained model, and the slices that it has learnt from.

    Parameters
    ----------
    bundle
        The model; its weights take the place of random ones.
    split
        Its slices, of scans with the same ids as those that are to train; ``None``: not known.

    Examples
    --------
    >>> from tomolith.config import Component
    >>> from tomolith.core import PRESETS, Normalisation
    >>> from tomolith.learn.networks import NETWORKS
    >>> schema, unet = PRESETS["li-binary"], Component(name="unet", options={"depth": 2})
    >>> weights = NETWORKS.build(unet, 1, 2).state_dict()
    >>> start = Start(
    ...     ModelBundle(unet, schema, None, False, Normalisation(), 1, 16, weights=weights)
    ... )
    >>> start.check(TrainSettings(network="unet"), schema)
    Traceback (most recent call last):
    tomolith.errors.MismatchError: the model to start from is of another kind...
    """

    bundle: ModelBundle
    split: Split | None = None

    @classmethod
    def load(cls, folder: Path, *, same_scans: bool) -> Start:
        """Read a model, and its split where ``same_scans`` says that its scans are those here.

        Raises
        ------
        ReadError
            There is no model.
        IntegrityError
            Its weights are damaged.
        """
        bundle, path = ModelBundle.load(folder), folder / "split.json"
        if not (same_scans and path.is_file()):
            return cls(bundle)
        return cls(bundle, Split.from_dict(json.loads(path.read_text(encoding="utf-8"))))

    def check(self, settings: TrainSettings, schema: ClassSchema) -> None:
        """Refuse a model of which the training cannot take over the weights.

        Raises
        ------
        MismatchError
            It is of another network, or other classes, plane, slices at a time or normalisation.
        """
        bundle = self.bundle
        pairs = {
            "network": (bundle.network, settings.network),
            "classes": (_classes(bundle.schema), _classes(schema)),
            "plane": (bundle.plane, settings.plane),
            "slices seen at a time": (bundle.in_channels, settings.in_channels),
            "normalisation": (bundle.normalisation, settings.normalisation.normalisation()),
        }
        rows = [
            f"    {name}: {found}, and {wanted} is to be trained"
            for name, (found, wanted) in pairs.items()
            if found != wanted
        ]
        if rows:
            raise MismatchError(
                "the model to start from is of another kind\n" + "\n".join(rows),
                expected="what is to be trained, but for its weights",
                where=_KEY,
                mend="give 'train' the settings of the model, or leave 'start_from' out",
            )

    def check_held_out(self, parts: Split, *, gap: int) -> None:
        """Refuse to hold out slices that the model has learnt from, or that lie beside them.

        Raises
        ------
        MismatchError
            Scores on such slices would be too good.
        """
        for learnt in () if self.split is None else self.split.train:
            for held in (*parts.validation, *parts.test):
                if _are_near(learnt, held, gap):
                    raise MismatchError(
                        f"the model to start from has learnt from {_text(learnt)} of "
                        f"'{learnt.scan_id}', and {_text(held)} is to be held out",
                        expected=f"more than {gap} slices between what it has learnt from and "
                        "what validates or tests",
                        where=_KEY,
                        mend="hold out what it held out, by name: 'split: {validation: "
                        '["run-1[40-49]"], test: [run-2]}\'; its slices stand in split.json '
                        "of the model",
                    )


def _are_near(one: SliceRange, other: SliceRange, gap: int) -> bool:
    apart = max(one.z_start, other.z_start) - min(one.z_stop, other.z_stop)
    return one.scan_id == other.scan_id and apart < gap


def _text(part: SliceRange) -> str:
    last = part.z_stop - 1
    return f"slice {last}" if last == part.z_start else f"slices {part.z_start}-{last}"


def _classes(schema: ClassSchema) -> str:
    return ", ".join(f"{c.name}={c.value}" for c in schema.classes)
