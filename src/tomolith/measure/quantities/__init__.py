"""Quantities: numbers drawn from labels alone.

To add one: a file with a class derived from
:class:`~tomolith.measure.quantities.base.Quantity`, and one line here.
"""

from tomolith.config import Registry
from tomolith.measure.quantities.base import Quantity, Region

QUANTITIES = Registry(
    "quantity",
    {
        "voxel_count": "tomolith.measure.quantities.voxel_count:VoxelCount",
        "volume": "tomolith.measure.quantities.volume:ClassVolume",
        "share": "tomolith.measure.quantities.share:Share",
    },
    group="tomolith.quantities",
)

__all__ = ["QUANTITIES", "Quantity", "Region"]
