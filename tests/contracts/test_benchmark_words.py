"""What the pages of benchmarks say of who wins, and of where the time goes."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.comparisons import TIE, Protocol, winner_words
from benchmarks.even_ensembles import mean_iou
from benchmarks.extent import Extent
from benchmarks.latency import build_networks
from benchmarks.latency_parts import REST, parts_of

from tomolith.learn.comparison.cost import count_flops


def test_with_one_seed_a_small_difference_is_no_win():
    ranked = [("a", 0.9, None), ("b", 0.9 - 0.9 * TIE, None), ("c", 0.9 - 1.1 * TIE, None)]
    words = winner_words(ranked)
    assert words.startswith("**a** wins against c; level with b (with one seed,")
    assert winner_words(ranked[:2]).startswith("**a** is level with b")


def test_with_several_seeds_their_spread_decides():
    ranked = [("unet", 0.9, 0.001), ("b", 0.896, 0.001), ("c", 0.88, 0.03)]
    words = winner_words(ranked)
    assert words.startswith("The plain U-Net wins against b; level with c (mean ± sd")


def test_one_seed_and_several_are_told_apart():
    ranked = [("a", 0.9, 0.01), ("b", 0.895, 0.001), ("c", 0.895, None), ("d", 0.88, None)]
    reason = "(mean ± sd over the seeds overlap or with one seed, less than 0.01 is no win)"
    assert winner_words(ranked) == f"**a** wins against d; level with b, c {reason}."


def test_a_shortened_run_repeats_the_systems_that_it_says():
    protocol = Protocol("table1_binary", repeated=("unet",))

    def seeds_of(extent: Extent) -> dict[str, tuple[int, ...]]:
        section = protocol.load(extent)["compare"]
        return {s["name"]: tuple(s.get("seeds", section["seeds"])) for s in section["systems"]}

    some = seeds_of(Extent(minutes=1, seeds=2))
    assert some.pop("unet") == (0, 1)
    assert set(some.values()) == {(0,)}
    named = seeds_of(Extent(minutes=1, seeds=2, systems=("unet", "ynet")))
    assert set(named.values()) == {(0, 1)}


def test_members_weighed_alike_are_scored_by_their_mean_where_there_is_truth():
    truth = np.array([[0, 0, 1, 2]])  # 2: unlabelled
    sure = np.array([[[255, 0, 0, 255]], [[0, 255, 255, 0]]], np.uint8)  # wrong in the second
    unsure = np.array([[[130, 140, 125, 9]], [[125, 115, 130, 246]]], np.uint8)  # always right
    assert mean_iou([[sure]], [truth]) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert mean_iou([[unsure]], [truth]) == 1.0
    assert mean_iou([[sure], [unsure]], [truth]) == pytest.approx(1 / 2)
    assert mean_iou([[sure], [unsure], [255 - sure]], [truth]) == 1.0


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
