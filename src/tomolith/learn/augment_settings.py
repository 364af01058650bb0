"""Settings of augmentation; free of torch, so that a check starts quickly."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tomolith.config import Settings, did_you_mean

AUGMENTATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "none": {
            "rotate_deg": 0.0,
            "flip": False,
            "crop_frac": 0.0,
            "shift_frac": 0.0,
            "zoom": (1.0, 1.0),
            "brightness_frac": 0.0,
            "contrast_frac": 0.0,
        },
        "paper": {},
        "strong": {
            "zoom": (0.7, 1.3),
            "brightness_frac": 0.1,
            "contrast_frac": 0.3,
            "gamma": (0.6, 1.6),
            "blur_px": 1.5,
            "noise_frac": 0.1,
        },
    }
)


class AugmentSettings(Settings):
    """How training patches are varied.

    In a recipe a preset (``augment: strong``), single values (``augment: {zoom: [0.9, 1]}``,
    on top of the paper's), or both (``augment: {preset: strong, blur_px: 0}``).

    Parameters
    ----------
    preset
        ``"paper"``, as in the TransforCNN paper; ``"strong"``, with more variation of the grey
        values, for scans with another grey scale; ``"none"``.
    rotate_deg
        Largest rotation to either side.
    flip
        Flip up-down and left-right, each half of the time; or ``"left-right"`` or ``"up-down"``
        alone, where the other direction means something, as between the sides of a cell.
    crop_frac
        Largest share of the side that is cropped away (and stretched back).
    shift_frac
        Largest shift, as a share of the side.
    zoom
        Smallest and largest zoom; below 1 the image shrinks.
    brightness_frac, contrast_frac
        Largest change of brightness (share of the grey range) and of contrast (factor).
    gamma
        Smallest and largest exponent of the grey scale; 1 leaves it.
    blur_px
        Largest standard deviation of a Gaussian blur, for half of the patches.
    noise_frac
        Largest standard deviation of added noise (share of the grey range), for half of them.
    noise_px
        Largest standard deviation of the Gaussian blur that gives this noise its grain, within
        each slice; 0: every pixel has its own. Noise of reconstructed scans has a grain.
    rows_removed
        Up to so many rows of pixels are removed from the top of a patch, which is then stretched
        back to its height; 10 in the MatPhase paper (of 224).

    Examples
    --------
    >>> AugmentSettings.model_validate("strong").gamma
    (0.6, 1.6)
    >>> AugmentSettings.model_validate({"preset": "strong", "blur_px": 0}).blur_px
    0.0
    """

    preset: Literal["none", "paper", "strong"] = "paper"
    rotate_deg: float = Field(180.0, ge=0, le=180)
    flip: bool | Literal["left-right", "up-down"] = True
    crop_frac: float = Field(0.02, ge=0, le=0.5)
    shift_frac: float = Field(0.05, ge=0, le=0.5)
    zoom: tuple[float, float] = (0.8, 1.0)
    brightness_frac: float = Field(0.05, ge=0, le=1)
    contrast_frac: float = Field(0.05, ge=0, lt=1)
    gamma: tuple[float, float] = (1.0, 1.0)
    blur_px: float = Field(0.0, ge=0, le=10)
    noise_frac: float = Field(0.0, ge=0, le=1)
    noise_px: float = Field(0.0, ge=0, le=10)
    rows_removed: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, value: Any) -> Any:
        given = {"preset": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping):
            return given
        name = given.get("preset", "paper")
        if name not in AUGMENTATIONS:
            raise ValueError(f"a preset: {did_you_mean(str(name), AUGMENTATIONS)}")
        return {**AUGMENTATIONS[name], **given}

    @field_validator("zoom", "gamma")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.1 <= value[0] <= value[1] <= 10:
            raise ValueError("a smallest and a largest factor, between 0.1 and 10")
        return value
