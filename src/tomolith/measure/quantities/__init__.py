"""Quantities: numbers drawn from labels alone.

To add one: a file with a class derived from
:class:`~tomolith.measure.quantities.base.Quantity`, and one line here.
"""

from tomolith.config import Registry
from tomolith.measure.quantities.base import Quantity, Region
from tomolith.measure.quantities.frame import Frame, find_frame

QUANTITIES = Registry(
    "quantity",
    {
        "voxel_count": "tomolith.measure.quantities.voxel_count:VoxelCount",
        "volume": "tomolith.measure.quantities.volume:ClassVolume",
        "share": "tomolith.measure.quantities.share:Share",
        "boundary_volume": "tomolith.measure.quantities.boundary:BoundaryVolume",
        "voxel_count_by_side": "tomolith.measure.quantities.by_side:VoxelCountBySide",
        "volume_by_side": "tomolith.measure.quantities.by_side:VolumeBySide",
        "share_by_side": "tomolith.measure.quantities.by_side:ShareBySide",
        "effective_thickness": (
            "tomolith.measure.quantities.effective_thickness:EffectiveThickness"
        ),
        "thickness_across_tilt": (
            "tomolith.measure.quantities.tilted_thickness:ThicknessAcrossTilt"
        ),
        "plan_coverage": "tomolith.measure.quantities.plan_coverage:PlanCoverage",
        "pit_filling": "tomolith.measure.quantities.pits:PitFilling",
        "unfilled_pits": "tomolith.measure.quantities.pits:UnfilledPits",
        "void_map_share": "tomolith.measure.quantities.voids:VoidMapShare",
        "void_depth": "tomolith.measure.quantities.voids:VoidDepth",
        "contact_area": "tomolith.measure.quantities.voids:ContactArea",
        "dead_li_volume": "tomolith.measure.quantities.dead_li:DeadLi",
        "position": "tomolith.measure.quantities.electrodes:Position",
        "gap": "tomolith.measure.quantities.electrodes:Gap",
        "cell_thickness": "tomolith.measure.quantities.electrodes:CellThickness",
        "roughness": "tomolith.measure.quantities.electrodes:Roughness",
        "tilt": "tomolith.measure.quantities.electrodes:Tilt",
        "local_thickness": "tomolith.measure.quantities.electrodes:LocalThickness",
        "li_volume": "tomolith.measure.quantities.li_volume:LiVolume",
        "dendrite_number": "tomolith.measure.quantities.dendrite_number:DendriteNumber",
        "dendrite_volume": "tomolith.measure.quantities.dendrite_number:DendriteVolume",
        "dendrite_height": "tomolith.measure.quantities.dendrite_height:DendriteHeight",
        "penetration_frac": "tomolith.measure.quantities.dendrite_height:PenetrationFrac",
        "smallest_gap": "tomolith.measure.quantities.dendrite_height:SmallestGap",
        "envelope_porosity": "tomolith.measure.quantities.dendrite_envelope:EnvelopePorosity",
        "skeleton_length": "tomolith.measure.quantities.dendrite_skeleton:SkeletonLength",
        "branching_points": "tomolith.measure.quantities.dendrite_skeleton:BranchingPoints",
    },
    group="tomolith.quantities",
)

__all__ = ["QUANTITIES", "Frame", "Quantity", "Region", "find_frame"]
