"""From a YAML file to plain values: duplicate keys, overrides and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tomolith.errors import RecipeError

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"a key cannot be {key!r}", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a recipe file as plain values.

    Raises
    ------
    RecipeError
        The file is missing, is not UTF-8 text, is not YAML (the line is named),
        gives a key twice, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except IsADirectoryError:
        raise RecipeError(
            "this is a folder, not a recipe", where=path, mend=f"name {path / 'recipe.yaml'}"
        ) from None
    except FileNotFoundError:
        raise RecipeError(
            "there is no such recipe",
            where=path,
            mend=f"'tomolith new {path.parent}' writes one to start from",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the recipe cannot be read: {error}", where=path) from None
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(
            f"the recipe is not valid YAML: {problem}", where=line, mend="correct this line"
        ) from None
    if not isinstance(values, dict):
        raise RecipeError(
            "the recipe is empty" if values is None else "the recipe is no mapping",
            expected="sections such as 'import:' and 'train:'",
            where=path,
        )
    return values


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` with ``section.key=value`` overrides set.

    Raises
    ------
    RecipeError
        An override has no ``=`` or goes through something that is no mapping.

    Examples
    --------
    >>> apply_overrides({"train": {"epochs": 9}}, ["train.epochs=5"])
    {'train': {'epochs': 5}}
    """
    result = dict(values)
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise RecipeError(
                f"--set {override}", expected="section.key=value, for example train.epochs=5"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise RecipeError(
                f"--set {override}: '{text}' is no value", expected="a number, a word, or [a, b]"
            ) from None
        _set_in(result, keys, value, override)
    return result


def _set_in(target: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        inner = target.get(key)
        if inner is None:
            inner = {}
        elif key == "network" or (key == "loss" and isinstance(inner, str)):
            inner = {"name": inner} if isinstance(inner, str) else inner
        if not isinstance(inner, dict):
            raise RecipeError(
                f"--set {override}: '{key}' is {inner!r}",
                expected="a section with keys of its own",
            )
        target[key] = dict(inner)
        target = target[key]
    target[keys[-1]] = value


def expand_path(text: str, folder: Path) -> str:
    """Return an absolute path; ``${NAME:-default}`` is filled from the environment.

    Raises
    ------
    RecipeError
        A variable is not set and has no default.

    Examples
    --------
    >>> expand_path("${TOMOLITH_NO_SUCH:-scans}/a.tif", Path("/study"))
    '/study/scans/a.tif'
    """

    def fill(match: re.Match[str]) -> str:
        value = os.environ.get(match[1]) or match[2]
        if value is None:
            raise RecipeError(
                f"the environment variable {match[1]} is not set",
                where=text,
                mend=f"export {match[1]}=/folder/of/the/data",
            )
        return value

    filled = Path(_VARIABLE.sub(fill, text)).expanduser()
    return os.path.normpath(folder / filled)
