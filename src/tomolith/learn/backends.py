"""What runs a network for prediction: PyTorch or OpenVINO, in fp32, mixed or bf16.

*Mixed* rounds the convolutions to bf16, but not the one that takes the image, nor the one
that gives the logits, nor anything that is no convolution (see
``docs/results/predict_vs_monai.md`` for what it gains and what it changes).

A backend is built for one batch shape and keeps to it: with the same shape every time,
the logits of a patch do not depend on which other patches share its batch.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tomolith.config import require
from tomolith.errors import ResourceError
from tomolith.learn.optimise import (
    BatchShape,
    Precision,
    channels_last,
    has_depth,
    prepare,
    round_weights,
)
from tomolith.learn.settings import PredictSettings

Float32 = npt.NDArray[np.float32]


class Backend(Protocol):
    """Runs a network on batches of one fixed shape."""

    name: str
    version: str
    precision: Precision
    device: str
    n_threads: int

    def logits(self, batch: Float32) -> Float32:
        """Return the logits (B, n_classes, ...) of ``batch`` (B, in_channels, ...)."""


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """Which backend ran, with all that may change the last bit of a logit.

    Examples
    --------
    >>> str(BackendInfo("torch", "2.13.0", "fp32", "cpu", 2))
    'torch 2.13.0 fp32 on cpu, 2 threads'
    """

    name: str
    version: str
    precision: str
    device: str
    n_threads: int

    @classmethod
    def of(cls, backend: Backend) -> BackendInfo:
        """Return what ``backend`` says of itself."""
        return cls(
            backend.name, backend.version, backend.precision, backend.device, backend.n_threads
        )

    def __str__(self) -> str:
        return (
            f"{self.name} {self.version} {self.precision} on {self.device}, "
            f"{self.n_threads} thread{'s' if self.n_threads > 1 else ''}"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What the settings come to on this machine."""

    name: Literal["torch", "openvino"]
    device: Literal["cpu", "cuda"]
    precision: Precision
    n_threads: int
    batch_size: int


def resolve(settings: PredictSettings, *, is_3d: bool = False) -> Choice:
    """Decide what ``auto`` means on this machine.

    A CUDA device where there is one (always with PyTorch), else OpenVINO where it is
    installed, else PyTorch on the CPU. Mixed precision where the device computes bf16
    natively, else fp32. Batches of 4 patches, or 64 on a CUDA device; of a 3-D network 1 or 4.

    Raises
    ------
    ResourceError
        A CUDA device is asked for and there is none.

    Examples
    --------
    >>> resolve(PredictSettings(backend="torch", device="cpu", threads=3)).n_threads
    3
    """
    device = _device(settings)
    name: Literal["torch", "openvino"] = "torch"
    # dropout masks change from pass to pass; OpenVINO would need a network for each
    auto = settings.backend == "auto" and not settings.mc_dropout
    found = auto and device == "cpu" and find_spec("openvino") is not None
    if settings.backend == "openvino" or found:
        name = "openvino"
    precision: Precision = "mixed" if has_bf16(device) else "fp32"
    if settings.precision != "auto":
        precision = settings.precision
    usual = (4 if is_3d else 64) if device == "cuda" else (1 if is_3d else 4)
    batch_size = settings.batch_size or usual
    return Choice(name, device, precision, settings.threads or usable_cores(), batch_size)


def build_backend(
    network: nn.Module, batch_shape: BatchShape, settings: PredictSettings
) -> Backend:
    """Return the backend that ``settings`` ask for, ready for batches of ``batch_shape``.

    Where the backend is ``auto`` and OpenVINO cannot take the network, PyTorch runs it.
    The network itself is left as it is.

    Parameters
    ----------
    network
        Maps (B, in_channels, H, W) to logits (B, n_classes, H, W), or a 3-D network
        (B, in_channels, D, H, W) to (B, n_classes, D, H, W).
    batch_shape
        Of its input.

    Raises
    ------
    ResourceError
        A CUDA device is asked for and there is none, or OpenVINO and it cannot take the
        network.
    MissingExtraError
        OpenVINO is asked for and not installed.

    Examples
    --------
    >>> net = nn.Conv2d(1, 2, 3, padding=1)
    >>> backend = build_backend(net, (4, 1, 8, 8), PredictSettings(backend="torch", threads=1))
    >>> backend.logits(np.zeros((4, 1, 8, 8), np.float32)).shape
    (4, 2, 8, 8)
    """
    chosen = resolve(settings, is_3d=has_depth(network))
    if chosen.name == "openvino":
        try:
            return OpenVinoBackend(
                network, batch_shape, precision=chosen.precision, n_threads=chosen.n_threads
            )
        except ResourceError:
            if settings.backend == "openvino":
                raise
    return TorchBackend(
        network,
        batch_shape,
        precision=chosen.precision,
        device=chosen.device,
        n_threads=chosen.n_threads,
    )


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_bf16(device: Literal["cpu", "cuda"]) -> bool:
    """Tell whether the device computes bf16 natively (elsewhere it is no faster)."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _device(settings: PredictSettings) -> Literal["cpu", "cuda"]:
    if settings.backend == "openvino" or settings.device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if settings.device == "cuda":
        raise ResourceError(
            "no CUDA device was found",
            where="predict.device",
            mend="set 'device: cpu' or 'device: auto', or install a PyTorch with CUDA",
        )
    return "cpu"


class TorchBackend:
    """PyTorch in eval mode: batch norms folded into convolutions, channels last.

    In bf16 convolutions and linear layers are rounded; everything else, such as layer
    norms and positional encodings, stays in fp32 through autocast.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        batch_shape: BatchShape,
        *,
        precision: Precision = "fp32",
        device: str = "cpu",
        n_threads: int = 1,
    ) -> None:
        self.version = torch.__version__
        self.precision: Precision = precision
        self.device = device
        self.n_threads = n_threads
        module = prepare(network, batch_shape, precision)
        if precision == "bf16":
            round_weights(module)
        self._layout = channels_last(network)
        self.module = module.to(device=device, memory_format=self._layout)

    def logits(self, batch: Float32) -> Float32:
        """Return the logits (B, n_classes, ...) of ``batch`` (B, in_channels, ...)."""
        if self.device == "cpu" and torch.get_num_threads() != self.n_threads:
            torch.set_num_threads(self.n_threads)
        image = torch.from_numpy(batch).to(self.device, memory_format=self._layout)
        low = self.precision == "bf16"
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=low):
            out = self.module(image)
        return out.float().contiguous().cpu().numpy()


class OpenVinoBackend:
    """OpenVINO on the CPU, compiled for one batch shape.

    Raises
    ------
    MissingExtraError
        OpenVINO is not installed.
    ResourceError
        OpenVINO cannot take or run the network, or computes something else.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        network: nn.Module,
        batch_shape: BatchShape,
        *,
        precision: Precision = "fp32",
        n_threads: int = 1,
    ) -> None:
        ov = require("openvino", extra="fast")
        self.version = str(ov.__version__).split("-", 1)[0]
        self.precision: Precision = precision
        self.n_threads = n_threads
        module = copy.deepcopy(network).eval()
        # OpenVINO shares memory with bf16 weights, yet does not keep it alive
        self._weights = prepare(network, batch_shape, precision)
        model = _convert(ov, self._weights, batch_shape)
        options: dict[str, Any] = {
            # f32 leaves the layers that are marked as bf16 in bf16
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": n_threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        # OpenVINO 2026.4 miscomputes attention over few tokens when it fuses it; without
        # its fused kernels ("snippets") the same network comes out right
        for more in ({}, {"SNIPPETS_MODE": "DISABLE"}):
            with _openvino_errors("run"):
                self._model = ov.Core().compile_model(model, "CPU", {**options, **more})
                if is_faithful(self.logits, module, batch_shape, precision=precision):
                    return
        raise ResourceError(
            "OpenVINO computes other logits for this network than PyTorch",
            where="predict.backend",
            mend="set 'backend: torch'",
        )

    def logits(self, batch: Float32) -> Float32:
        """Return the logits (B, n_classes, ...) of ``batch`` (B, in_channels, ...)."""
        return np.array(self._model([batch])[0], dtype=np.float32)


def is_faithful(
    infer: Callable[[Float32], Float32],
    network: nn.Module,
    batch_shape: BatchShape,
    *,
    precision: Precision,
) -> bool:
    """Tell whether ``infer`` gives the network's logits, whatever else is in the batch.

    One batch of noise is compared with PyTorch in fp32, from which ``infer`` may not be much
    further away than PyTorch in the same precision is; then one of its inputs is computed
    again, alone and in another place of the batch, and must give the same bits.

    Examples
    --------
    >>> net = nn.Conv2d(1, 2, 1).eval()
    >>> is_faithful(lambda batch: batch[:, [0, 0]], net, (2, 1, 4, 4), precision="fp32")
    False
    """
    noise = np.random.default_rng(0).normal(size=batch_shape).astype(np.float32)
    with torch.inference_mode():
        exact = network(torch.from_numpy(noise)).numpy()
    pixels = (0, *range(2, exact.ndim))
    spread = float((exact - exact.mean(axis=pixels, keepdims=True)).std()) or 1.0
    usual = TorchBackend(
        network, batch_shape, precision=precision, n_threads=torch.get_num_threads()
    )
    rounded = usual.logits(noise)
    found = infer(noise)
    error, usual_error = np.abs(found - exact).mean(), np.abs(rounded - exact).mean()
    if not error <= 3 * usual_error + 1e-3 * spread:  # written so that NaN is refused too
        return False
    alone = np.zeros_like(noise)
    alone[-1] = noise[0]
    return np.array_equal(infer(alone)[-1], found[0])


@contextmanager
def _openvino_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # OpenVINO raises RuntimeError and many others
        raise ResourceError(
            f"OpenVINO cannot {what} the network: {(str(error).splitlines() or [''])[0]}",
            where="predict.backend",
            mend="set 'backend: torch'",
        ) from error


def _convert(ov: Any, module: nn.Module, batch_shape: BatchShape) -> Any:
    with _openvino_errors("take"), warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of shape checks; shapes are fixed here
        return ov.convert_model(module, example_input=torch.zeros(batch_shape), input=[batch_shape])
