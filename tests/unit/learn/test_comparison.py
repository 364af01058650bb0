"""The parts of a comparison: runs, costs, timings and the table."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tomolith.config import Component
from tomolith.core import Grid
from tomolith.errors import RecipeError
from tomolith.label.splits import SliceRange
from tomolith.learn.comparison import timing as timing_module
from tomolith.learn.comparison.compare import Comparison, choose
from tomolith.learn.comparison.cost import count_flops
from tomolith.learn.comparison.memory import peak_bytes, reset_peak
from tomolith.learn.comparison.result import ImageScore, SystemResult
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.comparison.table import comparison_rows
from tomolith.learn.comparison.timing import Timing, cut_patches, measure, time_systems
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings
from tomolith.measure.confusion import ConfusionRecord
from tomolith.measure.reliability import ReliabilityRecord
from tomolith.measure.rows import ScoreRow

CLASSES = ("background", "lithium")


def test_a_system_changes_only_what_it_says():
    base = TrainSettings(epochs=7, batch=3, loss="dice", seed=9)
    small = {
        "name": "small",
        "method": {"name": "unet", "channels": 4},
        "train": {"loss": "cross_entropy"},
        "seeds": [4],
    }
    settings = CompareSettings(systems=["unet", small], train={"batch": 5})
    first, second = settings.runs(base)
    assert first.train == base.model_copy(
        update={"batch": 5, "seed": 0, "network": Component(name="unet")}
    )
    assert (second.name, second.labels) == ("small-s4", "compare-small-s4")
    assert second.train.loss.name == "cross_entropy"
    assert second.train.network.options == {"channels": 4}
    assert (second.train.epochs, second.train.batch, second.train.seed) == (7, 5, 4)


def test_an_ensemble_averages_the_runs_of_its_own_seed():
    mean = {"name": "e", "method": {"name": "ensemble", "members": ["a", "b"]}}
    systems = [{"name": name, "method": "unet"} for name in "ab"]
    runs = CompareSettings(systems=[*systems, mean], seeds=[0, 1]).runs(TrainSettings())
    assert [run.members for run in runs if run.is_ensemble] == [("a-s0", "b-s0"), ("a-s1", "b-s1")]
    fewer = [systems[0], {**systems[1], "seeds": [1]}]
    with pytest.raises(ValueError, match="its member 'b' has not"):
        CompareSettings(systems=[*fewer, mean], seeds=[0, 1])
    three = {**mean, "method": {**mean["method"], "weights": [1, 2, 3]}}
    with pytest.raises(RecipeError, match="one weight"):
        CompareSettings(systems=[*systems, three]).runs(TrainSettings())


@pytest.mark.parametrize("name", ["unet", "transforcnn"])
def test_flops_do_not_depend_on_a_kernel_that_fuses_attention(name):
    from torch.utils.flop_counter import FlopCounterMode

    network = NETWORKS.build(Component(name=name), 1, 2).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 1, 64, 64))
    real, found = counter.get_total_flops(), count_flops(network, 64)
    assert found == real if name == "unet" else found > real  # the CPU's fused one counts as 0
    assert next(network.parameters()).device.type == "cpu"


def test_the_flops_of_a_convolution_by_hand():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1))
    assert count_flops(network, 16) == 2 * 16 * 16 * (9 * 4 + 4 * 2)


def test_the_peak_is_forgotten_when_asked():
    if peak_bytes()[0] is None:
        pytest.skip("this system does not tell the peak of a process")
    big = np.ones(2**25)
    with_big = peak_bytes()[0]
    del big
    reset_peak()
    assert peak_bytes()[0] < with_big - 2**27


class _Counted:
    """A labeller that notes what it was asked."""

    engine = "none"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def fit_px(self, patch_px: int) -> int:
        return -(-patch_px // 16) * 16

    def for_patches(self, batch: int, patch_px: int):
        def label(patches):
            assert patches.shape == (batch, patch_px, patch_px)
            self.batches.append(batch)
            return patches > 0

        return label


def test_batches_double_up_to_the_largest_and_the_patch_fits_the_network():
    labeller = _Counted()
    settings = CompareSettings(
        systems=["otsu"], timing={"patch_px": 20, "max_batch": 4, "seconds": 0.001}
    )
    found = measure(labeller, settings, system="x", image=np.zeros((9, 50), np.float32))
    assert found.patch_px == 32
    assert list(dict.fromkeys(labeller.batches)) == [1, 2, 4]
    assert found.best_s <= found.latency_s
    assert found.mpx_per_s == pytest.approx(32**2 / found.latency_s / 1e6)
    assert found.n_parameters is None


def test_patches_are_cut_from_inside_the_image():
    image = np.arange(40 * 30, dtype=np.float32).reshape(40, 30)
    patches = cut_patches(image, 5, 16)
    corners = {(int(p[0, 0]) // 30, int(p[0, 0]) % 30) for p in patches}
    assert len(corners) == 5
    y, x = sorted(corners)[-1]
    np.testing.assert_array_equal(patches[-1].shape, (16, 16))
    assert y <= 24
    assert x <= 14


def _timing(system="a", **changes) -> Timing:
    return replace(Timing(system, "torch", 128, 0.010, 8, 0.005, 100), **changes)


def test_timings_are_kept_until_a_run_changes(tmp_path, monkeypatch):
    asked = []

    def child(run, *_args, **_options):
        asked.append(run.system)
        return _timing(run.system, latency_s=0.02 / len(asked))

    monkeypatch.setattr(timing_module, "_in_child", child)
    settings = CompareSettings(systems=["unet", "ynet", "otsu"], timing={"rounds": 2})
    runs = settings.runs(TrainSettings())
    common = {"root": tmp_path, "settings": settings}
    first = time_systems(runs, None, None, keys=["k"], **common)
    # in turns, so that a slow minute hits all; Otsu is fitted for it, once
    assert asked == ["unet", "ynet", "otsu", "unet", "ynet"]
    assert first[0].latency_s == pytest.approx(0.02 / 4)  # the faster of its two rounds
    assert time_systems(runs, None, None, keys=["k"], **common) == first
    assert len(asked) == 5
    time_systems(runs, None, None, keys=["other"], **common)
    assert len(asked) == 10


def test_timings_go_on_where_they_were_stopped(tmp_path, monkeypatch):
    asked = []

    def child(run, *_args, **_options):
        if len(asked) == 3:
            asked.append("stop")
            raise KeyboardInterrupt
        asked.append(run.system)
        return _timing(run.system, latency_s=0.01 * len(asked))

    monkeypatch.setattr(timing_module, "_in_child", child)
    settings = CompareSettings(systems=["unet", "ynet"], timing={"rounds": 2})
    runs = settings.runs(TrainSettings())
    common = {"root": tmp_path, "settings": settings, "keys": ["k"]}
    with pytest.raises(KeyboardInterrupt):
        time_systems(runs, None, None, **common)
    found = time_systems(runs, None, None, **common)
    assert asked == ["unet", "ynet", "unet", "stop", "ynet"]
    assert [t.latency_s for t in found] == pytest.approx([0.01, 0.02])


def _result(seed=0, *, iou=0.8, counts=((6, 2), (1, 3)), n_images=12) -> SystemResult:
    images = tuple(ImageScore("a", z, z / 10) for z in range(n_images))
    scores = (ScoreRow("u", "test", "all", "pooled", "iou", "", iou),)
    confusion = ConfusionRecord("u", "test", CLASSES, counts, (0, 4), 0)
    return SystemResult(
        f"u-s{seed}", "u", "unet", seed, "k", images=images, scores=scores, confusion=confusion
    )


def _value(rows, quantity, *, system="u", seed="all", class_name=""):
    return next(
        r
        for r in rows
        if (r.system, r.seed, r.quantity, r.class_name) == (system, seed, quantity, class_name)
    )


def test_the_table_gives_mean_and_spread_over_seeds():
    rows = comparison_rows(
        [_result(0, iou=0.7), _result(1, iou=0.8), _result(2, iou=0.9)],
        [_timing("u")],
        grid=Grid((2, 4, 4), (1.0, 2.0, 2.0)),
    )
    iou = _value(rows, "iou")
    assert (iou.value, iou.sd, iou.n_seeds) == (pytest.approx(0.8), pytest.approx(0.1), 3)
    assert _value(rows, "iou", seed="1").value == 0.8
    assert _value(rows, "latency").value == pytest.approx(10.0)
    assert _value(rows, "throughput_best_batch").value == pytest.approx(128**2 / 5000)


def test_the_best_and_the_lowest_images_never_overlap():
    rows = comparison_rows([_result(n_images=12)], [], grid=Grid((2, 4, 4), None))
    assert _value(rows, "accuracy_best_images").value == pytest.approx(0.9)  # 0.7 to 1.1
    assert _value(rows, "accuracy_lowest_images").value == pytest.approx(0.2)
    spread = np.std([0.0, 0.1, 0.2, 0.3, 0.4], ddof=1)
    assert _value(rows, "accuracy_lowest_images_sd").value == pytest.approx(spread)
    rows = comparison_rows([_result(n_images=5)], [], grid=Grid((2, 4, 4), None))
    assert _value(rows, "n_best_images").value == 2


def test_amounts_are_counted_where_the_truth_is_known():
    rows = comparison_rows([_result()], [], grid=Grid((2, 4, 4), (1.0, 2.0, 2.0)))
    # predicted 7 and 5; true 8, and 4 with a class and 4 without
    assert _value(rows, "occupied_voxels", class_name="lithium").value == 5
    assert _value(rows, "occupied_volume", class_name="lithium").value == pytest.approx(20)
    assert _value(rows, "occupied_voxels", system="truth", class_name="lithium").value == 8
    assert _value(rows, "occupied_share", system="truth", class_name="lithium").value == 50
    unknown = comparison_rows([_result()], [], grid=Grid((2, 4, 4), None))
    assert not [r for r in unknown if r.quantity == "occupied_volume"]


def test_a_row_is_read_back_as_it_was_and_a_damaged_one_is_none(tmp_path):
    result = _result()
    result.save(tmp_path)
    assert asdict(SystemResult.read(tmp_path)) == asdict(result)
    path = tmp_path / "compare.json"
    path.write_text(path.read_text()[:100])
    assert SystemResult.read(tmp_path) is None


def test_samples_are_spread_over_the_test_slices():
    test = [SliceRange("a", 0, 4), SliceRange("b", 7, 9)]
    assert choose(test, 3) == [("a", 1), ("a", 3), ("b", 8)]
    assert choose(test, 0) == []
    assert len(choose(test, 99)) == 6


def test_a_result_comes_back_with_its_reliability(tmp_path):
    trust = ReliabilityRecord("u", "test", (0, 8), (0, 5), (0, 1500))
    for reliability in (trust, None):
        kept = replace(_result(), reliability=reliability)
        kept.save(tmp_path)
        assert SystemResult.read(tmp_path) == kept


def test_the_weights_of_an_ensemble_are_kept_with_its_result(tmp_path):
    kept = replace(_result(), weights=(("unet", 0.25), ("ynet", 0.75)))
    kept.save(tmp_path)
    assert SystemResult.read(tmp_path) == kept


def test_a_classical_method_is_fitted_once_for_all_its_slices(tmp_path, monkeypatch):
    fitted = []
    monkeypatch.setattr(
        "tomolith.learn.comparison.compare.fit_classical",
        lambda run, *_: fitted.append(run.name) or object(),
    )
    settings = CompareSettings(systems=["otsu", "random_forest"])
    plan = SimpleNamespace(parts=None)
    work = Comparison(None, plan, settings, tmp_path)
    runs = settings.runs(TrainSettings())
    for run in (*runs, *runs):
        work._labeller(run)
    assert fitted == [run.name for run in runs]
