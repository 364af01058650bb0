"""A three-phase cathode: any box of a simulated nano-CT scan and of its true labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.errors import InputError, RecipeError
from tomolith.phantom.cathode_grains import CRACKED, POROUS, Grains, Sizes, place_grains
from tomolith.phantom.cathode_settings import CATHODE, CathodeSettings
from tomolith.phantom.drawing import fraction
from tomolith.phantom.noise import Doubles, Floats, axes_um, fractal_noise, lattice_noise, make_key
from tomolith.phantom.scanner import Scanner

CATHODE_MATERIALS = ("nmc", "carbon-binder", "pore")

_SAMPLE_VOXELS = 300_000  # as many suffice for shares right to 0.3 percentage points
_MARGIN = 0.3  # how far from a particle distances are known, in median diameters
_FINES = 0.28  # diameter of fragments, in median diameters
_LUMPS = 0.035  # departure from an ellipsoid (rms), in median diameters
_OVERFILL = 1.15  # particles overlap, so more are placed than the share needs
_SEAM = 0.055  # where two particles meet, this width is left open, in median diameters, ...
_SEAM_DEPTH = 0.045  # ... unless they overlap by more than this
_CRACK = 0.11  # half width of cracks, in standard deviations of the noise they follow
_HOLE = 1.9  # holes inside particles: where noise exceeds this, in standard deviations
_FLAW_SHARE = 1 / 3  # flaws take at most this share of the pores
_COATING = 1.4  # how much rarer pores are at a particle, in standard deviations of their noise
_FLAT = 1.5  # voids are flatter than wide: the electrode was pressed along y
_VOID_SCALES = (0.62, 0.79, 1.0, 1.27)  # several lattices: the planes of a single one would show
_BUMP = 0.13  # width of the bumps of the skin, in median diameters
_SHEET = 0.43  # width of the pieces between cracks, in median diameters
_HOLE_WIDTH = 0.16  # in median diameters
_MOTTLE_UM = 0.8  # size of the unevenness of the materials
_FAR = np.float32(1e4)


@dataclass(frozen=True, slots=True)
class Levels:
    """Where the surfaces lie, solved so that the labels keep their shares.

    Parameters
    ----------
    active_um
        Distance from the placed particles at which active material ends.
    flaw_um
        Level of cracks and holes inside particles.
    void
        Level of the noise below which the space between particles is a pore.
    """

    active_um: float = 0.0
    flaw_um: float = 0.0
    void: float = 0.0


@dataclass(frozen=True, slots=True)
class _Surfaces:
    """Fields over a box that are negative in particles, in their flaws, and in pores outside."""

    shell_um: Floats
    flaw_um: Floats
    void: Floats

    @property
    def material(self) -> npt.NDArray[np.uint8]:
        """What lies at the centre of each voxel, an index of :data:`CATHODE_MATERIALS`."""
        nmc, binder, pore = (np.uint8(i) for i in range(3))
        inside = np.where(self.flaw_um < 0, pore, nmc)
        return np.where(self.shell_um < 0, inside, np.where(self.void < 0, pore, binder))


@dataclass(frozen=True, slots=True)
class Cathode:
    """One simulated scan. Nothing is stored: boxes are computed, and always with the same bytes.

    Secondary particles (rough ellipsoids of many sizes, some cracked or with holes) and fragments;
    between them carbon-binder, which coats them, and smooth connected pores. Positions are in µm
    from the centre of the volume. After the three-phase cathodes of Tabassum et al. (MatPhase) and
    Su et al. 2022 (doi:10.1038/s41524-022-00709-7).

    Examples
    --------
    >>> settings = CathodeSettings(shape_zyx=(8, 64, 64), particle_um=2.0)
    >>> image, material = Cathode.build(settings, "cathode0").render(Box((0, 0, 0), (4, 64, 64)))
    >>> image.shape, [CATHODE_MATERIALS[i] for i in np.unique(material)]
    ((4, 64, 64), ['nmc', 'carbon-binder', 'pore'])
    """

    settings: CathodeSettings
    scan_id: str
    scanner: Scanner
    grains: Grains
    levels: Levels

    @classmethod
    def build(cls, settings: CathodeSettings, scan_id: str) -> Cathode:
        """Make the compact description of a scan; its seed and its name decide everything.

        Raises
        ------
        InputError
            The settings make no such scan.
        """
        s = settings
        if scan_id not in s.scan_ids:
            raise InputError(
                f"the phantom has no scan '{scan_id}'",
                expected=f"one of {', '.join(s.scan_ids)}",
                mend="change 'n_cathodes' of the phantom, or the name",
            )
        rng = np.random.Generator(np.random.PCG64(make_key(s.seed, scan_id, "grains")))
        scanner = Scanner(s, make_key(s.seed, scan_id))
        half = np.array([n * s.voxel_size_um / 2 for n in s.shape_zyx])
        large = Sizes(s.particle_um, s.spread, s.flawed_frac)
        fines = Sizes(_FINES * s.particle_um, 1.4 * s.spread, 0.0)
        fill = _OVERFILL * s.active_frac
        table = np.empty((0, 5))
        while True:
            table = place_grains(table, large, half, (1 - s.fines_frac) * fill, rng)
            table = place_grains(table, fines, half, s.fines_frac * fill, rng)
            cathode = cls(s, scan_id, scanner, Grains.of_table(table, rng), Levels())
            levels = cathode._solve()
            # too few particles in reach of a small field: add as many again
            if levels.active_um < 0.5 * _MARGIN * s.particle_um:
                return replace(cathode, levels=levels)

    @property
    def grid(self) -> Grid:
        """The grid of the scan."""
        return self.settings.grid

    def label_values(self, schema: ClassSchema) -> npt.NDArray[np.uint8]:
        """Return the schema's value of each of :data:`CATHODE_MATERIALS`.

        Raises
        ------
        RecipeError
            The schema lacks one of them.
        """
        missing = [name for name in CATHODE_MATERIALS if name not in schema.names]
        if missing:
            raise RecipeError(
                f"the classes {', '.join(schema.names)} leave out {', '.join(missing)}",
                expected=f"a class schema with {', '.join(CATHODE_MATERIALS)}",
                mend=f"write 'classes: {CATHODE}'",
            )
        return np.array([schema[name].value for name in CATHODE_MATERIALS], np.uint8)

    def render(
        self, box: Box
    ) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.uint8]]:
        """Return the grey values of a box and the index of each voxel's material.

        Returns
        -------
        image, material
            Both of the box's shape (z, y, x); ``material`` indexes :data:`CATHODE_MATERIALS`.
        """
        return self.scanner.render(box, self._paint, self.materials)

    def materials(self, box: Box) -> npt.NDArray[np.uint8]:
        """Return the index of each voxel's material, without making the image."""
        return self._surfaces(self._axes_um(box)).material

    def _paint(self, box: Box, step: int) -> Floats:
        """Return the greys of an ideal scan of a box, counted in cubes of ``step`` voxels."""
        s, axes = self.settings, self._axes_um(box, step=step)
        surfaces, voxel = self._surfaces(axes), step * self.settings.voxel_size_um
        particle = fraction(surfaces.shell_um, voxel)
        opened = fraction(surfaces.flaw_um, voxel)
        between = fraction(surfaces.void * np.float32(s.void_um / 3), voxel)
        active = particle * (np.float32(1.0) - opened)
        pore = (np.float32(1.0) - particle) * between + particle * opened
        grey = np.float32(s.pore_grey + s.binder_contrast) - np.float32(s.binder_contrast) * pore
        grey += np.float32(s.active_grey - s.pore_grey - s.binder_contrast) * active
        if s.texture:
            mottle = fractal_noise(self._key + 11, axes, _MOTTLE_UM, n_octaves=2)
            grey += np.float32(s.texture) * mottle * (np.float32(1.0) - pore)
        return grey

    @property
    def _key(self) -> int:
        return self.scanner.key

    def _axes_um(self, box: Box, *, step: int = 1) -> tuple[Doubles, Doubles, Doubles]:
        return axes_um(self.settings.shape_zyx, self.settings.voxel_size_um, box, step=step)

    def _surfaces(self, axes: tuple[Doubles, ...]) -> _Surfaces:
        levels = self.levels
        shell_um, flaw_um = self._particles(axes)
        shell_um -= np.float32(levels.active_um)
        flaw_um -= np.float32(levels.flaw_um)
        return _Surfaces(shell_um, flaw_um, self._void(axes, shell_um) - np.float32(levels.void))

    def _particles(self, axes: tuple[Doubles, ...]) -> tuple[Floats, Floats]:
        """Return two fields in µm: particles where the first is low, flaws where the second is."""
        s = self.settings
        first, second, kind = self.grains.nearest(axes, _MARGIN * s.particle_um)
        lumps = lattice_noise(self._key + 101, axes, 0.4 * s.particle_um)
        seam = np.float32(1.0) - (second - first) * np.float32(1 / (_SEAM * s.particle_um))
        first += np.float32(_LUMPS * s.particle_um) * lumps
        first += np.float32(_SEAM_DEPTH * s.particle_um) * np.maximum(seam, np.float32(0.0))
        if s.skin_frac:
            skin = fractal_noise(self._key + 202, axes, _BUMP * s.particle_um)
            first += np.float32(s.skin_frac * s.particle_um) * skin
        return first, self._flaws(axes, kind)

    def _flaws(self, axes: tuple[Doubles, ...], kind: npt.NDArray[np.uint8]) -> Floats:
        """Return a field in µm that is negative in cracks and holes of flawed particles."""
        size = self.settings.particle_um
        flaw = np.full(kind.shape, _FAR, np.float32)
        if (kind == CRACKED).any():
            sheet = fractal_noise(self._key + 303, axes, _SHEET * size, n_octaves=4)
            crack = (np.abs(sheet) - np.float32(_CRACK)) * np.float32(_SHEET * size / 4)
            np.copyto(flaw, crack, where=kind == CRACKED)
        if (kind == POROUS).any():
            holes = fractal_noise(self._key + 404, axes, _HOLE_WIDTH * size, n_octaves=2)
            hole = (np.float32(_HOLE) - holes) * np.float32(_HOLE_WIDTH * size / 3)
            np.copyto(flaw, hole, where=kind == POROUS)
        return flaw

    def _void(self, axes: tuple[Doubles, ...], gap_um: Floats) -> Floats:
        """Return a field that is low in pores, high where carbon-binder coats a particle."""
        s = self.settings
        z, y, x = axes
        flat = (z, _FLAT * y, x)
        void = np.zeros(gap_um.shape, np.float32)
        for i, scale in enumerate(_VOID_SCALES):
            void += lattice_noise(self._key + 505 + i, flat, scale * s.void_um)
        void *= np.float32(1 / math.sqrt(len(_VOID_SCALES)))
        if s.coat_um:
            bare = np.clip(gap_um * np.float32(1 / s.coat_um), 0.0, 1.0)
            void += np.float32(_COATING) * (np.float32(1.0) - bare)
        return void

    def _solve(self) -> Levels:
        """Find the levels on evenly spread voxels of the volume."""
        s = self.settings
        step = max(math.ceil((math.prod(s.shape_zyx) / _SAMPLE_VOXELS) ** (1 / 3)), 1)
        whole = self._axes_um(Box.whole(s.shape_zyx))
        axes = tuple(axis[min(step // 2, len(axis) - 1) :: step] for axis in whole)
        shell, flaw = self._particles(axes)
        n = shell.size
        n_active, n_pore = round(s.active_frac * n), round(s.pore_frac * n)
        sound = shell < _level(shell, n_active)
        n_flaw = min(int((flaw[sound] < 0).sum()), int(_FLAW_SHARE * n_pore))
        active = _level(shell, n_active + n_flaw)
        inside = shell < active
        void = self._void(axes, shell - np.float32(active))
        cut = min(_level(flaw[inside], n_flaw), 0.0)
        return Levels(active, cut, _level(void[~inside], n_pore - n_flaw))


def _level(values: Floats, n_below: int) -> float:
    """Return the level below which ``n_below`` of the values lie."""
    if n_below == 0:
        return -float(_FAR)
    if n_below >= values.size:
        return float(_FAR)
    return float(np.partition(values, n_below, axis=None)[n_below])
