"""A study on disk: where the results of a recipe lie."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.app.recipe import Recipe, load_recipe
from tomolith.core import ClassSchema, Grid, Volume
from tomolith.errors import InputError, IntegrityError
from tomolith.store.atomic import disk_errors, write_bytes
from tomolith.store.scan import Scan

SCAN_MAKERS = ("phantom", "reconstruct", "import")
"""Steps that bring scans into a study."""


@dataclass(frozen=True)
class PlannedScan:
    """What a scan of the study is, or will be once it is made or imported."""

    grid: Grid
    dtype: np.dtype[Any]

    def as_volume(self) -> Volume:
        """Return a volume of this grid whose grey values are all zero and take no memory."""
        return Volume(np.broadcast_to(np.zeros((), self.dtype), self.grid.shape_zyx), self.grid)


@dataclass(frozen=True)
class Study:
    """A recipe and the folder that its results go to.

    Parameters
    ----------
    recipe
        The validated recipe.
    recipe_path
        The file it was read from.
    overrides
        ``section.key=value`` overrides that were applied.
    """

    recipe: Recipe
    recipe_path: Path
    overrides: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> Study:
        """Read a recipe, or the recipe and overrides that a study folder was last run with."""
        if path.is_dir() and (path / ".tomolith" / "origin.json").exists():
            path, earlier = _run_with(path)
            overrides = [*earlier, *overrides]
        elif path.is_dir():
            path = path / "recipe.yaml"
        return cls(load_recipe(path, overrides), path.resolve(), tuple(overrides))

    @property
    def root(self) -> Path:
        """Folder of the results."""
        return (self.recipe_path.parent / self.recipe.study).resolve()

    @property
    def schema(self) -> ClassSchema:
        """The class schema of the study."""
        return self.recipe.schema_

    @property
    def scans_folder(self) -> Path:
        """Folder of the OME-Zarr groups, one per scan."""
        return self.root / "scans"

    @property
    def measurements(self) -> Path:
        """Folder of the tables."""
        return self.root / "measurements"

    @property
    def private(self) -> Path:
        """Folder of marks, locks and journals."""
        return self.root / ".tomolith"

    def scan_path(self, scan_id: str) -> Path:
        """Return where the scan called ``scan_id`` is stored."""
        return self.scans_folder / f"{scan_id}.zarr"

    def scan_ids(self) -> tuple[str, ...]:
        """Return the scans this recipe makes or imports, in its order."""
        from tomolith.app.steps import STEPS

        makers = [STEPS[name] for name in SCAN_MAKERS if self.recipe.section(name)]
        return tuple(scan_id for step in makers for scan_id in step.scan_ids(self))

    def planned_scans(self) -> dict[str, PlannedScan]:
        """Open every input and return what each scan will be, by its id."""
        from tomolith.app.steps import STEPS

        makers = [STEPS[name] for name in SCAN_MAKERS if self.recipe.section(name)]
        return {i: planned for step in makers for i, planned in step.planned(self).items()}

    def scan(self, scan_id: str) -> Scan:
        """Open a stored scan."""
        return Scan.open(self.scan_path(scan_id))

    def chosen_scans(self, chosen: Sequence[str] | None, *, key: str) -> tuple[str, ...]:
        """Return the scans named under ``key``, or all where none are named.

        Raises
        ------
        InputError
            A scan is named that the study does not have.
        """
        known = self.scan_ids()
        for scan_id in chosen or ():
            if scan_id not in known:
                raise InputError(
                    f"'{key}' names the scan '{scan_id}'",
                    expected=f"one of {', '.join(known)}",
                    where=self.recipe_path,
                )
        return tuple(chosen) if chosen else known

    def model_folder(self) -> Path:
        """Return the folder of the model that ``predict`` uses."""
        return self.named_model(self.recipe.predict.model if self.recipe.predict else "default")

    def named_model(self, name: str) -> Path:
        """Return the folder of a model, given by its name in this study or by its path."""
        return Path(name) if "/" in name else self.root / "models" / name

    def prepare(self) -> None:
        """Make the study folder; put a copy of the recipe there, and how it is run.

        Raises
        ------
        DiskError
            The folder cannot be made or written.
        """
        content = self.recipe_path.read_bytes()
        shown, kept = self.root / "recipe.yaml", self.private / "recipe.yaml"
        with disk_errors(self.root):
            self.private.mkdir(parents=True, exist_ok=True)
            if self.recipe_path.parent != self.root and _is_copy(shown, kept):
                _write_changed(shown, content)
            _write_changed(kept, content)
            run_with = {
                "recipe": os.path.relpath(self.recipe_path, self.root),
                "overrides": list(self.overrides),
            }
            _write_changed(self.private / "origin.json", json.dumps(run_with).encode())

    def free_bytes(self) -> int:
        """Return the free space on the disk that the study lies on."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free


def _is_copy(shown: Path, kept: Path) -> bool:
    """Tell whether a study's ``recipe.yaml`` is ours to replace, and no file of the user's."""
    if not shown.exists():
        return True
    return kept.exists() and shown.read_bytes() == kept.read_bytes()


def _write_changed(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_bytes(path, content)


def _run_with(folder: Path) -> tuple[Path, list[str]]:
    """Return the recipe and the overrides that a study folder was last run with."""
    origin = folder / ".tomolith" / "origin.json"
    try:
        values = json.loads(origin.read_text(encoding="utf-8"))
        recipe, overrides = folder / values["recipe"], [str(o) for o in values["overrides"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise IntegrityError(
            "the note of how this study was run is damaged",
            where=origin,
            mend="name the recipe instead of the folder, or delete this file",
        ) from None
    if not recipe.exists():
        raise InputError(
            "the recipe of this study is no longer where it was",
            expected=str(recipe.resolve()),
            where=folder,
            mend="name the recipe instead of the folder",
        )
    return recipe, overrides
