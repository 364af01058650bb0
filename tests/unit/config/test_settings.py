"""Settings refuse what they do not know, and say what was meant."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, field_validator, model_validator

from tomolith.config import Settings, did_you_mean, parse_settings, settings_hash
from tomolith.errors import RecipeError


class Optimiser(Settings):
    name: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)


class Augment(Settings):
    zoom: tuple[float, float] = (0.8, 1.0)


class Train(Settings):
    epochs: int = Field(10, ge=1)
    optimiser: Optimiser = Optimiser()
    augment: Augment | None = None
    stages: tuple[Optimiser, ...] = ()
    labels: str = Field("truth", alias="label-name")

    @field_validator("epochs")
    @classmethod
    def _not_thirteen(cls, value: int) -> int:
        if value == 13:
            raise ValueError("thirteen epochs bring bad luck")
        return value


class Pair(Settings):
    low: float
    high: float = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> "Pair":
        if self.high <= self.low:
            raise ValueError("high must lie above low")
        return self


def refusal(values, kind=Train) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse_settings(kind, values, where="recipe.yaml, train")
    assert caught.value.where == "recipe.yaml, train"
    assert "pydantic" not in str(caught.value)
    return caught.value


def test_good_values_pass_and_are_frozen():
    settings = parse_settings(Train, {"epochs": 3, "label-name": "hand"}, where="here")
    assert (settings.epochs, settings.labels) == (3, "hand")
    with pytest.raises(ValidationError):
        settings.epochs = 4


def test_an_unknown_key_names_the_nearest():
    error = refusal({"epohcs": 3})
    assert error.found == "unknown key 'epohcs'"
    assert error.mend == "did you mean 'epochs'?"


def test_a_nested_typo_is_named_with_its_path():
    error = refusal({"optimiser": {"learning_rat": 1}})
    assert error.found == "unknown key 'optimiser.learning_rat'"
    assert error.mend == "did you mean 'learning_rate'?"


def test_a_typo_inside_an_optional_section_is_found():
    assert refusal({"augment": {"zom": (1, 1)}}).mend == "did you mean 'zoom'?"


def test_a_typo_inside_a_list_is_found():
    error = refusal({"stages": [{"name": "sgd"}, {"nane": "adam"}]})
    assert error.found == "unknown key 'stages.1.nane'"
    assert error.mend == "did you mean 'name'?"


def test_a_key_like_nothing_lists_what_is_known():
    error = refusal({"qqqqq": 1})
    assert error.mend == "known are: augment, epochs, label-name, optimiser, stages"


def test_a_wrong_value_is_shown():
    error = refusal({"epochs": "many"})
    assert error.found == "'epochs' is 'many'"
    assert "integer" in (error.expected or "")
    assert error.mend == "correct 'epochs'"


def test_a_value_out_of_range_is_shown_with_its_path():
    error = refusal({"optimiser": {"learning_rate": -1}})
    assert error.found == "'optimiser.learning_rate' is -1"
    assert error.expected == "greater than 0"


def test_a_validator_speaks_in_its_own_words():
    assert refusal({"epochs": 13}).expected == "thirteen epochs bring bad luck"


def test_a_missing_key_is_named():
    error = refusal({}, kind=Pair)
    assert error.found == "'low' is missing"
    assert error.mend == "add 'low:'"


def test_a_contradiction_between_keys_has_no_key_of_its_own():
    error = refusal({"low": 2.0}, kind=Pair)
    assert error.found == "high must lie above low"
    assert error.mend is None


def test_defaults_are_checked_too():
    class Wrong(Settings):
        epochs: int = "x"  # type: ignore[assignment]

    with pytest.raises(ValidationError):
        Wrong()


def test_values_that_do_not_go_together_are_told_without_repeating_them_all():
    class Recipe(Settings):
        part: Pair

    error = refusal({"part": {"low": 2, "high": 1}}, Recipe)
    assert error.found == "'part': high must lie above low"
    assert error.expected is None
    assert error.mend == "correct 'part'"


def test_did_you_mean_has_nothing_to_say_about_nothing():
    assert did_you_mean("x", []) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_the_hash_does_not_see_the_order_of_keys(values):
    turned = dict(reversed(list(values.items())))
    assert settings_hash(values) == settings_hash(turned)
    assert len(settings_hash(values)) == 16


def test_the_hash_sees_every_value_and_the_order_of_parts():
    assert settings_hash(Train()) == settings_hash(Train(epochs=10))
    assert settings_hash(Train()) != settings_hash(Train(epochs=11))
    assert settings_hash("a", "b") != settings_hash("b", "a")


def test_the_hash_of_settings_is_stable_across_releases():
    # journals on disk are keyed by it: a change here makes every finished step run again
    assert settings_hash({"a": 1}, [2, "µ"]) == "016e048029edb279"
