"""Where the electrodes lie, how rough, how tilted and how thick they are."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from tomolith.core import Grid, Interval
from tomolith.measure.quantities.base import ClassValue, QuantityMap
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import electrode_part
from tomolith.measure.quantities.surfaces import Heights, SurfaceQuantity, Surfaces, mean

_WORST = "half-voxel boundary shift of each column's face, as the plane tilts most"


def side_names(name: str) -> tuple[str, ...]:
    """Return the names of a map of either side.

    Examples
    --------
    >>> side_names("position")
    ('position_stripping_side', 'position_plating_side')
    """
    return tuple(f"{name}_{side.replace(' ', '_')}" for side in (STRIPPING, PLATING))


def side_maps(name: str, unit: str, by_side: dict[str, Heights]) -> tuple[QuantityMap, ...]:
    """Return one map per side, called as :func:`side_names` says."""
    return tuple(
        QuantityMap(of_side, unit, by_side[side].astype(np.float32))
        for of_side, side in zip(side_names(name), (STRIPPING, PLATING), strict=True)
    )


class _OfElectrodes(SurfaceQuantity):
    """One number for each electrode."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The electrode of each side."""
        return electrode_part(STRIPPING), electrode_part(PLATING)

    @abstractmethod
    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the number of one electrode; ``None`` where it is not seen."""

    def interval_of_side(self, surfaces: Surfaces, side: str) -> Interval | None:
        """Return the interval of that number, where it is not given by a rule."""
        return None

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the numbers; ``InputError`` where the voxel size is unknown."""
        surfaces = self.surfaces(grid)
        return tuple(
            ClassValue(
                part,
                self.of_side(surfaces, side),
                interval=self.interval_of_side(surfaces, side),
            )
            for part, side in zip(self.parts, (STRIPPING, PLATING), strict=True)
        )


class Position(_OfElectrodes):
    """Mean position in µm of each electrode's inner face, from the centre of the volume.

    ``surfaces(grid).inner`` gives the maps.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> from tomolith.measure.quantities.frame import Frame
    >>> box = Box((0, 0, 0), (1, 6, 1))
    >>> position = Position(PRESETS["li-operando"], Frame.half_depth((1, 6, 1)))
    >>> labels = np.array([1, 1, 0, 0, 0, 1], np.uint8).reshape(1, 6, 1)
    >>> position.update(Region(labels, box, box))
    >>> [v.value for v in position.finish(Grid((1, 6, 1), (1.0, 2.0, 1.0)))]
    [-2.0, 4.0]
    """

    unit = "um"
    formula = "mean height of the last electrode voxel's inner face, per column"
    map_names = side_names("position")

    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the mean height."""
        return mean(surfaces.inner[side])

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the heights of both inner faces."""
        return side_maps("position", self.unit, self.surfaces(grid).inner)


class Roughness(_OfElectrodes):
    """Roughness in µm of each electrode's inner face, about its plane."""

    unit = "um"
    formula = "Sq = root mean square distance of the inner face from its least-squares plane"
    source = "Sq of ISO 25178-2"

    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the root mean square."""
        return surfaces.roughness_um(side)


class Tilt(_OfElectrodes):
    """Tilt in degrees of each electrode's inner face against the plan."""

    unit = "deg"
    formula = "arccos(1 / sqrt(1 + a² + b²)), a and b the slopes of the least-squares plane"
    source = "geometry"

    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the angle."""
        plane = surfaces.fit(side)
        return None if plane is None else math.degrees(math.acos(plane.cos_tilt))

    def interval_of_side(self, surfaces: Surfaces, side: str) -> Interval | None:
        """Return between which angles the face may lie, half a voxel off in each column."""
        plane = surfaces.fit(side)
        if plane is None:
            return None
        slope, doubt = math.hypot(plane.a, plane.b), surfaces.slope_doubt(side)
        low, high = (math.degrees(math.atan(s)) for s in (max(slope - doubt, 0.0), slope + doubt))
        return Interval(low, high, _WORST)


class LocalThickness(_OfElectrodes):
    """Mean thickness in µm of each electrode across its layer, corrected for the tilt.

    Columns where the electrode leaves the volume are left out.
    ``surfaces(grid).local_thickness_um(side)`` gives the map.
    """

    unit = "um"
    formula = "mean of N per column · voxel size · cos(tilt)"
    source = "geometry"
    map_names = side_names("local_thickness")

    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the mean."""
        return mean(surfaces.local_thickness_um(side))

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the thickness of both electrodes."""
        surfaces = self.surfaces(grid)
        found = {side: surfaces.local_thickness_um(side) for side in (STRIPPING, PLATING)}
        return side_maps("local_thickness", self.unit, found)


class Gap(SurfaceQuantity):
    """Distance in µm between the electrodes' inner faces: along the axis, and across the tilt.

    Its change from scan to scan is the swelling.
    """

    unit = "um"
    formula = "mean over the columns of plating face - stripping face; times cos(tilt)"
    map_names = ("gap",)

    @property
    def parts(self) -> tuple[str, ...]:
        """The gap along the axis, and across the tilted cell."""
        return "electrodes", "electrodes, across the tilt"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the distances; ``None`` where no column shows both electrodes."""
        surfaces = self.surfaces(grid)
        planes = [surfaces.fit(side) for side in (STRIPPING, PLATING)]
        cosines = [plane.cos_tilt for plane in planes if plane]
        along = mean(surfaces.gap_um)
        across = None if along is None or not cosines else along * sum(cosines) / len(cosines)
        return ClassValue(self.parts[0], along), ClassValue(self.parts[1], across)

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the distance along the axis."""
        values = self.surfaces(grid).gap_um.astype(np.float32)
        return (QuantityMap("gap", self.unit, values),)


class CellThickness(SurfaceQuantity):
    """Distance in µm between the electrodes' outer faces, along the axis.

    Its change from scan to scan is the swelling of the whole cell. Columns where an electrode
    leaves the volume are left out.
    """

    unit = "um"
    formula = "mean over the columns of outer plating face - outer stripping face"

    @property
    def parts(self) -> tuple[str, ...]:
        """The cell."""
        return ("cell",)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the distance; ``None`` where no column shows both faces."""
        return (ClassValue("cell", mean(self.surfaces(grid).cell_um)),)
