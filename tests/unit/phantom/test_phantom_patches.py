"""Patches of simulated cells can be split so that no cell lies in two parts."""

import pytest

from tomolith.label.splits import LabelledScan, SplitSettings, split
from tomolith.phantom.patches import patches_per_scan
from tomolith.phantom.settings import PhantomSettings


@pytest.mark.parametrize(("n_patches", "counts"), [(4433, (3547, 443, 443)), (200, (160, 20, 20))])
def test_blocks_of_ten_cells_are_80_10_10_and_share_no_cell(n_patches, counts):
    settings = PhantomSettings(preset="binary-128", n_cells=10, n_patches=n_patches)
    cell_of = [cell for (cell, _), n in patches_per_scan(settings).items() for _ in range(n)]
    assert len(cell_of) == n_patches
    scan = LabelledScan("patches", tuple(range(n_patches)), sections=True)
    parts = split([scan], SplitSettings(by="block"))
    cells = []
    for ranges, n in zip((parts.train, parts.validation, parts.test), counts, strict=True):
        places = [z for r in ranges for z in range(r.z_start, r.z_stop)]
        assert len(places) == n
        cells.append({cell_of[z] for z in places})
    assert cells == [set(range(8)), {8}, {9}]
