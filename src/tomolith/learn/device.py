"""What the machine offers to training: device, precision, threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from tomolith.errors import ResourceError
from tomolith.learn.backends import usable_cores
from tomolith.learn.settings import TrainSettings
from tomolith.learn.torchvision import mend_torchvision

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def make_fabric(settings: TrainSettings) -> Fabric:
    """Return Lightning's Fabric for the device and precision of ``settings``.

    Raises
    ------
    ResourceError
        A CUDA device is asked for and there is none, or an installed torchvision is broken.
    """
    has_cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not has_cuda:
        raise ResourceError(
            "there is no CUDA device that torch can use",
            where="train.device",
            mend="say 'device: auto', or install a torch that fits the driver",
        )
    cuda = has_cuda and settings.device != "cpu"
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and _fast_bf16(cuda))
    for package in ("fabric", "pytorch"):  # says which precision it uses, on every start
        name = f"lightning.{package}.utilities.rank_zero"
        logging.getLogger(name).setLevel(logging.WARNING)
    mend_torchvision()  # Lightning imports it where it is installed
    from lightning.fabric import Fabric

    return Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=1,
        precision="bf16-mixed" if bf16 else "32-true",
    )


def _fast_bf16(cuda: bool) -> bool:
    if cuda:
        return torch.cuda.get_device_capability() >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use ``threads`` threads inside; ``None``: ``OMP_NUM_THREADS``, else all cores.

    Examples
    --------
    >>> with torch_threads(1):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    from_environment = os.environ.get("OMP_NUM_THREADS", "")
    default = int(from_environment) if from_environment.isdigit() else usable_cores()
    torch.set_num_threads(threads or default)
    try:
        yield
    finally:
        torch.set_num_threads(before)
