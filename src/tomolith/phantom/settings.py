"""Settings of the phantom, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from tomolith.config import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Index = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]

PHANTOM_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "demo": MappingProxyType({}),
        "tiny": MappingProxyType(
            {
                "shape_zyx": (64, 64, 64),
                "voxel_size_um": 5.32,
                "n_scans": 1,
                "n_dendrites": 12,
                "dendrite_radius_um": 18.0,
                "pore_um": 26.0,
                "blur_um": 6.0,
                "electrode_um": 85.0,
                "n_defects": 3,
                "drift": 0.03,
                "hand_labelled_slices": 4,
            }
        ),
    }
)


class PhantomSettings(Settings):
    """A simulated symmetric Li | polymer | Li cell and the scan made of it.

    The cell lies across y: cross-sections (y, x) show both electrodes, the stripping side at small
    y, the plating side at large y. Sizes follow Huang et al. 2023 (electrodes about 100 µm, 140 µm
    of polymer per membrane). Greys are shares of the full grey range.

    Parameters
    ----------
    preset
        ``demo`` (both electrodes in 2.66 µm voxels) or ``tiny`` (64³ voxels, for tests).
    n_scans
        Scans are named ``phantom-0``, ``phantom-1``, ...; each shows a cell of its own.
    hand_labelled_slices
        A number is spread evenly along z. All other slices are unlabelled in ``labels/hand``.

    Raises
    ------
    RecipeError
        Through :func:`tomolith.config.parse_settings`: any value or combination that makes no cell.

    Examples
    --------
    >>> PhantomSettings(preset="tiny").shape_zyx
    (64, 64, 64)
    >>> PhantomSettings(n_scans=2).scan_ids
    ('phantom-0', 'phantom-1')
    """

    model_config = ConfigDict(allow_inf_nan=False)

    preset: Literal["demo", "tiny"] = Field("demo", description="Defaults for what is not given.")
    n_scans: int = Field(2, ge=1, description="Number of simulated cells, one scan of each.")
    seed: int = Field(1, description="Another seed gives other cells.")
    shape_zyx: tuple[Size, Size, Size] = Field(
        (96, 144, 320), description="Voxels along z, y (through the cell) and x."
    )
    voxel_size_um: float = Field(2.66, gt=0, description="Voxel size, the same along each axis.")

    electrode_um: float = Field(100.0, gt=0, description="Thickness of each Li electrode.")
    electrolyte_um: float = Field(140.0, gt=0, description="Thickness of the polymer.")
    roughness_um: float = Field(4.0, ge=0, description="Roughness of the interfaces (rms).")
    tilt_deg: float = Field(0.7, ge=0, le=10, description="Tilt of the cell in the scan.")

    n_dendrites: int = Field(40, ge=0, description="Dendrites per scan.")
    dendrite_height_um: float = Field(100.0, gt=0, description="Length of a trunk, on average.")
    dendrite_radius_um: float = Field(14.0, gt=0, description="Radius at the root, on average.")
    branching: Share = Field(0.32, description="Chance of a branch per step of growth.")
    tortuosity: float = Field(0.6, ge=0, description="How much a branch winds; 0 is straight.")
    porosity_frac: float = Field(0.12, ge=0, le=0.6, description="Share of pores in dendrites.")
    pore_um: float = Field(18.0, gt=0, description="Size of the pores in dendrites.")
    n_defects: int = Field(8, ge=0, description="Dark bubbles in the polymer, no dendrites.")

    polymer_grey: Share = Field(0.55, description="Grey of the polymer.")
    electrode_contrast: Share = Field(0.12, description="How much darker an electrode is.")
    dendrite_contrast: Share = Field(0.10, description="How much darker a dendrite is.")
    texture: Share = Field(0.02, description="Unevenness of the material itself (rms).")
    drift: Share = Field(0.05, description="Slow unevenness of the background.")
    noise: Share = Field(0.03, description="Noise (rms).")
    rings: Share = Field(0.012, description="Ring artefacts (rms).")
    fringes: float = Field(0.6, ge=0, le=3, description="Bright and dark fringes along edges.")
    blur_um: float = Field(3.5, ge=0, description="Point spread (standard deviation).")
    inverted: bool = Field(False, description="Li bright instead of dark.")
    dtype: Literal["uint8", "uint16"] = Field("uint8", description="Type of the grey values.")

    hand_labelled_slices: Size | tuple[Index, ...] = Field(
        10, description="Cross-sections shown in labels/hand: how many, or a list of z."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {**PHANTOM_PRESETS.get(str(values.get("preset", "demo")), {}), **values}

    @model_validator(mode="after")
    def _check_cell(self) -> PhantomSettings:
        field_um = self.shape_zyx[1] * self.voxel_size_um
        if self.thickness_um > field_um:
            raise ValueError(
                f"the cell is {self.thickness_um:g} µm thick (two electrodes and the electrolyte), "
                f"but y covers {field_um:g} µm: make 'shape_zyx' or 'voxel_size_um' larger"
            )
        if self.dendrite_height_um >= self.electrolyte_um:
            raise ValueError(
                f"dendrites of {self.dendrite_height_um:g} µm ('dendrite_height_um') do not fit "
                f"into {self.electrolyte_um:g} µm of electrolyte ('electrolyte_um')"
            )
        if 2 * self.dendrite_radius_um >= self.electrolyte_um:
            raise ValueError(
                f"dendrites of radius {self.dendrite_radius_um:g} µm ('dendrite_radius_um') are "
                f"thicker than the electrolyte ({self.electrolyte_um:g} µm)"
            )
        if 4 * self.roughness_um > min(self.electrode_um, self.electrolyte_um):
            raise ValueError(
                f"interfaces rough by {self.roughness_um:g} µm ('roughness_um') would meet; "
                "give at most a quarter of the thinner of electrode and electrolyte"
            )
        if (
            self.dendrite_contrast > self.polymer_grey
            or self.electrode_contrast > self.polymer_grey
        ):
            raise ValueError("Li would be blacker than black: a contrast exceeds 'polymer_grey'")
        for z in self.hand_slices:
            if z >= self.shape_zyx[0]:
                raise ValueError(
                    f"slice {z} in 'hand_labelled_slices', but the scan has slices 0 to "
                    f"{self.shape_zyx[0] - 1}"
                )
        return self

    @property
    def thickness_um(self) -> float:
        """Thickness of the whole cell in µm."""
        return 2 * self.electrode_um + self.electrolyte_um

    @property
    def scan_ids(self) -> tuple[str, ...]:
        """Names of the scans."""
        return tuple(f"phantom-{i}" for i in range(self.n_scans))

    @property
    def hand_slices(self) -> tuple[int, ...]:
        """Indices along z of the hand-labelled cross-sections.

        Examples
        --------
        >>> PhantomSettings(preset="tiny", hand_labelled_slices=4).hand_slices
        (8, 24, 40, 56)
        """
        asked = self.hand_labelled_slices
        if isinstance(asked, tuple):
            return tuple(sorted(set(asked)))
        n_z = self.shape_zyx[0]
        n = min(asked, n_z)
        return tuple((2 * i + 1) * n_z // (2 * n) for i in range(n))
