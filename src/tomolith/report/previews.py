"""Slices as pictures: the image, and each label map laid over it in the colours of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, LabelClass
from tomolith.errors import TomolithError
from tomolith.report.figures import picture_png
from tomolith.report.settings import ReportSettings
from tomolith.report.study_files import StudyFiles
from tomolith.store.scan import Scan

SUBSETS = {
    "test": "held out for testing, never seen in training",
    "validation": "held out for validation",
    "train": "used for training",
    "": "",
}


@dataclass(frozen=True)
class Panel:
    """One picture of a row: a title and a PNG."""

    title: str
    file_name: str
    png: bytes


@dataclass(frozen=True)
class Preview:
    """One slice: panels side by side, and the classes that they show."""

    scan_id: str
    z: int
    subset: str
    note: str
    is_wide: bool
    classes: tuple[LabelClass, ...]
    panels: tuple[Panel, ...]


def make_previews(files: StudyFiles, settings: ReportSettings) -> tuple[list[Preview], list[str]]:
    """Return the pictures, held-out slices first, and sentences about what cannot be shown."""
    previews, problems = [], []
    scans = {scan.id: scan for scan in files.scans}
    for scan_id, z, subset in list(_choose(files, settings.max_previews)):
        try:
            previews.append(_preview(files, settings, (scans[scan_id], z, subset)))
        except TomolithError as error:
            problems.append(f"Slice {z} of {scan_id} is not shown: {error.found}.")
    return previews, problems


def _choose(files: StudyFiles, n: int) -> Iterator[tuple[str, int, str]]:
    """Yield (scan, z, subset): the middles of held-out ranges, then others, scans in turn."""
    shape = {scan.id: scan.grid.shape_zyx for scan in files.scans}
    chosen: dict[tuple[str, int], str] = {}
    for subset in ("test", "validation", "train"):
        ranges = [r for model in files.models for r in model.split.get(subset, ())]
        turns: dict[str, list[int]] = {}
        for r in ranges:
            z = (r.z_start + r.z_stop - 1) // 2
            if r.scan_id in shape and 0 <= z < shape[r.scan_id][0]:
                turns.setdefault(r.scan_id, []).append(z)
        for turn in range(max(map(len, turns.values()), default=0)):
            for scan_id, found in turns.items():
                if turn < len(found):
                    chosen.setdefault((scan_id, found[turn]), subset)
    for scan_id, (n_slices, _, _) in shape.items():
        if all(scan_id != other for other, _ in chosen):
            chosen.setdefault((scan_id, n_slices // 2), "")
    for (scan_id, z), subset in list(chosen.items())[:n]:
        yield scan_id, z, subset


def _preview(files: StudyFiles, settings: ReportSettings, which: tuple[Scan, int, str]) -> Preview:
    scan, z, subset = which
    _, height, width = scan.grid.shape_zyx
    box = Box((z, 0, 0), (z + 1, height, width))
    step = max(1, -(-max(height, width) // settings.preview_px))
    grey = window(scan, z, scan.image.read(box)[0, ::step, ::step])
    size = scan.grid.voxel_size_um
    pixel_um = None if size is None else size[2] * step
    shown = {
        files.chosen("evaluate", "truth", "truth"): "Truth",
        files.chosen("predict", "labels", "prediction"): "Prediction",
        **_refined(files),
        "otsu": "Otsu",
    }
    pictures: dict[str, npt.NDArray[np.uint8]] = {"Image": np.repeat(grey[..., None], 3, axis=2)}
    classes: dict[str, LabelClass] = {}
    for name, title in shown.items():
        if name in scan.label_names():
            labels = scan.labels(name)
            values = labels.read(box)[0, ::step, ::step]
            pictures[title] = overlay(grey, values, labels.schema, settings.opacity_frac)
            present = set(np.unique(values).tolist())
            classes |= {c.name: c for c in labels.schema.classes if c.value in present}
    panels = tuple(
        Panel(title, f"preview-{scan.id}-{z}-{title.lower()}.png", picture_png(rgb, pixel_um))
        for title, rgb in pictures.items()
    )
    note = "" if size is not None else "The voxel size is unknown, so there is no scale bar."
    return Preview(
        scan.id,
        z,
        subset,
        note,
        width > 2.2 * height,
        tuple(sorted(classes.values(), key=lambda c: c.value)),
        panels,
    )


def _refined(files: StudyFiles) -> dict[str, str]:
    """Return name and title of the refined labels, where the last recipe asks for them."""
    if "refine" not in {*files.recipe, *(mark.step for mark in files.marks)}:
        return {}
    return {files.chosen("refine", "labels", "refined"): "Refined"}


def window(scan: Scan, z: int, plane: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Map the 0.5 to 99.5 percentiles of the scan (or section) to black and white."""
    if scan.stats:
        stats = scan.stats[z if len(scan.stats) > 1 else 0]
        low, high = stats.percentile(0.5), stats.percentile(99.5)
    else:
        finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
        low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    span = high - low if high > low else 1.0
    scaled = (np.nan_to_num(plane.astype(np.float64), nan=low) - low) / span
    return np.asarray(np.rint(np.clip(scaled, 0, 1) * 255), np.uint8)


def overlay(
    grey: npt.NDArray[np.uint8],
    values: npt.NDArray[Any],
    schema: ClassSchema,
    opacity_frac: float,
) -> npt.NDArray[np.uint8]:
    """Lay class colours over a grey picture; background and unlabelled pixels stay grey.

    Parameters
    ----------
    grey
        (y, x) uint8.
    values
        Stored label values (y, x).
    schema
        Colours of the classes.
    opacity_frac
        1 hides the image.

    Returns
    -------
    ndarray
        (y, x, 3) uint8.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> grey = np.full((1, 2), 100, np.uint8)
    >>> overlay(grey, np.array([[0, 1]], np.uint8), PRESETS["li-binary"], 1.0).tolist()
    [[[100, 100, 100], [230, 159, 0]]]
    """
    rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.float64)
    for c in schema.classes:
        if c.role != "background":
            inside = values == c.value
            rgb[inside] += opacity_frac * (np.array(c.rgb) - rgb[inside])
    return np.asarray(np.rint(rgb), np.uint8)
