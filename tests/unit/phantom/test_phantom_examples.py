"""The recipes that ship with phantoms or real scans can be read, and fit the phantom."""

from pathlib import Path

import pytest

from tomolith.app.recipe import load_recipe
from tomolith.phantom import MATERIALS

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def test_the_demo_holds_out_whole_scans_of_a_cycle():
    recipe = load_recipe(EXAMPLES / "demo" / "recipe.yaml")
    assert set(MATERIALS) <= set(recipe.schema_.names)
    assert recipe.phantom.scan_ids[0] == "cell0-t00"
    assert recipe.phantom.scans[-1] == 2 * recipe.phantom.n_pulses  # charge and discharge
    assert set(recipe.train.split.test) < set(recipe.phantom.scan_ids)
    assert recipe.train.labels == "hand"
    assert recipe.evaluate.truth == "truth"
    assert recipe.train.minutes < 5  # the whole demo takes less than six
    assert recipe.refine.wanted("time") and recipe.verdict.rules  # the whole path


@pytest.mark.parametrize("folder", ["/somewhere/else", None])
def test_the_battery_cell_finds_its_data_where_it_is_told(monkeypatch, folder):
    monkeypatch.delenv("TOMOLITH_DATA", raising=False)
    if folder:
        monkeypatch.setenv("TOMOLITH_DATA", folder)
    recipe = load_recipe(EXAMPLES / "battery-cell" / "recipe.yaml")
    expected = folder or str((EXAMPLES / "../../shared/data").resolve())
    paths = [Path(scan.path).resolve() for scan in recipe.import_.scans]
    assert all(str(path).startswith(expected) for path in paths)
    assert recipe.evaluate is None  # there is nothing to score against
