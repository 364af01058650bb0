"""The components that the 'add a ...' pages show do what the pages promise."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid
from tomolith.errors import InputError
from tomolith.learn.networks import NETWORKS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def shown(page: str, name: str) -> Any:
    """Return the class ``name`` that a page defines."""
    text = (PAGES / page).read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "shown"}
    exec(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0], namespace)
    return namespace[name]


def test_the_readme_counts_the_networks():
    readme = (PAGES.parents[1] / "README.md").read_text(encoding="utf-8")
    page = (PAGES.parent / "reference" / "networks.md").read_text(encoding="utf-8")
    assert re.findall(r"\*\*Training\*\* \[(\d+) networks\]", readme) == [
        str(len(NETWORKS.names()))
    ]
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(NETWORKS.names())


def test_the_network_keeps_height_and_width():
    import torch

    network = shown("add-a-network.md", "Tiny")(1, 3, channels=4)
    assert network(torch.zeros(2, 1, 5, 7)).shape == (2, 3, 5, 7)
    changed = torch.zeros(1, 1, 9, 9)
    changed[0, 0, 4, 4] = 1
    difference = (network(changed) - network(torch.zeros(1, 1, 9, 9))).abs().amax(dim=(0, 1))
    reach = network.context_px
    assert difference[: 4 - reach].max() == 0


def test_the_loss_skips_unlabelled_pixels():
    import torch

    loss = shown("add-a-loss.md", "Focal")(gamma=2.0)
    logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    target[0, 2:] = -1
    other = logits.clone()
    other[:, :, 2:] += 7
    assert loss(logits, target) == loss(other, target)
    assert torch.isfinite(loss(logits, torch.full_like(target, -1)))


def test_the_metric_has_no_value_for_an_absent_class():
    from tomolith.measure.metrics.base import ClassCounts

    metric = shown("add-a-metric.md", "Specificity")()
    joint = np.array([[3, 1, 0, 0], [0, 4, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    values = metric.of_classes(ClassCounts.of(joint))
    assert values[:2] == pytest.approx([1.0, 0.75])
    assert np.isnan(values[2])


def test_the_quantity_does_not_depend_on_the_blocks():
    from tomolith.measure.quantities.base import Region

    extent = shown("add-a-quantity.md", "Extent")
    labels = np.zeros((6, 4, 4), np.uint8)
    labels[1:5, 1, 1] = 1
    grid = Grid((6, 4, 4), (2.0, 1.0, 1.0))
    found = []
    for tile in [(6, 4, 4), (1, 4, 4), (2, 2, 3)]:
        total = extent(PRESETS["li-binary"])
        for box in grid.box.tiles(tile):
            part = extent(PRESETS["li-binary"])
            part.update(Region(labels[box.slices], box, box))
            total.merge(part)
        found.append([v.value for v in total.finish(grid)])
    assert found == [[12.0, 8.0]] * 3
    with pytest.raises(InputError, match="an extent"):
        total.finish(Grid((6, 4, 4), None))
