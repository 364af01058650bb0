"""How far the pits of the stripping electrode are filled."""

from __future__ import annotations

from tomolith.core import Grid
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.counting import CountingQuantity


class PitFilling(CountingQuantity):
    """Share of the pits that redeposited Li fills (0 to 1).

    All redeposited Li counts as if it lay in a pit, that outside of pits too.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> box = Box((0, 0, 0), (1, 1, 4))
    >>> filling = PitFilling(PRESETS["li-operando"])
    >>> filling.update(Region(np.array([[[5, 3, 3, 3]]], np.uint8), box, box))
    >>> filling.finish(Grid((1, 1, 4), None))[0].value
    0.25
    """

    unit = "1"
    formula = "redeposited / (redeposited + pit), in voxels"
    source = "Huang et al., npj Comput. Mater. 9, 93 (2023)"
    needs = ("pit", "redeposited")

    @property
    def parts(self) -> tuple[str, ...]:
        """The pits."""
        return ("pit",)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the share; ``None`` where there is no pit."""
        filled, empty = self.count("redeposited"), self.count("pit")
        return (ClassValue("pit", filled / (filled + empty) if filled + empty else None),)


class UnfilledPits(PitFilling):
    """Share of the pits that remain unfilled (0 to 1).

    Huang et al. speak of such a share during discharge; over what it is counted, a formula does not
    say. Here it is what is pit or redeposited Li in the scan itself, so that one scan is enough;
    but redeposited Li also grows outside of pits. ``pits_left`` of a series takes the pits of the
    half cycle instead.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> UnfilledPits(PRESETS["li-operando"]).finish(Grid((1, 1, 1), None))[0].value is None
    True
    """

    formula = "pit / (redeposited + pit), in voxels"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the share; ``None`` where there is no pit."""
        filled, empty = self.count("redeposited"), self.count("pit")
        return (ClassValue("pit", empty / (filled + empty) if filled + empty else None),)
