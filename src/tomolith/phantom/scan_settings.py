"""Settings that every simulated scan has, whatever it shows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from tomolith.config import Settings
from tomolith.core import Grid
from tomolith.phantom.hand import HIGHEST_MISTAKE_RATE, HandSlices

Share = Annotated[float, Field(ge=0, le=1)]
Index = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]


class ScanSettings(Settings):
    """The grid, the image and the hand labels of simulated scans.

    Greys are shares of the full grey range.

    Raises
    ------
    RecipeError
        Through :func:`tomolith.config.parse_settings`: a value out of range, or a slice that the
        scan does not have.

    Examples
    --------
    >>> ScanSettings(shape_zyx=(8, 64, 64), hand_labelled_slices=2).hand_slices
    HandSlices(in_plane=(), cross_section=(2, 6))
    """

    model_config = ConfigDict(allow_inf_nan=False)

    preset: str = Field("", description="Defaults for what is not given.")
    seed: int = Field(1, description="Another seed gives another sample.")
    shape_zyx: tuple[Size, Size, Size] = Field(
        (96, 152, 320), description="Voxels along z, y (through the sample) and x."
    )
    voxel_size_um: float = Field(2.66, gt=0, description="Voxel size, the same along each axis.")

    texture: Share = Field(0.01, description="Unevenness of the material itself (rms).")
    drift: Share = Field(0.03, description="Slow unevenness of the background.")
    noise: Share = Field(0.02, description="Noise (rms).")
    rings: Share = Field(0.008, description="Ring artefacts (rms).")
    fringes: float = Field(0.6, ge=0, le=3, description="Bright and dark fringes along edges.")
    blur_um: float = Field(3.5, ge=0, description="Point spread (standard deviation).")
    inverted: bool = Field(False, description="Grey scale turned round.")
    dtype: Literal["uint8", "uint16"] = Field("uint8", description="Type of the grey values.")

    hand_labelled_slices: Size | tuple[Index, ...] = Field(
        10, description="Cross-sections shown in labels/hand: how many, or a list of z."
    )
    hand_labelled_planes: Index | tuple[Index, ...] = Field(
        0, description="In-plane slices shown in labels/hand: how many, or a list of y."
    )
    hand_mistake_rate: float = Field(
        0.0, ge=0, le=HIGHEST_MISTAKE_RATE, description="Share of mistakes at borders and branches."
    )

    @model_validator(mode="after")
    def _check_slices(self) -> ScanSettings:
        for name, axis in (("hand_labelled_slices", 0), ("hand_labelled_planes", 1)):
            chosen, n = getattr(self, name), self.shape_zyx[axis]
            if isinstance(chosen, tuple) and chosen and max(chosen) >= n:
                raise ValueError(
                    f"slice {max(chosen)} in '{name}', but the scan has slices 0 to {n - 1}"
                )
        return self

    @property
    def grid(self) -> Grid:
        """The grid of a scan."""
        size = self.voxel_size_um
        return Grid(self.shape_zyx, (size, size, size))

    @property
    def hand_slices(self) -> HandSlices:
        """The slices that are labelled by hand."""
        across, within = self.hand_labelled_slices, self.hand_labelled_planes
        even = HandSlices.evenly(
            self.shape_zyx,
            n_cross_section=across if isinstance(across, int) else 0,
            n_in_plane=within if isinstance(within, int) else 0,
        )
        return HandSlices(
            in_plane=even.in_plane if isinstance(within, int) else tuple(sorted(set(within))),
            cross_section=(
                even.cross_section if isinstance(across, int) else tuple(sorted(set(across)))
            ),
        )
