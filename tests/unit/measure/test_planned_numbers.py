"""Rules are held against what will be measured, before anything is."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError, RecipeError
from tomolith.measure.planned_numbers import check_rules, planned_numbers
from tomolith.measure.quantify import MeasureSettings, measure

CELL = PRESETS["li-operando"]


def refuse(rule: str, schema: str = "li-operando", *, cycler: bool = False, **settings) -> str:
    numbers = planned_numbers(MeasureSettings(**settings), PRESETS[schema], cycler=cycler)
    with pytest.raises(RecipeError) as error:
        check_rules([rule], numbers, where="recipe.yaml, verdict.rules")
    assert "recipe.yaml, verdict.rules" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("dendrite.penetration_frc < 1", "did you mean 'dendrite.penetration_frac'?"),
        ("dendrit.volume_um3 < 1", "did you mean 'dendrite.volume_um3'?"),
        ("dendrite.volume_mm3 < 1", "expected: dendrite.volume_um3"),
        ("capacity_ratoi > 0.3", "did you mean 'cell.capacity_ratio_frac'?"),
        ("dendrit_since_t06.persistence_share > 0", "dendrite_since"),
        ("dendrite_charge_2.thickness_rat > 0", "thickness_rate"),
    ],
)
def test_typos_are_refused_with_the_nearest_name(rule, words):
    assert words in refuse(rule, cycler=True)


@pytest.mark.parametrize(
    ("rule", "schema", "settings", "words"),
    [
        ("capacity_ratio > 0.3", "li-operando", {}, "no 'measure.cycler'"),
        ("dead_li.volume < 1", "li-binary", {}, "'dead_li_volume' needs the class 'electrode'"),
        ("swelling < 9", "li-operando", {"quantities": ["volume"]}, "does not name 'gap'"),
        ("dendrite.plan_coverage < 1", "li-operando", {"quantities": ["volume"]}, "does not name"),
    ],
)
def test_what_will_not_be_measured_is_refused_with_the_reason(rule, schema, settings, words):
    found = refuse(rule, schema, **settings)
    assert "will not be measured" in found and words in found


def test_without_a_series_its_numbers_are_refused():
    numbers = planned_numbers(MeasureSettings(), CELL, series=False)
    with pytest.raises(RecipeError, match=r"'measure\.series' is \[\]"):
        check_rules(["all_li.li_change < 1"], numbers)
    check_rules(["pit_redeposited.pearson > 0.5"], numbers)


def test_further_classes_are_correlated_and_unknown_ones_refused():
    numbers = planned_numbers(MeasureSettings(correlate=["electrode"]), CELL)
    check_rules(["pit_electrode.pearson > 0.5"], numbers)
    assert "no class" not in refuse("pit_electrode.pearson > 0.5", "li-operando")
    numbers = planned_numbers(MeasureSettings(correlate=["void_depth"]), CELL)
    check_rules(["pit_void_depth.pearson > 0.1"], numbers)
    with pytest.raises(InputError, match=r"no plan map 'elektrode'.*correlate(.|\n)*electrode"):
        planned_numbers(MeasureSettings(correlate=["elektrode"]), CELL)
    with pytest.raises(InputError, match=r"no plan map 'void_dept'(.|\n)*mean 'void_depth'"):
        planned_numbers(MeasureSettings(correlate=["void_dept"]), CELL)
    few = MeasureSettings(quantities=["volume"], correlate=["gap"])
    with pytest.raises(InputError, match=r"'gap' is not measured(.|\n)*add 'gap' to"):
        planned_numbers(few, CELL)


def test_later_half_cycles_and_any_first_scan_are_taken():
    numbers = planned_numbers(MeasureSettings(), CELL, cycler=True)
    check_rules(["dendrite_since_cell0-t06.persistence_share_by_chance > 0"], numbers)
    check_rules(["dendrite_charge_2.thickness_rate_um_pulse < 3"], numbers)


@pytest.mark.parametrize("preset", ["li-binary", "li-operando", "cathode-3phase"])
def test_what_is_measured_was_planned(preset):
    schema = PRESETS[preset]
    values = np.full((3, 6, 3), schema.values[0], np.uint8)
    values[:, :2], values[:, -1] = schema.values[1], schema.values[1]
    labels = LabelMap(Volume(values, Grid(values.shape, (1.0,) * 3)), schema)
    planned = {
        (one.row.class_name, one.row.quantity, one.row.unit)
        for one in planned_numbers(MeasureSettings(), schema)
        if not one.why_not
    }
    found = measure(labels, MeasureSettings(), region="scan")
    assert {(m.region.partition("/")[2], m.name, m.unit) for m in found} <= planned
