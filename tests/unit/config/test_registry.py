"""Registries: known names, lazy imports, options by signature, entry points."""

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from pydantic import ValidationError

from tomolith.config import Component, Registry
from tomolith.errors import MissingExtraError, RecipeError

MODULE = "registry_probe"


@pytest.fixture(autouse=True)
def _probe_module(tmp_path, monkeypatch):
    """Write an importable module of components, as a third party would."""
    (tmp_path / f"{MODULE}.py").write_text(
        '''
from collections.abc import Mapping, Sequence
from tomolith.errors import MissingExtraError

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

def deep(*, sizes: "Sequence[int]" = (1, 2), kind: "Unknown" = None, best: str = "a"):
    if best == "gone":
        raise AttributeError("no attribute 'split'")
    if best == "broken":
        raise RuntimeError
    return sizes, kind, best

def annotated(*, sizes: Sequence[int] = (1, 2), n: int, weights: Mapping[str, float] | None = None):
    if n == 0:
        raise MissingExtraError("not installed")
    return [1 / n for _ in sizes]
'''
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def losses() -> Registry:
    entries = {"dice": f"{MODULE}:Dice", "plain": f"{MODULE}:plain"}
    return Registry("loss", entries, group="tomolith.probe")


@pytest.fixture
def nets() -> Registry:
    entries = {name: f"{MODULE}:{name}" for name in ("deep", "annotated")}
    return Registry("net", entries, group="tomolith.probe")


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


@pytest.mark.parametrize(
    ("options", "found", "expected", "mend"),
    [
        (
            {"n": [1]},
            "option 'n' of net 'annotated' is [1]",
            "a whole number",
            "correct 'n'",
        ),
        (
            {"n": 1, "sizes": 3},
            "option 'sizes' of net 'annotated' is 3",
            "a list, each entry a whole number",
            "correct 'sizes', or leave it out for (1, 2)",
        ),
        (
            {"n": 1, "weights": [1, 5]},
            "option 'weights' of net 'annotated' is [1, 5]",
            "names, each with a number",
            "correct 'weights'",
        ),
    ],
)
def test_a_value_of_another_type_is_told_with_what_is_asked_for(
    nets, options, found, expected, mend
):
    with pytest.raises(RecipeError) as caught:
        nets.build(Component(name="annotated", options=options))
    assert (caught.value.found, caught.value.expected) == (found, expected)
    assert caught.value.mend == mend


def test_a_value_is_given_as_its_annotation_says(nets):
    options = {"n": 2.0, "sizes": ["1", 2]}
    assert nets.given(Component(name="annotated", options=options)) == {"n": 2, "sizes": [1, 2]}
    assert options == {"n": 2.0, "sizes": ["1", 2]}


def test_annotations_that_cannot_be_evaluated_leave_the_value_to_the_factory(nets):
    options = {"kind": 3, "sizes": "x"}
    assert nets.build(Component(name="deep", options=options)) == ("x", 3, "a")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("deep", {"best": "gone"}, "net 'deep' with best: 'gone' cannot be built: no attribute"),
        ("deep", {"best": "broken"}, "cannot be built: RuntimeError"),
        ("annotated", {}, "net 'annotated' cannot be built: .*'n'"),
    ],
)
def test_however_a_factory_fails_the_options_are_told(nets, name, options, words):
    with pytest.raises(RecipeError, match=words) as caught:
        nets.build(Component(name=name, options=options))
    assert "it takes sizes" in str(caught.value.mend)


def test_an_error_that_is_raised_on_purpose_stays_as_it_is(nets):
    with pytest.raises(MissingExtraError, match="not installed"):
        nets.build(Component(name="annotated", options={"n": 0}))


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


def test_options_are_a_mapping():
    with pytest.raises(ValidationError, match="options is 3"):
        Component.model_validate({"name": "dice", "options": 3})


def test_a_component_within_options_is_read_or_refused():
    assert Component.of({"name": "dice", "smooth": 2.0}).options == {"smooth": 2.0}
    for wrong in ({"smooth": 2.0}, {"name": 3}, {"name": "dice", "options": 3}, 3):
        with pytest.raises(RecipeError, match="is no component") as caught:
            Component.of(wrong)
        assert caught.value.expected == "a name, or a mapping of 'name' and options"
