"""Where the electrodes lie, how rough, how tilted and how thick they are."""

from __future__ import annotations

import math
from abc import abstractmethod

from tomolith.core import Grid, Interval
from tomolith.measure.quantities.base import ClassValue, QuantityMap
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import electrode_part
from tomolith.measure.quantities.surfaces import (
    Ends,
    SurfaceQuantity,
    Surfaces,
    scaled,
    scaled_mean,
)

_WORST = "half-voxel boundary shift of each column's face, as the plane tilts most"


def side_names(name: str) -> tuple[str, ...]:
    """Return the names of a map of either side.

    Examples
    --------
    >>> side_names("position")
    ('position_stripping_side', 'position_plating_side')
    """
    return tuple(f"{name}_{side.replace(' ', '_')}" for side in (STRIPPING, PLATING))


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

    ``maps`` gives the height of each column.

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
        return scaled_mean(surfaces.inner[side], surfaces.size_um, middle=surfaces.middle)

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the heights of both inner faces."""
        found = self.surfaces(grid)
        return tuple(
            QuantityMap(
                name,
                self.unit,
                scaled(found.inner[side], found.size_um, middle=found.middle),
            )
            for name, side in zip(self.map_names, (STRIPPING, PLATING), strict=True)
        )


class Roughness(_OfElectrodes):
    """Roughness in µm of each electrode's inner face, about its plane."""

    unit = "um"
    formula = "Sq = root mean square distance of the inner face from its least-squares plane"
    source = "Sq of ISO 25178-2"

    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the root mean square, across the tilt."""
        plane = surfaces.fit(side)
        return None if plane is None else plane.rms_um * plane.cos_tilt


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
        slope, doubt = math.hypot(plane.a, plane.b), plane.slope_doubt
        low, high = (math.degrees(math.atan(s)) for s in (max(slope - doubt, 0.0), slope + doubt))
        return Interval(low, high, _WORST)


class LocalThickness(_OfElectrodes):
    """Mean thickness in µm of each electrode across its layer, corrected for the tilt.

    Columns where the electrode leaves the volume are left out. ``maps`` gives it for each column.
    """

    unit = "um"
    formula = "mean of N per column · voxel size · cos(tilt)"
    source = "geometry"
    map_names = side_names("local_thickness")

    def of_side(self, surfaces: Surfaces, side: str) -> float | None:
        """Return the mean."""
        return scaled_mean(self._of_columns(surfaces, side), _across_um(surfaces, side))

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the thickness of both electrodes."""
        found = self.surfaces(grid)
        return tuple(
            QuantityMap(
                name,
                self.unit,
                scaled(self._of_columns(found, side), _across_um(found, side)),
            )
            for name, side in zip(self.map_names, (STRIPPING, PLATING), strict=True)
        )

    def _of_columns(self, surfaces: Surfaces, side: str) -> Ends:
        return self.once(("thickness", self.frame, side), lambda: surfaces.thickness(side))


def _across_um(surfaces: Surfaces, side: str) -> float:
    """Return the size of a voxel across the tilt of an electrode."""
    plane = surfaces.fit(side)
    return surfaces.size_um * (plane.cos_tilt if plane else 1.0)


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
        along = scaled_mean(self._of_columns(surfaces), surfaces.size_um)
        across = None if along is None or not cosines else along * sum(cosines) / len(cosines)
        return ClassValue(self.parts[0], along), ClassValue(self.parts[1], across)

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the distance along the axis."""
        surfaces = self.surfaces(grid)
        values = scaled(self._of_columns(surfaces), surfaces.size_um)
        return (QuantityMap("gap", self.unit, values),)

    def _of_columns(self, surfaces: Surfaces) -> Ends:
        return self.once(("gap", self.frame), surfaces.gap)


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
        surfaces = self.surfaces(grid)
        return (ClassValue("cell", scaled_mean(surfaces.cell(), surfaces.size_um)),)
