"""What Li belongs to which side of the cell."""

from __future__ import annotations

from tomolith.core import ClassSchema
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.one_electrode import is_electrode

GROWN = {PLATING: ("dendrite", "deposited"), STRIPPING: ("redeposited",)}
"""Li that grew on an electrode, wherever it reaches."""


ALL_LI = "all Li"
"""The part that stands for the Li of the whole cell."""


def electrode_part(side: str) -> str:
    """Return the name of the electrode of a side.

    Examples
    --------
    >>> electrode_part(PLATING)
    'electrode, plating side'
    """
    return f"electrode, {side}"


def has_electrodes(schema: ClassSchema) -> bool:
    """Tell whether a schema knows an electrode, so that the cell has sides."""
    return any(map(is_electrode, schema.classes))
