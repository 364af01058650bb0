"""Fill the reference pages from the code, so that they cannot say anything else.

A line of a page that holds only one of these is replaced:

``{{ settings package.module:Class }}``      a table of the fields of a settings class
``{{ components package.module:REGISTRY }}`` a table of what is registered, with options
``{{ quantities }}``                         a table of the quantities, with formula and source
``{{ series_quantities }}``                  the same of those that a series, maps or a cycler give
``{{ no_intervals }}``                       why quantities have no interval, or may have none
``{{ help COMMAND }}``                       what ``tomolith COMMAND --help`` prints
``{{ errors }}``                             a table of the exception classes
``{{ recipes }}``                            a table of what ``tomolith new --recipe`` writes
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
import typing
from pathlib import Path
from typing import Any

LINE = re.compile(r"^\{\{ (\w+)(?: ([\w.:-]+))? \}\}$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """List every page of results and decisions in the navigation."""
    for entry in config.nav:
        for title in ("Results", "Decisions"):
            if title in entry:
                folder = Path(config.docs_dir) / title.lower()
                entry[title] = [f"{title.lower()}/{p.name}" for p in sorted(folder.glob("*.md"))]
    config.nav = [entry for entry in config.nav if list(entry.values()) != [[]]]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the lines described above."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """Return the page with every line of the forms above replaced."""
    makers = {
        "settings": settings,
        "components": components,
        "quantities": quantities,
        "series_quantities": series_quantities,
        "no_intervals": no_intervals,
        "help": help_,
        "errors": errors,
        "recipes": recipes,
    }
    return LINE.sub(lambda match: makers[match[1]](match[2] or ""), markdown)


def settings(target: str) -> str:
    """Return a table of the fields of a settings class."""
    kind = _load(target)
    described = _described_parameters(kind)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in kind.model_fields.items():
        key = field.alias or name
        if field.is_required():
            default = "required"
        elif field.default_factory is not None:
            default = _value(field.default_factory())
        else:
            default = _value(field.default)
        meaning = field.description or described.get(name, "") or _summary(field.annotation)
        if bounds := _bounds(field.metadata):
            meaning = f"{meaning} ({bounds})" if meaning else bounds
        rows.append(f"| `{key}` | {_type(field.annotation)} | {default} | {_cell(meaning)} |")
    if len(rows) == 2:
        return "This section has no keys of its own."
    return "\n".join(rows)


def components(target: str) -> str:
    """Return a table of what a registry holds."""
    registry = _load(target)
    rows = ["| name | what it is | options |", "|---|---|---|"]
    for name in registry.names():
        options = ""
        if callable(registry.load(name)):
            options = ", ".join(
                f"`{key}`" if p.default is p.empty else f"`{key}={p.default!r}`"
                for key, p in registry.options(name).items()
            )
        rows.append(f"| `{name}` | {_cell(registry.summary(name))} | {options} |")
    return "\n".join(rows)


def quantities(_: str) -> str:
    """Return a table of the quantities and what they are made of."""
    registry = _load("tomolith.measure.quantities:QUANTITIES")
    rows = ["| name | unit | what it is | formula | source |", "|---|---|---|---|---|"]
    for name in registry.names():
        kind = registry.load(name)
        texts = (registry.summary(name), kind.formula, kind.source)
        rows.append(f"| `{name}` | {kind.unit} | " + " | ".join(map(_cell, texts)) + " |")
    return "\n".join(rows)


def series_quantities(_: str) -> str:
    """Return the same table of those quantities that nobody names in a recipe."""
    rows = ["| name | unit | what it is | formula | source |", "|---|---|---|---|---|"]
    for one in _load("tomolith.measure.series_quantities:SERIES_QUANTITIES"):
        texts = (one.summary, one.formula, one.source)
        rows.append(f"| `{one.name}` | {one.unit} | " + " | ".join(map(_cell, texts)) + " |")
    return "\n".join(rows)


def no_intervals(_: str) -> str:
    """Return a table of why quantities have no interval, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for name, why in _load("tomolith.measure.intervals.reasons:reasons")().items():
        if why:
            by_reason.setdefault(why, []).append(f"`{name}`")
    rows = ["| numbers | why there is none |", "|---|---|"]
    return "\n".join(
        [*rows, *(f"| {', '.join(n)} | {_cell(why)} |" for why, n in by_reason.items())]
    )


def help_(command: str) -> str:
    """Return what ``--help`` prints, as a code block."""
    from typer.testing import CliRunner

    from tomolith.app.cli import app

    arguments = [command, "--help"] if command else ["--help"]
    shown = CliRunner().invoke(app, arguments, prog_name="tomolith", env={"COLUMNS": "88"})
    if shown.exit_code:
        raise ValueError(f"no command '{command}'")
    return f"```text\n{shown.output.strip()}\n```"


def errors(_: str) -> str:
    """Return a table of the exception classes."""
    module = importlib.import_module("tomolith.errors")
    rows = ["| class | exit code | meaning |", "|---|---|---|"]
    for name, kind in vars(module).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            summary = (inspect.getdoc(kind) or "").split("\n", 1)[0]
            rows.append(f"| `{name}` | {kind.exit_code} | {summary} |")
    return "\n".join(rows)


def recipes(_: str) -> str:
    """Return a table of the recipes that have a name."""
    named = _load("tomolith.app.new:named_recipes")()
    rows = ["| name | what it is |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {what} |" for name, what in named.items())])


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _cell(text: str) -> str:
    words = " ".join(text.split()).replace("|", "\\|").replace("``", "`")
    words = words.replace("`None`", "left out")
    return words[:1].upper() + words[1:]


def _value(value: Any) -> str:
    if hasattr(value, "name") and hasattr(value, "options"):
        return f"`{value.name}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(_value(v).strip("`") for v in value) + "]`"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if hasattr(type(value), "model_fields"):
        return "its defaults"
    return f"`{value}`"


def _type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(a) for a in inner if a is not type(None)))
    if origin in (tuple, list):
        kinds = [a for a in inner if a is not Ellipsis]
        if Ellipsis in inner or origin is list:
            return f"list of {_type(kinds[0])}"
        return "[" + ", ".join(_type(kind) for kind in kinds) + "]"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return "name, or name with options" if annotation.__name__ == "Component" else "section"
    names = {int: "integer", float: "number", str: "text", bool: "true/false", dict: "mapping"}
    if annotation in names:
        return names[annotation]
    return "any" if annotation is Any else str(getattr(annotation, "__name__", annotation))


def _summary(annotation: Any) -> str:
    """Return the first line of the docstring of a section's class."""
    for kind in (annotation, *typing.get_args(annotation)):
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            return (inspect.getdoc(kind) or "").split("\n", 1)[0]
    return ""


def _bounds(metadata: list[Any]) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [
        f"{word} {getattr(constraint, sign):g}"
        for constraint in metadata
        for sign, word in words.items()
        if getattr(constraint, sign, None) is not None
    ]
    return ", ".join(found)


def _described_parameters(kind: type) -> dict[str, str]:
    """Return the texts of the ``Parameters`` section of the docstring."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        doc = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n\w+\n-{3,}|\Z)", doc, re.DOTALL)
        if not section:
            continue
        for names, text in re.findall(
            r"^(\w[\w, ]*)(?: : .*)?\n((?:    .*\n?|\n)+)", section[1] + "\n", re.MULTILINE
        ):
            for name in names.split(","):
                found[name.strip()] = text
    return found
