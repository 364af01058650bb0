"""Settings of the three-phase cathode."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tomolith.core import Grid
from tomolith.phantom.scan_settings import ScanSettings, Share, Size

CATHODE = "cathode-3phase"
_FEWEST_VOXELS = 8  # across a particle: with fewer, neither its skin nor the binder can be drawn
_MOST_ACTIVE = 0.85  # particles that fill more have no room between them


class CathodeSettings(ScanSettings):
    """A cathode of Ni-rich particles, carbon-binder and pores, and the nano-CT scan of it.

    Shape and shares are those of the cathode in MatPhase (Tabassum et al.). Its voxel size is not
    known here: 0.1 µm shows particles of some micrometres, as Ni-rich powders have, at the size
    they have in published nano-CT slices (Su et al. 2022, doi:10.1038/s41524-022-00709-7). The
    current collector lies across y. Greys are shares of the full grey range.

    Parameters
    ----------
    active_frac, pore_frac
        Shares of the volume that the labels keep; carbon-binder is the rest.
    particle_um
        Median by volume of the secondary particles.

    Raises
    ------
    RecipeError
        Through :func:`tomolith.config.parse_settings`: any value or combination that makes no
        cathode.

    Examples
    --------
    >>> settings = CathodeSettings(n_cathodes=2)
    >>> settings.scan_ids, round(settings.binder_frac, 2)
    (('cathode0', 'cathode1'), 0.26)
    """

    preset: Literal["cathode-3phase"] = Field(
        CATHODE, description="What makes the phantom a cathode."
    )
    n_cathodes: int = Field(1, ge=1, description="Number of simulated cathodes, a scan of each.")
    shape_zyx: tuple[Size, Size, Size] = Field(
        (133, 224, 256), description="Voxels along z, y (through the electrode) and x."
    )
    voxel_size_um: float = Field(0.1, gt=0, description="Voxel size, the same along each axis.")

    active_frac: float = Field(
        0.60, gt=0, le=_MOST_ACTIVE, description="Share of Ni-rich active material."
    )
    pore_frac: Share = Field(0.14, description="Share of pores; carbon-binder is the rest.")
    particle_um: float = Field(6.0, gt=0, description="Diameter of the particles, by volume.")
    spread: float = Field(0.35, ge=0, le=0.6, description="Spread of log diameter.")
    fines_frac: Share = Field(0.10, description="Share of active material in small fragments.")
    skin_frac: float = Field(
        0.02, ge=0, le=0.1, description="Roughness (rms) of the skin, in diameters."
    )
    flawed_frac: Share = Field(0.35, description="Share of particles with cracks or pores inside.")
    void_um: float = Field(2.2, gt=0, description="Size of the pores in the carbon-binder.")
    coat_um: float = Field(0.3, ge=0, description="Carbon-binder that coats the particles.")

    active_grey: Share = Field(0.66, description="Grey of the active material.")
    pore_grey: Share = Field(0.24, description="Grey of the pores.")
    binder_contrast: Share = Field(0.10, description="How much brighter carbon-binder is.")
    texture: Share = Field(0.03, description="Unevenness of the materials themselves (rms).")
    drift: Share = Field(0.04, description="Slow unevenness of the background.")
    noise: Share = Field(0.03, description="Noise (rms).")
    rings: Share = Field(0.015, description="Ring artefacts (rms).")
    fringes: float = Field(0.3, ge=0, le=3, description="Bright and dark fringes along edges.")
    blur_um: float = Field(0.14, ge=0, description="Point spread (standard deviation).")

    @model_validator(mode="after")
    def _check_cathode(self) -> CathodeSettings:
        if self.active_frac + self.pore_frac > 1 + 1e-9:
            raise ValueError(
                f"'active_frac' {self.active_frac:g} and 'pore_frac' {self.pore_frac:g} sum to "
                f"{self.active_frac + self.pore_frac:g}, more than the whole volume: give at most "
                "1 together, carbon-binder is the rest"
            )
        field_um = min(self.shape_zyx[1:]) * self.voxel_size_um
        if self.particle_um > field_um:
            raise ValueError(
                f"particles of {self.particle_um:g} µm ('particle_um') are larger than the field, "
                f"{field_um:g} µm along y or x: make them smaller, or 'shape_zyx' or "
                "'voxel_size_um' larger"
            )
        if self.particle_um < _FEWEST_VOXELS * self.voxel_size_um:
            raise ValueError(
                f"particles of {self.particle_um:g} µm ('particle_um') are less than "
                f"{_FEWEST_VOXELS} voxels of {self.voxel_size_um:g} µm wide: make them larger or "
                "'voxel_size_um' smaller"
            )
        if self.pore_grey + self.binder_contrast > self.active_grey:
            raise ValueError(
                "carbon-binder would be brighter than the active material: 'pore_grey' plus "
                "'binder_contrast' exceeds 'active_grey'"
            )
        return self

    @property
    def binder_frac(self) -> float:
        """Share of carbon-binder: what active material and pores leave."""
        return max(1.0 - self.active_frac - self.pore_frac, 0.0)

    @property
    def scan_ids(self) -> tuple[str, ...]:
        """Names of the scans."""
        return tuple(self.grids)

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each scan, by its name."""
        return {f"cathode{i}": self.grid for i in range(self.n_cathodes)}
