"""Steps, commands, recipe sections and reference pages are the same set."""

import importlib
from pathlib import Path

import pytest
import typer

from tomolith.app.cli import STEP_SUMMARIES, app
from tomolith.app.recipe import section_names
from tomolith.app.steps import STEPS

ROOT = Path(__file__).parents[2]


def test_steps_sections_commands_and_pages_are_the_same_set():
    commands = set(typer.main.get_command(app).commands)
    pages = {page.stem for page in (ROOT / "docs/reference/steps").glob("*.md")} - {"index"}
    files = {
        path.stem.rstrip("_") for path in (ROOT / "src/tomolith/app/steps").glob("[!_]*.py")
    } - {"base"}
    assert list(STEPS) == list(section_names()) == list(STEP_SUMMARIES)
    assert set(STEPS) <= commands
    assert set(STEPS) == pages == files


@pytest.mark.parametrize("name", list(STEPS))
def test_step_names_its_function_and_what_it_reads(name):
    step = STEPS[name]
    module, _, function = step.function.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert step.summary == STEP_SUMMARIES[name]
    earlier = list(STEPS)[: list(STEPS).index(name)]
    assert set(step.after) <= set(earlier)
