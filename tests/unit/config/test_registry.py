"""Registries: known names, lazy imports, options by signature, entry points."""

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from pydantic import ValidationError

from tomolith.config import Component, Registry
from tomolith.errors import RecipeError

MODULE = "registry_probe"


@pytest.fixture(autouse=True)
def _probe_module(tmp_path, monkeypatch):
    """Write an importable module of components, as a third party would."""
    (tmp_path / f"{MODULE}.py").write_text(
        '''
class Dice:
    """Overlap loss.

    More words.
    """
    def __init__(self, n_classes=2, *, smooth=1.0):
        if smooth < 0:
            raise ValueError("smooth must not be negative")
        self.n_classes, self.smooth = n_classes, smooth

def plain():
    return "plain"
'''
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def losses() -> Registry:
    entries = {"dice": f"{MODULE}:Dice", "plain": f"{MODULE}:plain"}
    return Registry("loss", entries, group="tomolith.probe")


def test_names_are_sorted_and_nothing_is_imported_yet(losses):
    assert losses.names() == ("dice", "plain")
    assert MODULE not in sys.modules


def test_build_passes_arguments_and_options(losses):
    built = losses.build(Component.model_validate({"name": "dice", "smooth": 0.5}), 3)
    assert (built.n_classes, built.smooth) == (3, 0.5)
    assert losses.build(Component(name="plain")) == "plain"


def test_an_unknown_name_is_answered_with_the_nearest(losses):
    with pytest.raises(RecipeError) as caught:
        losses.load("dicce")
    assert caught.value.found == "unknown loss 'dicce'"
    assert caught.value.expected == "one of dice, plain"
    assert caught.value.mend == "did you mean 'dice'?"


def test_an_unknown_option_is_answered_with_the_nearest(losses):
    with pytest.raises(RecipeError) as caught:
        losses.build(Component(name="dice", options={"smoth": 1}))
    assert caught.value.found == "unknown option 'smoth' of loss 'dice'"
    assert caught.value.mend == "did you mean 'smooth'?"


def test_positional_parameters_are_no_options(losses):
    assert list(losses.options("dice")) == ["smooth"]
    with pytest.raises(RecipeError):
        losses.build(Component(name="dice", options={"n_classes": 4}))


def test_a_value_that_the_component_refuses_is_a_recipe_error(losses):
    with pytest.raises(RecipeError, match="smooth must not be negative") as caught:
        losses.build(Component(name="dice", options={"smooth": -1}))
    assert "smooth" in (caught.value.mend or "")


def test_the_summary_is_the_first_line_of_the_docstring(losses):
    assert losses.summary("dice") == "Overlap loss."
    assert losses.summary("plain") == ""


def test_other_packages_add_components_by_entry_point(losses, monkeypatch):
    theirs = EntryPoint("tversky", f"{MODULE}:Dice", "tomolith.probe")
    also = EntryPoint("dice", "nowhere:Nothing", "tomolith.probe")

    def entry_points(*, group: str) -> EntryPoints:
        return EntryPoints([theirs, also] if group == "tomolith.probe" else [])

    monkeypatch.setattr("tomolith.config.registry.entry_points", entry_points)
    assert losses.names() == ("dice", "plain", "tversky")
    assert losses.build(Component(name="tversky", options={"smooth": 2.0})).smooth == 2.0
    # our own name is not taken over by a stranger
    assert losses.build(Component(name="dice")).smooth == 1.0


@pytest.mark.parametrize(
    "given",
    [
        {"name": "dice", "smooth": 2.0},
        {"name": "dice", "options": {"smooth": 2.0}},
        Component(name="dice", options={"smooth": 2.0}),
    ],
)
def test_a_component_reads_alike_from_every_spelling(given):
    component = Component.model_validate(given)
    assert (component.name, component.options) == ("dice", {"smooth": 2.0})
    assert Component.model_validate(component.model_dump()) == component


def test_a_component_needs_a_name():
    with pytest.raises(ValidationError):
        Component.model_validate({"smooth": 2.0})
