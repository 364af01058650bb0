"""The operation ``region``: only a box of the scan is analysed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.errors import InputError
from tomolith.measure.refine.settings import RegionSettings

Bytes = npt.NDArray[np.uint8]


class Region:
    """Makes what lies outside of a box *unlabelled*, so that nothing counts it.

    Raises
    ------
    InputError
        The box reaches beyond the scan.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> region = Region(RegionSettings(x=(1, 3)), Grid((1, 1, 4), None), PRESETS["li-binary"])
    >>> region.apply(np.ones((1, 1, 4), np.uint8), Box((0, 0, 0), (1, 1, 4))).ravel().tolist()
    [255, 1, 1, 255]
    """

    name = "region"

    def __init__(self, settings: RegionSettings, grid: Grid, schema: ClassSchema) -> None:
        whole = grid.shape_zyx
        ranges = [
            found or (0, n)
            for found, n in zip((settings.z, settings.y, settings.x), whole, strict=True)
        ]
        (z0, z1), (y0, y1), (x0, x1) = ranges
        self._box = Box((z0, y0, x0), (z1, y1, x1))
        self._unlabelled = schema.unlabelled
        if not grid.box.contains(self._box):
            raise InputError(
                f"the region ends at {self._box.stop_zyx} (z, y, x)",
                expected=f"at most {whole}, the shape of the scan",
                where="refine.region",
            )

    def apply(self, labels: Bytes, box: Box) -> Bytes:
        """Return the labels of a box of the scan."""
        out = np.full_like(labels, self._unlabelled)
        inside = box.intersect(self._box)
        if inside.n_voxels:
            part = inside.relative_to(box).slices
            out[part] = labels[part]
        return out
