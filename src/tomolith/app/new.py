"""``tomolith new``: a commented recipe to start from, plain or that of a paper."""

from __future__ import annotations

import math
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from tomolith.config import did_you_mean
from tomolith.errors import InputError
from tomolith.store.atomic import disk_errors, write_text

PLAIN = "own-scans"


def named_recipes() -> dict[str, str]:
    """Return the recipes that :func:`new_study` can write: what each is, by its name.

    Examples
    --------
    >>> named_recipes()["transforcnn-unet"]
    'U-Net as in the TransforCNN paper: 450 epochs at most, on simulated patches.'
    """
    found = {
        path.name.removesuffix(".yaml"): _read(path).split("\n", 1)[0].removeprefix("# ")
        for path in _folder().iterdir()
        if path.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def new_study(folder: Path, recipe: str = PLAIN) -> Path:
    """Write ``folder/recipe.yaml`` and return its path.

    Parameters
    ----------
    folder
        Of the new study; made if it is not there.
    recipe
        One of :func:`named_recipes`.

    Raises
    ------
    InputError
        There is no recipe of that name; or there is one in the folder already, which is left as
        it is.
    DiskError
        The folder cannot be written.
    """
    names = named_recipes()
    if recipe not in names:
        raise InputError(
            f"there is no recipe named '{recipe}'",
            expected=f"one of {', '.join(names)}",
            mend=did_you_mean(recipe, names),
        )
    target = folder / "recipe.yaml"
    if target.exists():
        raise InputError(
            "there is a recipe already", where=target, mend="name another folder, or edit this one"
        )
    name = yaml.safe_dump({"name": folder.resolve().name}, allow_unicode=True, width=math.inf)
    text = _read(_folder() / f"{recipe}.yaml").replace("name: NAME\n", name, 1)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    return target


def _folder() -> Traversable:
    return resources.files("tomolith.app") / "templates"


def _read(path: Traversable) -> str:
    return path.read_text(encoding="utf-8")
