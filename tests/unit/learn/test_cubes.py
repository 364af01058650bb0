"""A 3-D network is trained on cubes, from labels of all or of a few slices, and predicts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.filters import threshold_otsu

from network_helpers import build
from predict_helpers import files_of, small_settings
from tomolith.config import Component
from tomolith.core import PRESETS, Grid, IntensityStats, LabelMap, Provenance, Volume
from tomolith.errors import InputError, MemoryBudgetError, RecipeError
from tomolith.learn import trainer
from tomolith.learn.augment import augment, read_px
from tomolith.learn.augment_settings import AugmentSettings
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.cost import count_flops
from tomolith.learn.comparison.labellers import NetworkLabeller
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.comparison.timing import measure
from tomolith.learn.cubes import CubeSampler, first_slices, read_cubes
from tomolith.learn.ensemble import join_models
from tomolith.learn.examples import Example, index_labels
from tomolith.learn.losses.base import IGNORE
from tomolith.learn.predict import BlockPredictor, plan_prediction, predict
from tomolith.learn.sampling import Patch
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import plan_training, train
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-binary"]
SIDE = 16
NET = {"name": "residual_unet_3d", "channels": [8, 12, 16], "strides": [2, 2], "dropout": 0.0}
SMALL = {
    "network": NET,
    "epochs": 25,
    "patch_px": SIDE,
    "batch": 4,
    "patches_per_epoch": 32,
    "threads": 1,
    "precision": "fp32",
    "learning_rate": 0.01,
    "average_steps": 5,
    "split": {"gap": 8},
}
FEW = {"gap": 8, "validation": ["a[60]"], "test_frac": 0}
CUBES = (1.0, 1.0, 1.0)


def settings(**changes):
    return TrainSettings.model_validate({**SMALL, **changes})


def example(name="a", shape=(64, 40, 44), seed=0, labelled=None, voxel_size_um=CUBES):
    """Return bright blobs under a shade that no single threshold fits, and their truth."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 4)
    truth = (smooth > np.quantile(smooth, 0.7)).astype(np.uint8)
    shade = np.linspace(-45, 45, shape[1])[:, None]
    grey = 120 + 35.0 * truth + shade + rng.normal(0, 14, shape)
    grey = np.clip(grey, 0, 255).astype(np.uint8)
    grid = Grid(shape, voxel_size_um)
    labels = truth.copy()
    if labelled is not None:
        others = [z for z in range(shape[0]) if z not in labelled]
        labels[others] = SCHEMA.unlabelled
    return Example(
        name,
        Volume(grey, grid),
        LabelMap(Volume(labels, grid), SCHEMA),
        (IntensityStats.of_sample(grey),),
    ), truth


def stored(folder, source):
    """Write the image of an example as a scan of several shards."""
    layout = Layout((8, 16, 32), (16, 16, 32))
    scan = Scan.create(
        folder / f"{source.scan_id}.zarr",
        source.image.grid,
        np.uint8,
        provenance=Provenance("test"),
        layout=layout,
    )
    scan.image.array[:] = source.image.array
    scan.set_stats(list(source.stats))
    scan.finish()
    return scan


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on five labelled slices of one scan; validate on the last."""
    build(Component.model_validate(NET))  # or skip
    source, _ = example(labelled=(6, 14, 22, 30, 60))
    return train([source], settings(split=FEW), tmp_path_factory.mktemp("model"), schema=SCHEMA)


# Prediction


def iou(found, truth):
    return np.sum((found == 1) & (truth == 1)) / np.sum((found == 1) | (truth == 1))


def test_a_few_labelled_slices_train_it_and_it_beats_a_threshold(trained, tmp_path):
    assert trained.split.to_dict()["validation"] == [["a", 60, 61]]
    assert trained.rows[-1].train_loss < 0.7 * trained.rows[0].train_loss
    assert trained.bundle.scores["validation_iou"] > 0.6
    other, truth = example("b", shape=(37, 45, 53), seed=5)
    scan = stored(tmp_path, other)
    labels = predict(scan, ModelBundle.load(trained.folder), small_settings())
    score = iou(labels.read(labels.grid.box), truth)
    assert score > iou(np.ones_like(truth), truth) + 0.2
    grey = other.image.array
    assert score > iou(grey > threshold_otsu(grey), truth) + 0.1


def test_labels_depend_neither_on_blocks_nor_on_where_a_run_stopped(trained, tmp_path, monkeypatch):
    scan = stored(tmp_path, example("b", shape=(37, 45, 53), seed=5)[0])
    extras = {"probabilities": True, "entropy": True}
    predict(scan, trained.bundle, small_settings(**extras))
    kinds = ("labels", "probabilities", "entropy")
    whole = [files_of(scan.path / kind / "prediction") for kind in kinds]
    one = small_settings(**extras, block_zyx=(16, 16, 32), executor="threads", workers=2)
    n_blocks = len(plan_prediction(scan.grid, trained.bundle, one, layout=scan.layout).blocks)
    assert n_blocks == 3 * 3 * 2
    done, compute = [], BlockPredictor.__call__

    def stop_after_five(self, block):
        if len(done) == 5:
            raise KeyboardInterrupt
        compute(self, block)
        done.append(block.name)

    again = stored(tmp_path / "again", example("b", shape=(37, 45, 53), seed=5)[0])
    with monkeypatch.context() as patched:
        patched.setattr(BlockPredictor, "__call__", stop_after_five)
        with pytest.raises(KeyboardInterrupt):
            predict(again, trained.bundle, one.model_copy(update={"executor": "serial"}))
    predict(again, trained.bundle, one)
    assert [files_of(again.path / kind / "prediction") for kind in kinds] == whole


def test_memory_is_projected_with_a_ring_as_deep_as_a_cube(trained):
    grid, layout = Grid((64, 1024, 1024), CUBES), Layout((16, 64, 64), (16, 64, 64))
    plans = [
        plan_prediction(grid, trained.bundle, small_settings(memory=m), layout=layout, dtype="u1")
        for m in ("820MiB", "970MiB", "3GiB")
    ]
    for plan, budget in zip(plans, (820 * 2**20, 970 * 2**20, 3 * 2**30), strict=True):
        assert plan.projected_bytes <= budget
        assert plan.batch_shape == (1, 1, SIDE, SIDE, SIDE)
    sizes = [np.prod(plan.block_zyx) for plan in plans]
    assert sizes[0] < sizes[1] < sizes[2]
    whole = plans[-1].block_zyx[1:] == (1024, 1024)
    assert whole and plans[-1].projected_bytes > SIDE * 2 * 4 * 1024**2
    with pytest.raises(MemoryBudgetError):
        plan_prediction(grid, trained.bundle, small_settings(memory="100MiB"), layout=layout)


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("more", [{}, {"precision": "mixed"}, {"flips": True}])
def test_every_way_of_running_it_gives_nearly_the_same_labels(trained, tmp_path, backend, more):
    scan = stored(tmp_path, example("b", shape=(16, 32, 32), seed=5)[0])
    plain = predict(scan, trained.bundle, small_settings(precision="fp32"), name="plain")
    chosen = small_settings(**{"precision": "fp32", "backend": backend, **more})
    labels = predict(scan, trained.bundle, chosen)
    box = labels.grid.box
    same = (labels.read(box) == plain.read(box)).mean()
    assert same > (0.8 if "flips" in more else 0.97)


@pytest.mark.parametrize(
    ("grid", "more", "message"),
    [
        (Grid((16, 32, 32), CUBES, sections=True), {}, "not sections"),
        (Grid((16, 32, 32), (2.0, 1.0, 1.0)), {}, "not 2 × 1 × 1 µm"),
        (Grid((16, 32, 32), CUBES), {"planes": ("xy", "yz")}, "leave 'planes' out"),
        (Grid((12, 32, 32), CUBES), {}, r"smaller than a patch of 16 × 16 × 16(.|\n)*patch_px: 12"),
        (Grid((16, 32, 32), CUBES), {"patch_px": 18}, "multiple of 4"),
    ],
)
def test_what_it_cannot_predict_is_refused(trained, grid, more, message):
    with pytest.raises(InputError, match=message):
        plan_prediction(grid, trained.bundle, small_settings(**more))


# Training


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    build(Component.model_validate(NET))
    source, _ = example(labelled=(6, 14, 22, 30, 60))
    chosen = settings(split=FEW, epochs=3)
    whole = train([source], chosen, tmp_path / "whole", schema=SCHEMA)
    write = trainer.write_checkpoint

    def write_and_die(path, progress, **named):
        write(path, progress, **named)
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "write_checkpoint", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            train([source], chosen, tmp_path / "killed", schema=SCHEMA)
    again = train([source], chosen, tmp_path / "killed", schema=SCHEMA)
    assert len(again.rows) == 3
    assert again.bundle.fingerprint == whole.bundle.fingerprint
    assert again.bundle.temperature == whole.bundle.temperature


def test_labels_that_are_held_out_never_train(trained):
    """Neither those of validation and test slices, nor those in the gap around them."""
    source, _ = example()
    plan = plan_training([source], settings(), SCHEMA)
    trains = {(s.example, s.z) for s in plan.training()}
    assert max(z for _, z in trains) + 8 < plan.parts.validation[0].z_start
    patches = [Patch(0, z, (20, 20)) for z in range(0, 64, 7)]
    for (_, target), patch in zip(
        read_cubes(
            patches,
            [source],
            trains,
            normalisation=trained.bundle.normalisation,
            batch=1,
            side_px=24,
            depth=SIDE,
        ),
        patches,
        strict=True,
    ):
        assert target.shape == (1, SIDE, 24, 24)
        for k in range(SIDE):
            known = (0, patch.z - SIDE // 2 + k) in trains
            assert bool((target[0, k] != IGNORE).any()) == known


def test_no_cube_reaches_into_a_slice_that_is_held_out():
    source, _ = example(labelled=(2, 20, 21, 40, 62))
    slices = index_labels([source], SCHEMA)
    held = {40}
    training = [s for s in slices if s.z not in held]
    firsts = {(0, s.z): first_slices(s.z, SIDE, 64, held) for s in training}
    sampler = CubeSampler(training, firsts=firsts, n_patches=400, patch_px=SIDE)
    assert sampler.epoch(3) == sampler.epoch(3) != sampler.epoch(4)
    starts = {patch.z - SIDE // 2 for patch in sampler.epoch(0)}
    assert min(starts) == 0 and max(starts) == 64 - SIDE
    assert len(starts) > 20  # the labelled slice lies anywhere in the cube
    assert all(not start <= 40 < start + SIDE for start in starts)
    assert all(any(start <= s.z < start + SIDE for s in training) for start in starts)


@pytest.mark.parametrize("gap", [8, 9, 20])
def test_there_is_always_a_cube_between_slices_that_are_held_out(gap):
    for z in range(64):
        held = [h for h in (z - gap - 1, z + gap + 1) if 0 <= h < 64]
        low, high = first_slices(z, SIDE, 64, held)
        for start in range(low, high + 1):
            assert start <= z < start + SIDE
            assert not any(start <= h < start + SIDE for h in held)
        assert low <= high


def test_the_edge_of_a_volume_is_mirrored_and_unlabelled(trained):
    source, _ = example()
    ((image, target),) = read_cubes(
        [Patch(0, 2, (3, 40))],
        [source],
        {(0, z) for z in range(64)},
        normalisation=trained.bundle.normalisation,
        batch=1,
        side_px=24,
        depth=SIDE,
    )
    assert image.shape == (1, 1, SIDE, 24, 24)
    known = target[0] != IGNORE
    assert known[6:, 9:, :16].all()
    assert not known[:6].any() and not known[:, :9].any() and not known[:, :, 16:].any()
    assert torch.equal(image[0, 0, 5], image[0, 0, 6])
    assert torch.equal(image[0, 0, 6:, 8], image[0, 0, 6:, 9])


@pytest.mark.parametrize(("flip", "turned"), [(True, True), (False, False), ("up-down", False)])
def test_slices_of_a_cube_are_varied_alike(flip, turned):
    chosen = AugmentSettings.model_validate({"preset": "strong", "flip": flip, "noise_frac": 0})
    side = read_px(SIDE, chosen)
    plane = torch.randn(8, 1, 1, side, side, generator=torch.Generator().manual_seed(0))
    image = plane.expand(8, 1, SIDE, side, side).clone()
    target = torch.arange(SIDE)[None, :, None, None].expand(8, SIDE, side, side).clone()
    rng = torch.Generator().manual_seed(1)
    image, target = augment(image, target, chosen, patch_px=SIDE, rng=rng)
    assert image.shape == (8, 1, SIDE, SIDE, SIDE)
    assert target.shape == (8, SIDE, SIDE, SIDE)
    torch.testing.assert_close(image, image[:, :, :1].expand_as(image))
    order = target[:, :, 8, 8]
    down = (order == torch.arange(SIDE)).all(1)
    assert (down | (order == torch.arange(SIDE).flip(0)).all(1)).all()
    assert bool((~down).any()) == turned


@pytest.mark.parametrize(
    ("source", "changes", "error", "message"),
    [
        ({"voxel_size_um": None}, {}, InputError, "not an unknown one"),
        ({"voxel_size_um": (3.0, 1.0, 1.0)}, {}, InputError, "not 3 × 1 × 1 µm"),
        ({"shape": (12, 40, 40)}, {}, InputError, "12 × 40 × 40 voxels"),
        ({}, {"split": {"gap": 7}}, RecipeError, r"at least 8(.|\n)*gap: 8"),
        ({"labelled": (3, 9)}, {}, RecipeError, "the split leaves no slice"),
        ({}, {"unlabelled": "mean_teacher"}, RecipeError, "learns from labels alone"),
        ({}, {"patch_px": 18, "split": {"gap": 9}}, RecipeError, "a multiple of 4"),
    ],
)
def test_what_it_cannot_learn_from_is_refused(tmp_path, source, changes, error, message):
    build(Component.model_validate(NET))
    with pytest.raises(error, match=message):
        train([example(**source)[0]], settings(**changes), tmp_path, schema=SCHEMA)


def test_it_is_no_member_of_an_ensemble(trained):
    with pytest.raises(InputError, match="sees cubes of a volume"):
        join_models([trained.bundle, trained.bundle], [1, 1])
    with pytest.raises(RecipeError, match="a member sees cubes"):
        build(Component(name="ensemble", options={"members": [NET], "weights": [1]}))


# Comparison


def test_slices_of_a_comparison_are_labelled_as_predict_does(trained, tmp_path):
    scan = stored(tmp_path, example("b", shape=(37, 45, 53), seed=5)[0])
    labels = predict(scan, trained.bundle, small_settings())
    labeller = NetworkLabeller(trained.bundle, small_settings())
    for z in (4, 5, 20, 36):
        assert np.array_equal(labeller.label_slice(scan, z), labels.read(labels.grid.box)[z]), z


def test_its_costs_are_those_of_one_slice(trained):
    compared = CompareSettings.model_validate(
        {"systems": ["unet"], "timing": {"patch_px": SIDE, "max_batch": 8, "seconds": 0.01}}
    )
    labeller = NetworkLabeller(trained.bundle, small_settings())
    timing = measure(labeller, compared, system="deep", image=np.zeros((40, 40), np.float32))
    assert timing.best_batch == 1
    assert timing.n_flops == count_flops(labeller.network, SIDE) // SIDE
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        labeller.network(torch.zeros(1, 1, SIDE, SIDE, SIDE))
    assert count_flops(labeller.network, SIDE) == counter.get_total_flops()
    assert timing.mpx_per_s == pytest.approx(SIDE**2 / timing.latency_s / 1e6)
