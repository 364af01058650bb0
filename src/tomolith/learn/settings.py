"""Settings of training and prediction; free of torch, so that a check starts quickly."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tomolith.blocks import parse_bytes
from tomolith.config import Component, Settings
from tomolith.core import Normalisation
from tomolith.core.plane import Plane
from tomolith.label.filters import CleanSettings
from tomolith.label.splits import SplitSettings
from tomolith.learn.augment_settings import AugmentSettings
from tomolith.learn.matphase.settings import MatPhaseSettings


class NormalisationSettings(Settings):
    """How grey values become network input; per scan, never per tile.

    Parameters
    ----------
    method
        ``"percentile"`` maps ``low_percent``..``high_percent`` of the scan to -1..1;
        ``"zscore"`` subtracts its mean and divides by its standard deviation.
    low_percent, high_percent
        Percentiles of the scan's grey values.

    Examples
    --------
    >>> NormalisationSettings(low_percent=2).normalisation()
    Normalisation(method='percentile', low_percent=2.0, high_percent=99.0)
    """

    method: Literal["percentile", "zscore"] = "percentile"
    low_percent: float = Field(1.0, ge=0.1, lt=50)
    high_percent: float = Field(99.0, gt=50, le=99.9)

    def normalisation(self) -> Normalisation:
        """Return the core type that applies it."""
        return Normalisation(self.method, self.low_percent, self.high_percent)


class UnlabelledSettings(Settings):
    """How training learns from what is not labelled: voxels, whole slices, whole scans.

    In a recipe the name of a method is enough (``unlabelled: mean_teacher``).  Beside each batch
    of labelled patches one of unlabelled patches is drawn, from all slices of the training scans
    that neither validate nor test nor lie within the split's gap of such a slice.

    Parameters
    ----------
    method
        ``"pseudo_labels"``: what the network is confident of counts as labelled (Lee, ICML
        workshop 2013; with the two views of FixMatch, Sohn et al., NeurIPS 2020).
        ``"mean_teacher"``: the network shall say of a varied patch what an average of its earlier
        weights says (Tarvainen and Valpola, NeurIPS 2017); that average is what is kept.
    weight
        Of the unlabelled loss beside the labelled one. 1 is FixMatch's; the mean teacher's authors
        took 100 for the mean over ten classes, which would be 10 for the sum taken here. On
        simulated cells that much kept rare classes from being learnt at all.
    confidence
        Least probability of a pseudo-label; FixMatch's.
    ema
        Share of its weights that the teacher keeps at each step at most: during the ramp, and
        after it.
    ramp_up_frac
        Share of the training over which the weight rises from nearly 0: long enough for rare
        classes to be learnt from labels first.
    batch
        Unlabelled patches per step; ``None``: as many as labelled ones.
    augment
        How the grey values are varied that the network learns from; pseudo-labels and teacher see
        them varied by ``train.augment``, which also moves both alike.

    Examples
    --------
    >>> UnlabelledSettings.model_validate("mean_teacher").weight
    1.0
    """

    method: Literal["none", "pseudo_labels", "mean_teacher"] = "none"
    weight: float = Field(1.0, gt=0)
    confidence: float = Field(0.95, gt=0, lt=1)
    ema: tuple[float, float] = (0.99, 0.999)
    ramp_up_frac: float = Field(0.5, ge=0, le=1)
    batch: int | None = Field(None, ge=1)
    augment: AugmentSettings = AugmentSettings.model_validate("strong")

    @model_validator(mode="before")
    @classmethod
    def _from_method(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("weight", 1) is None:  # as older models have it
            return {k: v for k, v in value.items() if k != "weight"}
        return {"method": value} if isinstance(value, str) else value

    @field_validator("ema")
    @classmethod
    def _shares(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= share < 1 for share in value):
            raise ValueError("two shares, 0 to below 1")
        return value


class TrainSettings(Settings):
    """How a network is trained.

    Parameters
    ----------
    network, loss
        A registered name, or a mapping of the name and its options.
    epochs
        Epochs at most; one is ``patches_per_epoch`` patches.
    minutes
        Time limit; the learning rate then falls with the time that has passed.
    patience
        Stop after so many epochs without a better validation IoU; ``None``: never.
    plane
        Slices of which plane train and validate. Other planes than ``"xy"`` need voxels of equal
        sides, and only whole scans can be kept for the test.
    patch_px
        Side of the square patches, or of the cubes of a 3-D network (64 or so), a multiple of the
        network's divisor.
    context_slices
        Slices on either side that a network sees, as channels, besides the one that it labels
        ("2.5-D"); beyond the ends of a volume they are mirrored. Noise differs from slice to
        slice, structures hardly do. Not for sections, 3-D networks and classifiers of pixels.
    batch
        Patches per step.
    patches_per_epoch
        ``None``: enough to cover the labelled area twice, 256 to 4096; of cubes 64 to 1024.
    validation_pixels
        Evenly spread validation slices of so many pixels, or fewer where an epoch is short, choose
        the weights and fit the temperature; 16 slices, where there are as many, in any case.
    balance
        Share of the patches drawn evenly over the classes, rather than over the labelled area.
    average_steps
        The weights that are validated and kept are running averages over about so many steps;
        0: the weights as they are after the last step. A mean teacher has its own average.
    learning_rate, schedule, weight_decay
        Of Adam. ``"cosine"`` falls to nearly zero at the end, after a short rise.
    split, augment, normalisation
        See there.
    clean_labels
        Corrections of the labels that train and validate; the stored ones stay as they are.
    unlabelled
        Learning from voxels and slices without labels; off by default.
    pixels
        Local patches per step, of networks that classify single pixels.
    matphase
        Of the stages of the network ``matphase``.
    seed
        Of the weights, the patches and the augmentation.
    precision
        ``"auto"`` takes bf16 where the device computes it natively.
    device
        ``"auto"`` takes a CUDA device where there is one.
    threads
        ``None``: all cores this process may use.
    cache
        Memory for labelled slices, such as ``"1GiB"``.

    Examples
    --------
    >>> TrainSettings(network="transforcnn", epochs=5).network.name
    'transforcnn'
    """

    network: Component = Component(name="unet")
    loss: Component = Component(name="cross_entropy")
    epochs: int = Field(60, ge=1)
    minutes: float | None = Field(None, gt=0)
    patience: int | None = Field(20, ge=1)
    plane: Plane = "xy"
    patch_px: int = Field(128, ge=8)
    context_slices: int = Field(0, ge=0, le=7)
    batch: int = Field(16, ge=1)
    patches_per_epoch: int | None = Field(None, ge=1)
    validation_pixels: int = Field(2**24, ge=1)
    balance: float = Field(0.0, ge=0, le=1)
    average_steps: int = Field(50, ge=0)
    learning_rate: float = Field(2e-3, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    split: SplitSettings = SplitSettings()
    augment: AugmentSettings = AugmentSettings()
    normalisation: NormalisationSettings = NormalisationSettings()
    clean_labels: CleanSettings = CleanSettings()
    unlabelled: UnlabelledSettings = UnlabelledSettings()
    pixels: int = Field(1024, ge=2)
    matphase: MatPhaseSettings = MatPhaseSettings()
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1)
    cache: str = "1GiB"

    @field_validator("cache")
    @classmethod
    def _cache_is_a_size(cls, value: str) -> str:
        parse_bytes(value)
        return value

    @property
    def cache_bytes(self) -> int:
        """The cache's budget in bytes."""
        return parse_bytes(self.cache)

    @property
    def in_channels(self) -> int:
        """How many slices a network is shown at a time."""
        return 1 + 2 * self.context_slices


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
        Side of the square patches, of the cubes of a 3-D network; ``None``: as the network was
        trained.
    batch_size
        Patches per call of the network, always this many; ``None``: what suits the
        device.
    backend
        ``"auto"`` takes OpenVINO where it is installed and the device is a CPU.
    precision
        ``"mixed"`` computes all convolutions but the first and the last in bf16,
        ``"bf16"`` nearly all layers. Rounding changes some in ten thousand labels of a
        well-trained network (``docs/results/predict_vs_monai.md``). ``"auto"`` is mixed
        where the device computes bf16 natively, else fp32.
    device
        ``"auto"`` takes a CUDA device where there is one.
    threads
        Threads of the network; ``None``: all cores this process may use.
    executor, workers
        ``"threads"`` reads and writes some blocks while another is computed.
    block_zyx
        Voxels per block, a multiple of the label shards; ``None``: as large as
        the budget allows.
    planes
        Planes in which the volume is predicted; the logits of several are averaged. ``None``: the
        one whose slices trained the model; of an ensemble each member in its own. Other planes
        than ``"xy"`` need voxels of equal sides.
    flips
        Predict every patch in its four mirrorings, and average the probabilities.
    mc_dropout
        Predict so many times with other dropout masks, and average the probabilities (with
        ``flips`` four times as many). PyTorch only.
    probabilities, entropy
        Also write per-class probabilities, or their entropy, as uint8.
    mutual_information
        Also write, as uint8, what flips, dropout masks or members of an ensemble disagree about.

    Examples
    --------
    >>> PredictSettings(memory="2GiB").memory_bytes
    2147483648
    """

    memory: str = "4GiB"
    overlap_frac: float = Field(0.25, ge=0.0, le=0.9)
    patch_px: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1, le=1024)
    backend: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "mixed", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1)
    executor: Literal["serial", "threads"] = "threads"
    workers: int = Field(2, ge=1, le=64)
    block_zyx: tuple[int, int, int] | None = None
    probabilities: bool = False
    entropy: bool = False
    mutual_information: bool = False
    flips: bool = False
    mc_dropout: int = Field(0, ge=0, le=256)
    planes: tuple[Plane, ...] | None = None

    @field_validator("planes")
    @classmethod
    def _planes_differ(cls, value: tuple[Plane, ...] | None) -> tuple[Plane, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("planes of xy, xz and yz, each named once")
        return value

    @model_validator(mode="after")
    def _dropout_runs(self) -> PredictSettings:
        if self.mc_dropout and self.backend == "openvino":
            raise ValueError("'mc_dropout' runs with PyTorch: set 'backend: torch' or leave it out")
        return self

    @field_validator("memory")
    @classmethod
    def _memory_is_a_size(cls, value: str) -> str:
        parse_bytes(value)
        return value

    @property
    def memory_bytes(self) -> int:
        """The budget in bytes."""
        return parse_bytes(self.memory)
