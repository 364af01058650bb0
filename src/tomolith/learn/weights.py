"""Tensors in safetensors files, written atomically, checked on reading; nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tomolith.errors import IntegrityError, MismatchError, ReadError
from tomolith.store.atomic import write_bytes

_PICKLE_STARTS = (b"\x80", b"PK\x03\x04")  # pickle protocol 2 and later; torch's zip of pickles


def tensors_to_bytes(tensors: Mapping[str, Tensor], *, about: Mapping[str, Any]) -> bytes:
    """Return a safetensors file as bytes, with ``about`` as JSON in its header."""
    # clones: safetensors refuses names that share memory
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    return safetensors.torch.save(plain, metadata={"tomolith": json.dumps(about)})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], *, about: Mapping[str, Any]) -> None:
    """Write a safetensors file atomically.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted.
    """
    write_bytes(path, tensors_to_bytes(tensors, about=about))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file, and what :func:`write_tensors` said about them.

    Raises
    ------
    ReadError
        There is no such file, or it may not be read.
    IntegrityError
        The file is damaged, or is no safetensors file (a pickle is never loaded).
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError as error:
        raise ReadError("there is no such file", where=path) from error
    except OSError as error:
        raise ReadError(
            f"the weights cannot be opened ({error.strerror})",
            where=path,
            mend="see that it is a file and that you may read it",
        ) from error
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            about = json.loads((opened.metadata() or {}).get("tomolith", "{}"))
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        pickled = start.startswith(_PICKLE_STARTS)
        raise IntegrityError(
            "the weights are a pickle, which is never loaded: it could run any program"
            if pickled
            else f"the weights cannot be read ({error})",
            expected="a whole safetensors file",
            where=path,
            mend="train again, or copy the file again from where it is whole",
        ) from error
    return tensors, about


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], *, where: Path) -> None:
    """Put ``tensors`` into ``network``.

    Raises
    ------
    MismatchError
        Names or shapes differ: the weights belong to another architecture.
    IntegrityError
        A weight is not finite.
    """
    wanted = network.state_dict()
    problems = [f"'{name}' is missing" for name in wanted if name not in tensors]
    problems += [f"'{name}' is unknown" for name in tensors if name not in wanted]
    problems += [
        f"'{name}' has shape {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:3]) + ("" if len(problems) <= 3 else "; …")
        raise MismatchError(
            f"the weights belong to another architecture: {len(problems)} differences ({shown})",
            expected=f"the weights of a {type(network).__name__} with the settings of model.yaml",
            where=where,
            mend="use the weights and the model.yaml of one training, or train again",
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise IntegrityError(f"weight '{name}' is not finite", where=where, mend="train again")
    network.load_state_dict(dict(tensors))
