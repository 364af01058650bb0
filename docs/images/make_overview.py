"""Draw overview.png from the demo's study: run the demo first, then this.

tomolith run examples/demo/recipe.yaml
python docs/images/make_overview.py [STUDY]
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from tomolith.core import Box, LabelMap
from tomolith.measure.tables import read_scores
from tomolith.store.scan import Scan

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

HERE = Path(__file__).parent
SCAN_ID = "cell0-t18"  # held out: half-way through discharge


def main() -> None:
    """Write overview.png beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "study", nargs="?", type=Path, default=HERE.parents[1] / "examples/demo/study"
    )
    study = parser.parse_args().study
    scan = Scan.open(study / "scans" / f"{SCAN_ID}.zarr")
    maps = {name: scan.labels(name) for name in ("truth", "prediction", "otsu")}
    scores = read_scores(study / "measurements")
    unet, otsu = (
        scores.value("iou", system=system, subset="test", scan=SCAN_ID)
        for system in ("unet", "otsu")
    )
    box = slice_with_most(maps["truth"], ("dendrite", "deposited", "redeposited"))
    grey = scan.image.read(box)[0]
    low, high = np.percentile(grey, (0.5, 99.5))
    titles = {
        "truth": "truth",
        "prediction": f"U-Net, trained on other scans of the cell: mean IoU {unet:.2f}",
        "otsu": f"Otsu: mean IoU {otsu:.2f}",
    }
    figure, axes = plt.subplots(2, 2, figsize=(10, 5.7), dpi=110, layout="constrained")
    axes.flat[0].imshow(grey, cmap="gray", vmin=low, vmax=high)
    axes.flat[0].set_title("simulated scan", fontsize=11)
    for ax, (name, labels) in zip(axes.flat[1:], maps.items(), strict=True):
        ax.imshow(coloured(labels, box), interpolation="nearest")
        ax.set_title(titles[name], fontsize=11)
    for ax in axes.flat:
        ax.set_axis_off()
    schema = maps["truth"].schema
    figure.legend(
        handles=[Patch(color=c.colour, label=c.name) for c in schema.classes],
        loc="outside lower center", ncols=len(schema), frameon=False,
    )  # fmt: skip
    width_um = grey.shape[1] * scan.grid.require_voxel_size_um("the width")[2]
    figure.suptitle(
        f"Simulated Li | polymer | Li cell, half discharged; width {width_um:.0f} µm", fontsize=12
    )
    figure.savefig(HERE / "overview.png")


def slice_with_most(labels: LabelMap, names: tuple[str, ...]) -> Box:
    """Return the cross-section with the largest area of some classes."""
    n_z, n_y, n_x = labels.grid.shape_zyx
    values = [labels.schema[name].value for name in names]
    boxes = [Box((z, 0, 0), (z + 1, n_y, n_x)) for z in range(n_z)]
    return max(boxes, key=lambda box: int(np.isin(labels.read(box), values).sum()))


def coloured(labels: LabelMap, box: Box) -> np.ndarray:
    """Return one slice as RGB bytes in the colours of its schema."""
    table = np.full((256, 3), 255, np.uint8)
    for c in labels.schema.classes:
        table[c.value] = c.rgb
    return table[labels.read(box)[0]]


if __name__ == "__main__":
    main()
