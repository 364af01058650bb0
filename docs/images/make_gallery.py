"""Draw the pictures of the phantom: a series, its plane, a view in 3-D, and a cathode.

python docs/images/make_gallery.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import marching_cubes

from tomolith.core import PRESETS, Box, ClassSchema
from tomolith.phantom import (
    CATHODE_MATERIALS,
    MATERIALS,
    Cathode,
    CathodeSettings,
    Cell,
    Phantom,
    PhantomSettings,
)
from tomolith.phantom.settings import scan_name

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

HERE = Path(__file__).parent
SCHEMA = PRESETS["li-operando"]
PULSES = (0, 6, 12, 18, 24)
IN_WORDS = {
    0: "fresh",
    6: "half charged",
    12: "charged",
    18: "half discharged",
    24: "discharged",
}
OUTLINE = withStroke(linewidth=2, foreground="black")
SMOOTHED = {"electrode": 1.5, "deposited": 0.6, "dendrite": 0.7}  # in voxels: steps are ugly
N_COLOURS = 160  # of a picture on disk


def main() -> None:
    """Write all pictures beside this file."""
    draw_series(HERE / "phantom_series.png")
    draw_plan(HERE / "phantom_plan.png")
    draw_3d(HERE / "phantom_3d.png")
    draw_cathode(HERE / "phantom_cathode.png")


def draw_series(path: Path) -> None:
    """Draw one cross-section through time: image and labels."""
    settings = PhantomSettings(
        shape_zyx=(96, 300, 640), voxel_size_um=1.33, scans=PULSES, n_pits=18, n_defects=6
    )
    cell = Cell.build(settings, 0)
    _, n_y, n_x = settings.shape_zyx
    z = slice_with_most(cell, "dendrite", 12)
    box = Box((z, 0, 0), (z + 1, n_y, n_x))
    figure, axes = plt.subplots(len(PULSES), 2, figsize=(8.0, 11.2), dpi=100, layout="constrained")
    for (left, right), pulse in zip(axes, PULSES, strict=True):
        phantom = Phantom.of(cell, scan_name(0, pulse), pulse)
        image, material = phantom.render(box)
        low, high = np.percentile(image, (0.5, 99.5))
        left.imshow(image[0], cmap="gray", vmin=low, vmax=high, interpolation="antialiased")
        right.imshow(colours_of(material[0]), interpolation="nearest")
        side = "charge" if pulse <= settings.n_pulses else "discharge"
        n = pulse if side == "charge" else pulse - settings.n_pulses
        title = f"t{pulse:02d}: {IN_WORDS[pulse]}"
        left.set_title(title + (f", {n} pulses of {side}" if n else ""), fontsize=11, loc="left")
        for ax in (left, right):
            add_scale_bar(ax, 100, settings.voxel_size_um)
    axes[0, 1].set_title("true labels", fontsize=11, loc="left")
    figure.legend(
        handles=[Patch(color=c.colour, label=c.name) for c in SCHEMA.classes],
        loc="outside lower center", ncols=len(SCHEMA), frameon=False, fontsize=10,
        columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip
    figure.suptitle("Simulated Li | polymer | Li cell: one cross-section through a cycle")
    save(figure, path)


def draw_plan(path: Path) -> None:
    """Draw thickness maps over the plane of the cell."""
    settings = PhantomSettings(
        shape_zyx=(240, 152, 400), scans=(12, 24), n_pits=113, n_defects=25, n_bubbles=9
    )
    cell = Cell.build(settings, 0)
    maps = {pulse: thickness_um(cell, pulse) for pulse in settings.scans}
    shown = (
        ("dendrite", 12, "dendrites, charged (t12)"),
        ("deposited", 12, "deposited Li, charged (t12)"),
        ("pit", 12, "pits, charged (t12)"),
        ("redeposited", 24, "redeposited Li, discharged (t24)"),
    )
    size = settings.voxel_size_um
    n_z, _, n_x = settings.shape_zyx
    extent = (0, n_x * size, n_z * size, 0)
    figure, axes = plt.subplots(2, 2, figsize=(11.0, 6.5), dpi=100, layout="constrained")
    for ax, (name, pulse, title) in zip(axes.flat, shown, strict=True):
        thickness = maps[pulse][name]
        colours = mpl.colormaps["viridis"].copy()
        colours.set_under("white")
        top = float(np.percentile(thickness[thickness > 0], 99.5))
        drawn = ax.imshow(
            thickness, extent=extent, cmap=colours, vmin=size / 2, vmax=top, interpolation="nearest"
        )
        covered = 100 * (thickness > 0).mean()
        ax.set_title(f"{title}: covers {covered:.0f} %", fontsize=11)
        figure.colorbar(drawn, ax=ax, label="thickness (µm)", shrink=0.85, extend="max")
    for ax in axes[1]:
        ax.set_xlabel("x (µm)")
    for ax in axes[:, 0]:
        ax.set_ylabel("z (µm)")
    figure.suptitle("Simulated cell from above: thickness of the layers (white: none)")
    save(figure, path)


def draw_cathode(path: Path) -> None:
    """Draw two cross-sections of the cathode: image and labels."""
    settings, schema = CathodeSettings(), PRESETS["cathode-3phase"]
    cathode = Cathode.build(settings, settings.scan_ids[0])
    n_z, n_y, n_x = settings.shape_zyx
    figure, axes = plt.subplots(2, 2, figsize=(8.0, 7.7), dpi=100, layout="constrained")
    for (left, right), z in zip(axes, (n_z // 4, 3 * n_z // 4), strict=True):
        image, material = cathode.render(Box((z, 0, 0), (z + 1, n_y, n_x)))
        low, high = np.percentile(image, (0.5, 99.5))
        left.imshow(image[0], cmap="gray", vmin=low, vmax=high, interpolation="antialiased")
        labels = colours_of(material[0], schema, CATHODE_MATERIALS)
        right.imshow(labels, interpolation="nearest")
        left.set_title(f"slice {z}", fontsize=11, loc="left")
        for ax in (left, right):
            add_scale_bar(ax, 5, settings.voxel_size_um)
    axes[0, 1].set_title("true labels", fontsize=11, loc="left")
    figure.legend(
        handles=[Patch(color=c.colour, label=c.name) for c in schema.classes],
        loc="outside lower center", ncols=len(schema), frameon=False, fontsize=10,
    )  # fmt: skip
    figure.suptitle("Simulated cathode: two cross-sections")
    save(figure, path)


@dataclass(frozen=True)
class Surface:
    """Triangles, shape (n, 3, 3) in µm along z, y and x, and their colour."""

    triangles: np.ndarray
    colour: str


def draw_3d(path: Path) -> None:
    """Draw the plating side of a block in three dimensions, charged and discharged."""
    settings = PhantomSettings(shape_zyx=(100, 152, 240), scans=(12, 24), n_pits=28)
    cell = Cell.build(settings, 0)
    figure = plt.figure(figsize=(11.0, 5.2), dpi=100)
    for column, pulse in enumerate(settings.scans):
        box = Box((0, 58, 40), (100, 122, 160))
        ax = figure.add_axes((0.5 * column, 0.06, 0.5, 1.0), projection="3d")
        add_surfaces(ax, surfaces(cell, pulse, box))
        set_view(ax, box, settings.voxel_size_um)
        ax.set_title(f"t{pulse}: {IN_WORDS[pulse]}", fontsize=12, y=0.84)
    figure.legend(
        handles=[Patch(color=SCHEMA[name].colour, label=name) for name in SMOOTHED],
        loc="lower center", ncols=len(SMOOTHED), frameon=False, fontsize=11,
    )  # fmt: skip
    figure.suptitle("Simulated cell: the plating side; the polymer is not drawn")
    save(figure, path)


def surfaces(cell: Cell, pulse: int, box: Box) -> list[Surface]:
    """Return the surfaces of what lies on the plating side of a box."""
    material = cell.draw(box, pulse).material
    size = cell.settings.voxel_size_um
    found = []
    for name, sigma in SMOOTHED.items():
        mask = (material == MATERIALS.index(name)).astype(np.float32)
        smooth = np.pad(ndimage.gaussian_filter(mask, sigma, mode="nearest"), 1)
        if smooth.max() <= 0.5:
            continue
        places, faces, _, _ = marching_cubes(smooth, 0.5)
        found.append(Surface((places[faces] - 1) * size, SCHEMA[name].colour))
    return found


def add_surfaces(ax: Axes3D, found: Sequence[Surface]) -> None:
    """Draw surfaces in one collection: only so are triangles of different ones sorted by depth."""
    light = LightSource(azdeg=300, altdeg=40)
    polygons, colours = [], []
    for surface in found:
        # the picture's axes: x, z and, upwards, away from the electrode
        corners = surface.triangles[:, :, [2, 0, 1]] * np.array([1, 1, -1])
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        shade = 0.55 + 0.45 * np.clip(normals / lengths @ light.direction, -1, 1)
        polygons.append(corners)
        rgb = np.array(mpl.colors.to_rgb(surface.colour))
        colours.append(np.clip(shade[:, None] * rgb, 0, 1))
    collection = Poly3DCollection(
        np.concatenate(polygons),
        facecolors=np.concatenate(colours),
        edgecolors="none",
        antialiased=False,
    )
    ax.add_collection3d(collection)
    collection.set_clip_on(False)


def set_view(ax: Axes3D, box: Box, voxel_size_um: float) -> None:
    """Look down on the electrode from one side, with equal scales."""
    n_z, n_y, n_x = (n * voxel_size_um for n in box.shape_zyx)
    ax.set(xlim=(0, n_x), ylim=(0, n_z), zlim=(-n_y, 0))
    ax.set_box_aspect((n_x, n_z, n_y), zoom=1.12)
    ax.set_proj_type("ortho")
    ax.view_init(elev=32, azim=-60)
    ax.set_axis_off()
    below = -n_y - 14
    ax.plot((0, 100), (0, 0), (below, below), color="black", lw=2)
    ax.text(50, 0, below - 12, "100 µm", fontsize=10, ha="center", va="top")


def slice_with_most(cell: Cell, name: str, pulse: int) -> int:
    """Return the cross-section with the largest area of a material."""
    whole = Box.whole(cell.settings.shape_zyx)
    counts = [
        int((cell.draw(tile, pulse).material == MATERIALS.index(name)).sum())
        for tile in whole.tiles((1, *whole.shape_zyx[1:]))
    ]
    return int(np.argmax(counts))


def thickness_um(cell: Cell, pulse: int) -> dict[str, np.ndarray]:
    """Return the thickness of each material over (z, x), in µm."""
    whole = Box.whole(cell.settings.shape_zyx)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in MATERIALS}
    for tile in whole.tiles((32, *whole.shape_zyx[1:])):
        material = cell.draw(tile, pulse).material
        for i, name in enumerate(MATERIALS):
            parts[name].append((material == i).sum(axis=1) * cell.settings.voxel_size_um)
    return {name: np.concatenate(found) for name, found in parts.items()}


def colours_of(
    material: np.ndarray, schema: ClassSchema = SCHEMA, names: Sequence[str] = MATERIALS
) -> np.ndarray:
    """Return a slice of materials as RGB bytes in the colours of the class schema."""
    return np.array([schema[name].rgb for name in names], np.uint8)[material]


def add_scale_bar(ax: Axes, length_um: float, voxel_size_um: float) -> None:
    """Put a bar of that length into the lower right corner, and take the axes off."""
    n_y, n_x = ax.get_images()[0].get_array().shape[:2]
    length = length_um / voxel_size_um
    left, top = n_x - length - 0.02 * n_x, 0.93 * n_y
    ax.add_patch(Rectangle((left, top), length, 0.022 * n_y, color="white", ec="black", lw=0.5))
    ax.text(
        left + length / 2, top - 0.01 * n_y, f"{length_um:g} µm", color="white", ha="center",
        va="bottom", fontsize=9, path_effects=[OUTLINE],
    )  # fmt: skip
    ax.set_axis_off()


def save(figure: Figure, path: Path) -> None:
    """Write a picture with few colours, which is small, and without the date."""
    buffer = BytesIO()
    figure.savefig(buffer)
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(N_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
