"""What the pages of benchmarks say of who wins, and of where the time goes."""

from __future__ import annotations

import pytest
from benchmarks.comparisons import TIE, winner_words
from benchmarks.latency import build_networks
from benchmarks.latency_parts import REST, parts_of

from tomolith.learn.comparison.cost import count_flops


def test_with_one_seed_a_small_difference_is_no_win():
    ranked = [("a", 0.9, None), ("b", 0.9 - 0.9 * TIE, None), ("c", 0.9 - 1.1 * TIE, None)]
    words = winner_words(ranked)
    assert words.startswith("**a** wins against c; level with b (with one seed each")
    assert winner_words(ranked[:2]).startswith("**a** is level with b")


def test_with_several_seeds_their_spread_decides():
    ranked = [("unet", 0.9, 0.001), ("b", 0.896, 0.001), ("c", 0.88, 0.03)]
    words = winner_words(ranked)
    assert words.startswith("The plain U-Net wins against b; level with c (mean ± sd")


@pytest.mark.parametrize("name", ["unet", "transforcnn", "ensemble"])
def test_the_parts_of_a_network_add_up_to_its_operations(name, monkeypatch):
    monkeypatch.setattr("benchmarks.latency_parts.ROUNDS", 1)
    network = build_networks([name])[0][name]
    parts = {part.name: part for part in parts_of(network, "torch", "fp32")}
    assert sum(part.n_flops for part in parts.values()) == count_flops(network, 128)
    assert all(part.seconds > 0 for part in parts.values())
    if name == "transforcnn":
        assert parts[REST].n_flops == 0
        assert {"units: attention", "rise of the tokens", "merging convolutions"} <= set(parts)
