"""Settings of training and prediction; free of torch, so that a check starts quickly."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tomolith.blocks import parse_bytes
from tomolith.config import Settings


class TrainSettings(Settings):
    """How a network is trained."""


class PredictSettings(Settings):
    """How a scan is predicted, block by block.

    Parameters
    ----------
    memory
        Budget for the whole process, such as ``"4GiB"``. Larger budgets give
        larger blocks and fewer voxels computed twice; labels do not change.
    overlap_frac
        Share of a patch that its neighbour covers too; logits are averaged there.
    patch_px
        Side of the square patches; ``None``: as the network was trained.
    batch_size
        Patches per call of the network, always this many.
    backend
        ``"auto"`` takes OpenVINO where it is installed and the device is a CPU.
    precision
        ``"auto"`` takes the fastest precision whose labels were shown to agree
        with fp32 (see ``docs/results/predict_vs_monai.md``).
    device
        ``"auto"`` takes a CUDA device where there is one.
    threads
        Threads of the network; ``None``: all cores this process may use.
    executor, workers
        ``"threads"`` reads and writes some blocks while another is computed.
    block_zyx
        Voxels per block, a multiple of the label shards; ``None``: as large as
        the budget allows.
    probabilities, entropy
        Also write per-class probabilities, or their entropy, as uint8.

    Examples
    --------
    >>> PredictSettings(memory="2GiB").memory_bytes
    2147483648
    """

    memory: str = "4GiB"
    overlap_frac: float = Field(0.25, ge=0.0, le=0.9)
    patch_px: int | None = Field(None, ge=1)
    batch_size: int = Field(16, ge=1, le=1024)
    backend: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1)
    executor: Literal["serial", "threads"] = "threads"
    workers: int = Field(2, ge=1, le=64)
    block_zyx: tuple[int, int, int] | None = None
    probabilities: bool = False
    entropy: bool = False

    @field_validator("memory")
    @classmethod
    def _memory_is_a_size(cls, value: str) -> str:
        parse_bytes(value)
        return value

    @property
    def memory_bytes(self) -> int:
        """The budget in bytes."""
        return parse_bytes(self.memory)
