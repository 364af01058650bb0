"""A trained model on disk: ``weights.safetensors`` and ``model.yaml`` in one folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor, nn

from tomolith.config import Component
from tomolith.core import ClassSchema, Normalisation, Provenance, Volume
from tomolith.core.plane import AXES, Plane
from tomolith.errors import IntegrityError, MismatchError, ReadError
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings
from tomolith.learn.weights import load_into, read_tensors, tensors_to_bytes
from tomolith.store.atomic import write_bytes, write_text

FORMAT = 1
VOXEL_TOLERANCE_FRAC = 0.01


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """A trained network and all that must be known to use it.

    Parameters
    ----------
    network
        The registered network and its options.
    schema
        Class ``schema.classes[i]`` is on output channel ``i``.
    voxel_size_um, sections
        Of the scans it was trained on; ``None`` where their voxel size is unknown.
    normalisation
        Applied with the statistics of the scan that is predicted.
    in_channels, patch_px
        Channels of the input, which are the slices that a 2-D network sees at a time, the one that
        it labels in the middle; and side of the training patches.
    weights
        The network's tensors by name.
    settings
        All settings of the training.
    scores
        Name to value, on the validation slices (``"validation_iou"`` …).
    provenance
        Which run made it.
    temperature
        What logits are divided by before the softmax, fitted on the validation slices; labels do
        not depend on it.
    plane
        Slices of which plane it learnt from, and is shown unless ``predict.planes`` says
        otherwise; of an ensemble that of its first member.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> net = NETWORKS.build(Component(name="unet"), 1, 2)
    >>> bundle = ModelBundle(
    ...     Component(name="unet"), PRESETS["li-binary"], None, False, Normalisation(), 1, 128,
    ...     weights=net.state_dict(),
    ... )
    >>> bundle.build_network().training
    False
    """

    network: Component
    schema: ClassSchema
    voxel_size_um: tuple[float, float, float] | None
    sections: bool
    normalisation: Normalisation
    in_channels: int
    patch_px: int
    weights: Mapping[str, Tensor] = field(repr=False)
    settings: TrainSettings = field(default_factory=TrainSettings)
    scores: Mapping[str, float | None] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=lambda: Provenance("train"))
    temperature: float = 1.0
    plane: Plane = "xy"

    @property
    def fingerprint(self) -> str:
        """Hash of the weights: the same for the same labels."""
        content = tensors_to_bytes(self.weights, about={})
        return hashlib.sha256(content).hexdigest()[:16]

    def build_network(self) -> nn.Module:
        """Return the network with its weights, in evaluation mode.

        Raises
        ------
        MismatchError
            The weights belong to another architecture.
        """
        network = NETWORKS.build(self.network, self.in_channels, len(self.schema))
        load_into(network, self.weights, where=Path("weights.safetensors"))
        return network.eval()

    def by_plane(self) -> dict[Plane, tuple[ModelBundle, float]]:
        """Return the model that is shown each plane, and the weight of its logits; sum 1.

        One model and plane, but of an ensemble whose members learnt from different planes: those
        of one plane are then an ensemble of their own.

        Examples
        --------
        >>> from tomolith.core import PRESETS
        >>> unet = {"name": "unet", "channels": 2, "depth": 2}
        >>> options = {"members": [unet] * 3, "weights": [1, 1, 2], "planes": ["xy", "xz", "xz"]}
        >>> both = Component(name="ensemble", options=options)
        >>> bundle = ModelBundle(
        ...     both, PRESETS["li-binary"], None, False, Normalisation(), 1, 16,
        ...     weights=NETWORKS.build(both, 1, 2).state_dict(),
        ... )
        >>> [(p, m.network.name, share) for p, (m, share) in bundle.by_plane().items()]
        [('xy', 'unet', 0.25), ('xz', 'ensemble', 0.75)]
        """
        options = self.network.options
        planes: Sequence[Plane] = options.get("planes") or ()
        if not planes:
            return {self.plane: (self, 1.0)}
        found = {}
        for plane in dict.fromkeys(planes):
            kept = [i for i, own in enumerate(planes) if own == plane]
            share = sum(options["weights"][i] for i in kept) / sum(options["weights"])
            found[plane] = self._of_members(kept, plane), share
        return found

    def _of_members(self, kept: Sequence[int], plane: Plane) -> ModelBundle:
        """Return one member of this ensemble, or an ensemble of some of them."""
        members, weights = (self.network.options[key] for key in ("members", "weights"))
        tensors = {
            f"members.{k}.{name.removeprefix(start)}": tensor
            for k, i in enumerate(kept)
            for name, tensor in self.weights.items()
            if name.startswith(start := f"members.{i}.")
        }
        if len(kept) == 1:
            network = Component.model_validate(members[kept[0]])
            tensors = {name.removeprefix("members.0."): t for name, t in tensors.items()}
        else:
            options = {"members": [members[i] for i in kept], "weights": [weights[i] for i in kept]}
            network = Component(name="ensemble", options=options)
        return replace(self, network=network, weights=tensors, plane=plane)

    def save(self, folder: Path) -> None:
        """Write the bundle into ``folder``, weights first; each file is whole or absent.

        Raises
        ------
        DiskError
            The folder cannot be written.
        """
        content = tensors_to_bytes(self.weights, about={"network": self.network.name})
        write_bytes(folder / "weights.safetensors", content)
        text = yaml.safe_dump(
            self._to_dict(hashlib.sha256(content).hexdigest()), sort_keys=False, allow_unicode=True
        )
        write_text(folder / "model.yaml", text)

    def _to_dict(self, weights_sha256: str) -> dict[str, Any]:
        size = self.voxel_size_um
        return {
            "format": FORMAT,
            "network": {"name": self.network.name, **self.network.options},
            "classes": self.schema.to_dict(),
            "voxel_size_um": "unknown" if size is None else list(size),
            "sections": self.sections,
            "in_channels": self.in_channels,
            "patch_px": self.patch_px,
            "plane": self.plane,
            "normalisation": asdict(self.normalisation),
            "temperature": self.temperature,
            "scores": dict(self.scores),
            "settings": self.settings.model_dump(mode="json"),
            "provenance": self.provenance.to_dict(),
            "weights_sha256": weights_sha256,
        }

    @classmethod
    def load(cls, folder: Path) -> ModelBundle:
        """Read a bundle, and check that it is whole and that its parts belong together.

        Raises
        ------
        ReadError
            There is no model, or ``model.yaml`` cannot be read.
        IntegrityError
            The weights are damaged or a pickle.
        MismatchError
            The weights belong to another architecture.
        """
        values = _read_yaml(folder / "model.yaml")
        weights_path = folder / "weights.safetensors"
        if not weights_path.is_file():
            raise ReadError(
                "the model has no weights", where=weights_path, mend="train, or copy it again"
            )
        tensors, _ = read_tensors(weights_path)
        bundle = _from_dict(values, tensors, folder / "model.yaml")
        network = NETWORKS.build(bundle.network, bundle.in_channels, len(bundle.schema))
        load_into(network, tensors, where=weights_path)
        expected = values.get("weights_sha256")
        if not isinstance(expected, str):
            raise IntegrityError(
                "the model's description has lost the checksum of the weights",
                expected="'weights_sha256'",
                where=folder / "model.yaml",
                mend="train again, or copy both files again from where they are whole",
            )
        if hashlib.sha256(weights_path.read_bytes()).hexdigest() != expected:
            raise IntegrityError(
                "the weights are not those that model.yaml describes (checksum differs)",
                where=weights_path,
                mend="train again, or copy both files again from where they are whole",
            )
        return bundle

    def check_matches(self, volume: Volume, schema: ClassSchema | None = None) -> None:
        """Refuse a volume that differs from the training data, and show the difference.

        Voxel sizes may differ by 1 % along each axis (for sections: y and x).  An unknown voxel
        size matches only an unknown one: nobody can tell that the structures have the size that
        the network learned.  A model of sections may be used on a volume, slice by slice, as the
        network is two-dimensional; the z size is then not compared.

        Raises
        ------
        MismatchError
            Voxel size or class schema differ.
        """
        rows = []
        if not _same_size(self.voxel_size_um, volume.grid.voxel_size_um, sections=self.sections):
            rows.append(
                (
                    "voxel size (z, y, x)",
                    _size(self.voxel_size_um),
                    _size(volume.grid.voxel_size_um),
                )
            )
        if schema is not None and classes_text(self.schema) != classes_text(schema):
            rows.append(("classes", classes_text(self.schema), classes_text(schema)))
        if rows:
            width = max(len(name) for name, *_ in rows)
            table = "\n".join(
                f"    {name:<{width}}  trained: {trained}   given: {given}"
                for name, trained, given in rows
            )
            raise MismatchError(
                f"the scan is unlike those the model was trained on\n{table}",
                expected="what the model was trained on",
                mend="correct the recipe if it states this wrongly; else resample the scan, "
                "or train on scans like it",
            )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReadError(
            "there is no model here", where=path, mend="train first, or name another model"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ReadError("the model's description cannot be read", where=path) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ReadError(
            "this is no description of a model that this version knows",
            expected=f"a mapping with 'format: {FORMAT}'",
            where=path,
        )
    return values


def _from_dict(values: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> ModelBundle:
    try:
        size = values["voxel_size_um"]
        return ModelBundle(
            network=Component.model_validate(values["network"]),
            schema=ClassSchema.from_dict(values["classes"]),
            voxel_size_um=None if size == "unknown" else tuple(float(v) for v in size),
            sections=bool(values["sections"]),
            normalisation=Normalisation(**values["normalisation"]),
            in_channels=_odd(values["in_channels"]),
            patch_px=int(values["patch_px"]),
            weights=tensors,
            settings=TrainSettings.model_validate(values["settings"]),
            scores=values["scores"],
            provenance=Provenance.from_dict(values["provenance"]),
            # older models have none of these
            temperature=_temperature(values.get("temperature", 1.0)),
            plane=_plane(values.get("plane", "xy")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(
            f"the model's description lacks or misstates something: {error}",
            where=path,
            mend="train again, or copy the file again",
        ) from error


def _temperature(value: Any) -> float:
    if not 0 < float(value) < float("inf"):
        raise ValueError(f"temperature is {value}")
    return float(value)


def _odd(value: Any) -> int:
    if int(value) < 1 or int(value) % 2 == 0:
        raise ValueError(f"in_channels is {value}, and not a slice between as many on either side")
    return int(value)


def _plane(value: Any) -> Plane:
    if value not in AXES:
        raise ValueError(f"plane is {value}")
    plane: Plane = value
    return plane


def _same_size(
    trained: tuple[float, ...] | None, given: tuple[float, ...] | None, *, sections: bool
) -> bool:
    if trained is None or given is None:
        return trained is given
    axes = slice(1, 3) if sections else slice(0, 3)
    return all(
        abs(a - b) <= VOXEL_TOLERANCE_FRAC * max(a, b)
        for a, b in zip(trained[axes], given[axes], strict=True)
    )


def _size(size: tuple[float, ...] | None) -> str:
    return "unknown" if size is None else " × ".join(f"{v:g}" for v in size) + " µm"


def classes_text(schema: ClassSchema) -> str:
    """Return names and values of the classes, in the order of the channels."""
    return ", ".join(f"{c.name}={c.value}" for c in schema.classes)
