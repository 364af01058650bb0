"""What ``tomolith list`` says of each quantity."""

from __future__ import annotations

import pytest

from tomolith.app.listing import listing


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, str]]:
    """Return the words below each quantity, by what they are."""
    found: dict[str, dict[str, str]] = {}
    name = ""
    for line in listing("quantities"):
        if line and not line.startswith(" "):
            name = line.split()[0]
        elif ":  " in line:
            word, _, text = line.strip().partition(":")
            found.setdefault(name, {})[word] = text.strip()
    return found


def test_every_quantity_has_a_unit_and_parts(told: dict[str, dict[str, str]]) -> None:
    assert all({"unit", "parts", "formula"} <= set(words) for words in told.values())
    assert told["volume"]["unit"] == "um3"
    assert told["swelling"]["parts"] == "gap; cell"
    assert told["boundary_volume"]["parts"].endswith("(26 of li-operando)")


def test_what_counts_pulses_says_what_it_counts_without_a_cycler(
    told: dict[str, dict[str, str]],
) -> None:
    assert told["thickness_rate"]["unit"] == "um/pulse, without a cycler's file um/scan"
    assert told["thickness_growth"]["unit"] == "1/pulse, without a cycler's file 1/scan"
    assert told["li_moved_per_pulse"]["unit"] == "um3/pulse"  # only with one
