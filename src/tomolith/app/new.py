"""``tomolith new``: a commented recipe to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tomolith.errors import InputError
from tomolith.store.atomic import disk_errors, write_text


def new_study(folder: Path) -> Path:
    """Write ``folder/recipe.yaml`` and return its path.

    Raises
    ------
    InputError
        There is a recipe already; it is left as it is.
    DiskError
        The folder cannot be written.
    """
    recipe = folder / "recipe.yaml"
    if recipe.exists():
        raise InputError(
            "there is a recipe already", where=recipe, mend="name another folder, or edit this one"
        )
    template = resources.files("tomolith.app") / "templates" / "recipe.yaml"
    text = template.read_text(encoding="utf-8").replace("NAME", folder.resolve().name)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(recipe, text)
    return recipe
