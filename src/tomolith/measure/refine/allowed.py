"""The operation ``allowed``: where each class can be, from the surfaces of the electrodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.measure.quantities.frame import STRIPPING
from tomolith.measure.quantities.one_electrode import (
    ELECTRODES,
    PLATING_ELECTRODE,
    STRIPPING_ELECTRODE,
)
from tomolith.measure.refine.faces import Faces, Plan
from tomolith.measure.refine.settings import AllowedSettings

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Allowed:
    """Takes classes away from where they cannot be.

    With heights counted from the stripping electrode towards the plating one, up to the margin,

    - ``pit`` lies below the stripping electrode's face in the reference scan;
    - ``dendrite`` and ``deposited`` lie in the gap, however near they come to the stripping
      electrode, and so does ``redeposited``, which lies in pits, too;
    - an electrode lies at or behind its face in this scan or, stripping, in the reference scan.

    A voxel whose class is not allowed becomes electrode where it lies behind the face of one in
    this scan, else background. Whether Li is ``deposited`` or ``redeposited`` by the side on which
    it lies is not asked here: Li under the name of the other side is no less Li.

    Parameters
    ----------
    faces, reference
        Of this scan, and of the scan that shows the stripping electrode before it was stripped.
    """

    name = "allowed"

    def __init__(
        self,
        settings: AllowedSettings,
        grid: Grid,
        schema: ClassSchema,
        *,
        faces: Faces,
        reference: Plan,
    ) -> None:
        sizes = grid.require_voxel_size_um("a margin in µm")
        self._margin = round(settings.margin_um / sizes[faces.frame.axis])
        self._faces, self._reference, self._schema = faces, reference, schema

    def apply(self, labels: Bytes, box: Box) -> Bytes:
        """Return the labels of a box of the scan."""
        out = labels.copy()
        given, kept = self._faces.frame.across(labels), self._faces.frame.across(out)
        first = box.start_zyx[self._faces.frame.axis]
        index = np.arange(first, first + given.shape[1], dtype=np.int32)[None, :, None]
        here = self._heights(index, box)
        for names, bad in self._forbidden(*here):
            values = [self._schema[n].value for n in names if n in self._schema.names]
            wrong = np.isin(given, values) & bad if values else None
            if wrong is not None and wrong.any():
                kept[wrong] = self._instead(*here)[wrong]
        return out

    def _heights(self, index: Plan, box: Box) -> tuple[Plan, Plan, Plan]:
        """Return how far each voxel lies above the stripping face, its first one, and the plating.

        The voxel next to a face lies 1 above the stripping ones, and -1 above the plating one.
        """
        low, high = self._faces.part(box)
        u0, u1, v0, v1 = self._faces.frame.plan_key(box)
        first = self._reference[u0:u1, v0:v1]
        if self._faces.frame.sides[0] == STRIPPING:
            return tuple(index - face[:, None, :] for face in (low, first, high))  # type: ignore[return-value]
        return tuple(face[:, None, :] - index for face in (high, first, low))  # type: ignore[return-value]

    def _forbidden(
        self, strip: Plan, first: Plan, plate: Plan
    ) -> list[tuple[tuple[str, ...], Mask]]:
        margin = self._margin
        in_gap = (strip > -margin) & (plate < margin)
        behind_strip = np.minimum(strip, first) <= margin
        behind_plate = plate >= -margin
        return [
            (("pit",), first > margin),
            (("redeposited",), ~(in_gap | (first <= margin))),
            (("dendrite", "deposited"), ~in_gap),
            (("electrode",), ~(behind_strip | behind_plate)),
            ((STRIPPING_ELECTRODE,), ~behind_strip),
            ((PLATING_ELECTRODE,), ~behind_plate),
        ]

    def _instead(self, strip: Plan, first: Plan, plate: Plan) -> Bytes:
        values = {n: self._schema[n].value for n in ELECTRODES if n in self._schema.names}
        common = values.get("electrode")
        stripping = values.get(STRIPPING_ELECTRODE, common)
        plating = values.get(PLATING_ELECTRODE, common)
        background = self._schema["background"].value
        pick = [np.uint8(background if v is None else v) for v in (stripping, plating)]
        return np.select([strip <= 0, plate >= 0], pick, np.uint8(background))
