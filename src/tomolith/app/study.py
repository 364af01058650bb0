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
from tomolith.core import ClassSchema, Grid
from tomolith.errors import InputError
from tomolith.store.atomic import disk_errors, write_bytes, write_text
from tomolith.store.scan import Scan


@dataclass(frozen=True)
class PlannedScan:
    """What a scan of the study is, or will be once it is made or imported."""

    grid: Grid
    dtype: np.dtype[Any]


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
        if path.is_dir():
            origin = path / ".tomolith" / "origin.json"
            if not origin.exists():
                return cls.load(path / "recipe.yaml", overrides)
            run_with = json.loads(origin.read_text(encoding="utf-8"))
            path = path / run_with["recipe"]
            overrides = [*run_with["overrides"], *overrides]
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

        makers = [STEPS[name] for name in ("phantom", "import") if self.recipe.section(name)]
        return tuple(scan_id for step in makers for scan_id in step.scan_ids(self))

    def planned_scans(self) -> dict[str, PlannedScan]:
        """Open every input and return what each scan will be, by its id."""
        from tomolith.app.steps import STEPS

        makers = [STEPS[name] for name in ("phantom", "import") if self.recipe.section(name)]
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
        name = self.recipe.predict.model if self.recipe.predict else "default"
        return Path(name) if "/" in name else self.root / "models" / name

    def prepare(self) -> None:
        """Make the study folder; put a copy of the recipe there, and how it is run.

        Raises
        ------
        DiskError
            The folder cannot be made or written.
        """
        with disk_errors(self.root):
            self.private.mkdir(parents=True, exist_ok=True)
            copy = self.root / "recipe.yaml"
            if copy.resolve() != self.recipe_path:
                write_bytes(copy, self.recipe_path.read_bytes())
            run_with = {
                "recipe": os.path.relpath(self.recipe_path, self.root.resolve()),
                "overrides": list(self.overrides),
            }
            write_text(self.private / "origin.json", json.dumps(run_with))

    def free_bytes(self) -> int:
        """Return the free space on the disk that the study lies on."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free
