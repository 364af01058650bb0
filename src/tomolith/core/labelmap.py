"""A label map: a volume of class values and the schema that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core.box import Box
from tomolith.core.grid import Grid
from tomolith.core.schema import ClassSchema
from tomolith.core.volume import Volume
from tomolith.errors import MismatchError


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Class values per voxel, axes (z, y, x), with the schema that names them.

    Raises
    ------
    MismatchError
        The array does not hold unsigned bytes.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> schema = PRESETS["li-binary"]
    >>> labels = LabelMap(Volume(np.ones((1, 2, 2), np.uint8), Grid((1, 2, 2), None)), schema)
    >>> schema.by_value(int(labels.read(labels.grid.box)[0, 0, 0])).name
    'lithium'
    """

    volume: Volume
    schema: ClassSchema

    def __post_init__(self) -> None:
        if self.volume.dtype != np.uint8:
            raise MismatchError(
                f"the label map holds {self.volume.dtype}", expected="uint8 class values"
            )

    @property
    def grid(self) -> Grid:
        """The grid of the volume."""
        return self.volume.grid

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Read the class values of ``box`` into memory."""
        return self.volume.read(box)
