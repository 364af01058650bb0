"""Settings of the phantom, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from tomolith.core import Grid, charge_to_thickness_um
from tomolith.phantom.cathode_settings import CATHODE, CathodeSettings
from tomolith.phantom.projections import ProjectionSettings
from tomolith.phantom.protocol import Protocol
from tomolith.phantom.scan_settings import Index, ScanSettings, Share, Size

# 1.3 voxels of 1.33 µm, as many as the default has of 2.66 µm (ADR 0007).
_BLUR_UM = 1.75

PHANTOM_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "demo": MappingProxyType({}),
        "tiny": MappingProxyType(
            {
                "shape_zyx": (64, 64, 64),
                "electrode_um": 75.0,
                "voxel_size_um": 5.32,
                "scans": (12,),
                "dendrite_radius_um": 14.0,
                "pore_um": 26.0,
                "blur_um": 6.0,
                "n_pits": 14,
                "pit_radius_um": 45.0,
                "n_defects": 3,
                "n_bubbles": 1,
                "drift": 0.03,
                "hand_labelled_slices": 4,
            }
        ),
        "operando-256": MappingProxyType(
            {
                "shape_zyx": (256, 300, 256),
                "voxel_size_um": 1.33,
                "blur_um": _BLUR_UM,
                "scans": tuple(range(25)),
                "n_pits": 40,
            }
        ),
        "binary-128": MappingProxyType(
            {
                "n_cells": 4,
                "scans": (8, 12, 18, 21, 24),
                "shape_zyx": (128, 300, 512),
                "voxel_size_um": 1.33,
                "blur_um": _BLUR_UM,
                "n_pits": 70,
                "n_patches": 4433,
            }
        ),
        "operando-paper": MappingProxyType(
            {
                "shape_zyx": (3896, 698, 1707),
                "voxel_size_um": 1.33,
                "blur_um": _BLUR_UM,
                "scans": tuple(range(25)),
                "electrode_um": 100.0,
                "electrolyte_um": 280.0,
                "n_pits": 3900,
                "n_defects": 400,
                "n_bubbles": 60,
            }
        ),
    }
)


class PhantomSettings(ScanSettings):
    """A simulated symmetric Li | polymer | Li cell, and scans of it through one cycle.

    The cell lies across y: cross-sections (y, x) show both electrodes, the stripping side at small
    y, the plating side at large y. Sizes and protocol follow Huang et al. 2023 (electrodes about
    100 µm, 140 µm of polymer per membrane; 12 pulses of charge and 12 of discharge, 10 min at
    1.5 mA/cm², with rests, in which the scans are taken). Greys are shares of the full grey range.

    Parameters
    ----------
    preset
        ``demo`` (both electrodes in 2.66 µm voxels), ``tiny`` (64³ voxels, for tests),
        ``binary-128`` (4433 patches of 128 × 128, the protocol of the TransforCNN paper),
        ``operando-256`` (25 scans of 256 × 300 × 256 voxels of 1.33 µm) or ``operando-paper``
        (25 scans of the paper's size).
    n_cells, scans
        Scans are named ``cell<i>-t<jj>``: cell i after jj pulses. Each cell is another one.
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
    >>> PhantomSettings(n_cells=2, scans=(0, 12)).scan_ids
    ('cell0-t00', 'cell0-t12', 'cell1-t00', 'cell1-t12')
    """

    preset: Literal[
        "demo", "tiny", "binary-128", "operando-256", "operando-paper", "cathode-3phase"
    ] = Field("demo", description="Defaults for what is not given.")
    n_cells: int = Field(1, ge=1, description="Number of simulated cells.")
    scans: tuple[Index, ...] = Field(
        (0, 6, 12, 18, 24), min_length=1, description="After how many pulses a scan is taken."
    )

    electrode_um: float = Field(100.0, gt=0, description="Thickness of each fresh Li electrode.")
    electrolyte_um: float = Field(140.0, gt=0, description="Thickness of the polymer.")
    roughness_um: float = Field(4.0, ge=0, description="Roughness of the interfaces (rms).")
    tilt_deg: float = Field(0.7, ge=0, le=10, description="Tilt of the cell in the scan.")
    swelling_um: float = Field(
        39.0, ge=0, description="How much the gap between the electrodes grows during charge."
    )

    n_pulses: int = Field(12, ge=1, le=500, description="Pulses of charge, and of discharge.")
    pulse_min: float = Field(10.0, gt=0, description="Length of a pulse in minutes.")
    rest_min: float = Field(20.0, gt=0, description="Rest after each pulse in minutes.")
    current_density_ma_cm2: float = Field(1.5, gt=0, description="Current density of a pulse.")
    area_cm2: float = Field(0.5, gt=0, description="Area of the whole cell.")
    coulombic_efficiency: float = Field(
        0.95, gt=0, le=1, description="Share of the charge that plates Li."
    )
    hidden_frac: float = Field(
        0.1, ge=0, lt=1, description="Share of the plated Li below what a scan can resolve."
    )
    dendrite_share: Share = Field(0.45, description="Share of the plated Li in dendrites.")
    dead_frac: Share = Field(0.3, description="Chance of a branch to lose contact and die.")
    deposit_porosity_frac: float = Field(0.3, ge=0, le=0.9, description="Pores in deposited Li.")
    deposit_coverage_frac: float = Field(
        0.984, gt=0.5, lt=1, description="Share of the plane that deposited Li covers at most."
    )
    redeposit_porosity_frac: float = Field(
        0.4, ge=0, le=0.9, description="Pores in redeposited Li."
    )
    n_pits: int = Field(36, ge=0, description="Pits in the stripping electrode.")
    pit_radius_um: float = Field(40.0, gt=0, description="Radius of a pit, on average.")
    pit_share: Share = Field(0.55, description="Share of the stripped Li that leaves pits.")
    void_um: float = Field(5.0, ge=0, description="Thickness of voids below redeposited Li.")
    void_coverage_frac: float = Field(
        0.54, ge=0, lt=1, description="Share of the plane with such voids at the end."
    )

    n_dendrites: int | None = Field(
        None, ge=0, description="Dendrites per cell; none given: as many as the Li allows."
    )
    dendrite_height_um: float = Field(90.0, gt=0, description="Length of a trunk, on average.")
    dendrite_radius_um: float = Field(11.0, gt=0, description="Radius at the root, on average.")
    branching: Share = Field(0.32, description="Chance of a branch per step of growth.")
    tortuosity: float = Field(0.6, ge=0, description="How much a branch winds; 0 is straight.")
    porosity_frac: float = Field(0.12, ge=0, le=0.6, description="Share of pores in dendrites.")
    pore_um: float = Field(18.0, gt=0, description="Size of the pores in dendrites.")
    n_defects: int = Field(8, ge=0, description="Dark specks in the polymer that never move.")
    n_bubbles: int = Field(3, ge=0, description="Bubbles that appear in the polymer in time.")

    polymer_grey: Share = Field(0.55, description="Grey of the polymer.")
    electrode_contrast: Share = Field(0.16, description="How much darker an electrode is.")
    dendrite_contrast: Share = Field(0.15, description="How much darker a dendrite is.")
    deposit_contrast: Share = Field(0.11, description="How much darker deposited Li is.")
    redeposit_contrast: Share = Field(0.09, description="How much darker redeposited Li is.")
    pit_contrast: Share = Field(0.2, description="How much darker a pit, a void, is.")

    motion_shift_vox: float = Field(
        0.0, ge=0, le=50, description="How far scans after the first are shifted at most."
    )
    motion_rotate_deg: float = Field(
        0.0, ge=0, le=10, description="How far scans after the first are turned at most."
    )
    motion_deform_vox: float = Field(
        0.0, ge=0, le=5, description="Smooth deformation of scans after the first (rms)."
    )

    n_patches: Size | None = Field(
        None, description="Write so many single patches instead of whole scans."
    )
    patch_px: Size = Field(128, description="Side of such a patch.")

    projections: ProjectionSettings | None = Field(
        None, description="Also simulate projections of each scan, for the step 'reconstruct'."
    )

    clock_offset_s: float = Field(
        0.0, description="How much later the cycler's clock starts than the scanner's."
    )

    @field_validator("preset")
    @classmethod
    def _is_of_a_cell(cls, value: str) -> str:
        if value == CATHODE:
            raise ValueError(f"a preset of a cell; '{CATHODE}' is one of CathodeSettings")
        return value

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
                f"the cell is {self.thickness_um:g} µm thick (two electrodes, the electrolyte and "
                f"its swelling), but y covers {field_um:g} µm: make 'shape_zyx' or "
                "'voxel_size_um' larger"
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
        if max(self._contrasts) > self.polymer_grey:
            raise ValueError("Li would be blacker than black: a contrast exceeds 'polymer_grey'")
        if self.n_patches is not None and self.patch_px > min(self.shape_zyx[1:]):
            raise ValueError(
                f"patches of {self.patch_px} pixels ('patch_px') do not fit into cross-sections of "
                f"{self.shape_zyx[1]} × {self.shape_zyx[2]} voxels ('shape_zyx')"
            )
        return self

    @model_validator(mode="after")
    def _check_history(self) -> PhantomSettings:
        last = 2 * self.n_pulses
        if max(self.scans) > last:
            raise ValueError(
                f"a scan after pulse {max(self.scans)} in 'scans', but the protocol has {last} "
                "pulses ('n_pulses' of charge and as many of discharge)"
            )
        if len(set(self.scans)) < len(self.scans) or tuple(sorted(self.scans)) != self.scans:
            raise ValueError("'scans' must rise, and name each scan once")
        stripped = self.charge_um
        if stripped >= self.electrode_um:
            raise ValueError(
                f"the protocol strips {stripped:.1f} µm of Li from an electrode that holds "
                f"{self.electrode_um:g} µm ('electrode_um'): lower 'n_pulses', 'pulse_min' or "
                "'current_density_ma_cm2'"
            )
        return self

    @property
    def _contrasts(self) -> tuple[float, ...]:
        return (
            self.electrode_contrast,
            self.dendrite_contrast,
            self.deposit_contrast,
            self.redeposit_contrast,
            self.pit_contrast,
        )

    @property
    def thickness_um(self) -> float:
        """Thickness of the whole cell in µm, swollen."""
        return 2 * self.electrode_um + self.electrolyte_um + self.swelling_um

    @property
    def protocol(self) -> Protocol:
        """The cycler's programme."""
        return Protocol(
            n_pulses=self.n_pulses,
            pulse_s=60 * self.pulse_min,
            rest_s=60 * self.rest_min,
            current_density_ma_cm2=self.current_density_ma_cm2,
            area_cm2=self.area_cm2,
        )

    @property
    def charge_um(self) -> float:
        """The charge of all pulses of one half cycle, as µm of Li.

        Examples
        --------
        >>> round(PhantomSettings().charge_um, 2)
        14.55
        """
        per_pulse = self.current_density_ma_cm2 * self.pulse_min / 60
        return charge_to_thickness_um(self.n_pulses * per_pulse)

    @property
    def scan_ids(self) -> tuple[str, ...]:
        """Names of the scans; single patches lie in one scan called ``patches``."""
        return tuple(self.grids)

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each scan, by its name."""
        if self.n_patches is not None:
            side, voxel_um = self.patch_px, self.grid.voxel_size_um
            return {"patches": Grid((self.n_patches, side, side), voxel_um, sections=True)}
        names = (scan_name(i, state) for i in range(self.n_cells) for state in self.scans)
        return dict.fromkeys(names, self.grid)


def scan_name(cell: int, state: int) -> str:
    """Return the name of the scan of a cell after ``state`` pulses.

    Examples
    --------
    >>> scan_name(0, 6)
    'cell0-t06'
    """
    return f"cell{cell}-t{state:02d}"


def by_preset(values: Any) -> Any:
    """Return the settings that a recipe's section ``phantom`` means: of a cathode, or of cells.

    Anything but a mapping is handed on.

    Raises
    ------
    ValidationError
        A value is not acceptable, or belongs to the other kind of phantom.

    Examples
    --------
    >>> by_preset({"preset": "cathode-3phase"}).scan_ids
    ('cathode0',)
    >>> by_preset({"preset": "tiny"}).scan_ids
    ('cell0-t12',)
    """
    if not isinstance(values, Mapping):
        return values
    is_cathode = values.get("preset") == CATHODE
    kind, other = PhantomSettings, CathodeSettings
    if is_cathode:
        kind, other = CathodeSettings, PhantomSettings
    strange = [key for key in values if key in set(other.model_fields) - set(kind.model_fields)]
    if strange:
        what = f"no '{strange[0]}', which is "
        what += (
            f"of a lithium cell; '{CATHODE}' is a cathode"
            if is_cathode
            else f"of a cathode ('preset: {CATHODE}')"
        )
        error = PydanticCustomError("other_phantom", what)
        raise ValidationError.from_exception_data(
            "phantom",
            [InitErrorDetails(type=error, loc=(strange[0],), input=values[strange[0]])],
        )
    return kind.model_validate(values)
