"""Inventory: how much Li there is, where."""

from __future__ import annotations

from tomolith.core import ClassSchema, Grid
from tomolith.errors import InputError
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.columns import SidesQuantity
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.sides import GROWN, electrode_part

_GROWN = (*GROWN[PLATING], *GROWN[STRIPPING])


class LiVolume(SidesQuantity):
    """Volume of Li metal in µm³: of each kind, of each side, and in all.

    The plating side holds its electrode, dendrites and deposit, the stripping side its electrode
    and redeposited Li. Porous layers count as metal whole unless their porosity is given.

    Parameters
    ----------
    deposited_porosity_frac, redeposited_porosity_frac
        Share of the labelled layer that is no metal, 0 to 1.

    Raises
    ------
    InputError
        A porosity is not within 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> box = Box((0, 0, 0), (1, 4, 1))
    >>> li = LiVolume(PRESETS["li-operando"], Frame.half_depth((1, 4, 1)))
    >>> li.update(Region(np.array([[[1], [0], [2], [1]]], np.uint8), box, box))
    >>> [v.value for v in li.finish(Grid((1, 4, 1), (1.0, 1.0, 1.0)))[-3:]]
    [1.0, 2.0, 3.0]
    """

    unit = "um3"
    formula = "V (1 - porosity); plating side: electrode + dendrite + deposited; total: both sides"
    source = "Huang et al., npj Comput. Mater. 9, 93 (2023)"
    is_physical = True
    needs = ("electrode", *_GROWN)

    def __init__(
        self,
        schema: ClassSchema,
        frame: Frame | None = None,
        *,
        deposited_porosity_frac: float = 0.0,
        redeposited_porosity_frac: float = 0.0,
    ) -> None:
        super().__init__(schema, frame)
        self._porosities = {
            "deposited": deposited_porosity_frac,
            "redeposited": redeposited_porosity_frac,
        }
        for name, porosity in self._porosities.items():
            if not 0 <= porosity <= 1:
                raise InputError(
                    f"{name}_porosity_frac is {porosity}", expected="a share from 0 to 1"
                )

    @property
    def parts(self) -> tuple[str, ...]:
        """Kinds of Li, sides, and all."""
        sides = (STRIPPING, PLATING)
        return (*_GROWN, *map(electrode_part, sides), *(f"all Li, {s}" for s in sides), "all Li")

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        one = grid.voxel_volume_um3
        grown = {n: self.count(n) * one * (1 - self._porosities.get(n, 0.0)) for n in _GROWN}
        sides = (STRIPPING, PLATING)
        electrodes = [self.count("electrode", side) * one for side in sides]
        wholes = [
            e + sum(grown[n] for n in GROWN[s]) for e, s in zip(electrodes, sides, strict=True)
        ]
        found = (*grown.values(), *electrodes, *wholes, sum(wholes))
        return tuple(ClassValue(p, v) for p, v in zip(self.parts, found, strict=True))
