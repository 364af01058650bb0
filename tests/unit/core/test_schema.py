"""Class schemas are checked whole before anything depends on them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core import PRESETS, ClassSchema, LabelClass
from tomolith.core.schema import COLOURS
from tomolith.errors import InputError, RecipeError


def pair(**changes) -> tuple[LabelClass, ...]:
    given = {"name": "pore", "value": 1, "colour": "#0072B2", "role": "pore", **changes}
    return LabelClass("matrix", 0, "#666666"), LabelClass(**given)


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_survive_writing_and_reading(name):
    schema = PRESETS[name]
    assert ClassSchema.from_dict(schema.to_dict()) == schema
    assert ClassSchema.from_recipe(name) is schema
    assert len(schema) == len(schema.names) == len(set(schema.values))


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_use_colours_that_can_be_told_apart(name):
    colours = [c.colour for c in PRESETS[name].classes]
    assert len(set(colours)) == len(colours)
    assert set(colours) <= set(COLOURS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "matrix"}, "class name given twice: matrix"),
        ({"value": 0}, "class value given twice: 0"),
        ({"value": 255}, "class 'pore' has value 255"),
        ({"value": 256}, "class 'pore' has value 256"),
        ({"value": -1}, "class 'pore' has value -1"),
        ({"name": "unlabelled"}, "class name 'unlabelled'"),
        ({"name": "Li metal"}, "class name 'Li metal'"),
        ({"name": ""}, "class name ''"),
        ({"colour": "blue"}, "has colour 'blue'"),
        ({"colour": "#12345"}, "has colour '#12345'"),
        ({"role": "gold"}, "has role 'gold'"),
    ],
)
def test_a_wrong_class_is_named(changes, says):
    with pytest.raises(InputError, match=re.escape(says)):
        ClassSchema(pair(**changes))


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([1, 2], "the name 1"),
        ([False, True], "the name False"),
        ([{"name": "a", "value": "x"}, "b"], "the value 'x'"),
        ([{"name": "a", "value": True}, "b"], "the value True"),
        ([{"name": "a", "value": 1.5}, "b"], "the value 1.5"),
        ([{"name": "a", "colour": 123456}, "b"], "the colour 123456"),
        ([{"name": "a", "role": ["pore"]}, "b"], "the role ['pore']"),
        ([["a", 1], "b"], "the name ['a', 1]"),
        ([None, "b"], "the name None"),
        ([{1: 2}, "b"], "class 0 cannot be read"),
    ],
)
def test_odd_classes_of_a_recipe_are_named(entries, says):
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        ClassSchema.from_recipe(entries)
    assert caught.value.expected


def test_yes_and_no_are_explained():
    with pytest.raises(InputError, match="put quotes around"):
        ClassSchema.from_recipe([False, True])


def test_one_class_is_no_schema():
    with pytest.raises(InputError, match="fewer than two"):
        ClassSchema(pair()[:1])


def test_another_unlabelled_value_frees_255():
    schema = ClassSchema(pair(value=255), unlabelled=9)
    assert schema.by_value(255).name == "pore"
    assert ClassSchema.from_dict(schema.to_dict()).unlabelled == 9


def test_classes_are_found_by_name_and_by_value():
    schema = ClassSchema(pair())
    assert schema["pore"] is schema.by_value(1)
    assert schema["pore"].rgb == (0x00, 0x72, 0xB2)
    with pytest.raises(InputError, match="no class 'void'") as caught:
        schema["void"]
    assert "matrix, pore" in (caught.value.expected or "")
    with pytest.raises(InputError, match="no class has value 7"):
        schema.by_value(7)


def test_a_recipe_may_give_names_or_mappings():
    schema = ClassSchema.from_recipe(["matrix", {"name": "pore", "value": 7, "colour": "#000000"}])
    assert schema.names == ("matrix", "pore")
    assert schema.values == (0, 7)
    assert schema["pore"].colour == "#000000"


def test_a_recipe_with_an_unknown_preset_or_key_is_refused():
    with pytest.raises(RecipeError, match="unknown class schema 'li-binray'") as caught:
        ClassSchema.from_recipe("li-binray")
    assert "li-binary" in (caught.value.expected or "")
    with pytest.raises(RecipeError, match="class 1 cannot be read"):
        ClassSchema.from_recipe(["matrix", {"name": "pore", "color": "#000000"}])


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda n: n != "unlabelled")


@given(st.lists(names, min_size=2, max_size=20, unique=True))
def test_any_list_of_names_is_a_schema(given_names):
    schema = ClassSchema.from_recipe(list(given_names))
    assert schema.names == tuple(given_names)
    assert schema.values == tuple(range(len(given_names)))
    assert ClassSchema.from_dict(schema.to_dict()) == schema
