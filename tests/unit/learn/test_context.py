"""Networks that see a slice between its neighbours ("2.5-D"), from training to prediction."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from predict_helpers import PATCH_PX, SCHEMA, small_bundle, small_image, small_settings
from tomolith.core import PRESETS, Grid, IntensityStats, LabelMap, Normalisation, Provenance, Volume
from tomolith.core.plane import AXES
from tomolith.errors import InputError, MismatchError, ReadError, RecipeError
from tomolith.learn.augment import move
from tomolith.learn.augment_settings import AugmentSettings
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.cost import count_flops
from tomolith.learn.comparison.labellers import NetworkLabeller
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.ensemble import ensemble, join_models
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.examples import Example, SliceCache, neighbours
from tomolith.learn.predict import plan_prediction, predict
from tomolith.learn.sampling import Patch, read_batches
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import _task, plan_training, train
from tomolith.learn.train_check import check_runs, check_training
from tomolith.learn.validation import stack_logits
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

BINARY = PRESETS["li-binary"]
SMALL = {
    "network": {"name": "unet", "channels": 4, "depth": 2},
    "patch_px": 32,
    "batch": 8,
    "patches_per_epoch": 64,
    "threads": 1,
    "device": "cpu",
    "precision": "fp32",
    "learning_rate": 0.01,
    "average_steps": 10,
    "split": {"gap": 2, "validation_frac": 0.2},
}


def settings(**changes):
    return TrainSettings.model_validate({**SMALL, **changes})


def scan_of(folder, image, **more):
    scan = Scan.create(
        folder / "a.zarr",
        Grid(image.shape, (1.0, 1.0, 1.0), **more),
        image.dtype,
        provenance=Provenance("test"),
        layout=Layout((16, 16, 16), (16, 16, 32)),
    )
    scan.image.array[:] = image
    parts = image if more.get("sections") else [image]
    scan.set_stats([IntensityStats.of_sample(part) for part in parts])
    scan.finish()
    return scan


@pytest.fixture
def scan(tmp_path):
    return scan_of(tmp_path, small_image((34, 36, 45), np.uint8))


def context_bundle(in_channels=5):
    return replace(small_bundle(in_channels=in_channels), voxel_size_um=(1.0, 1.0, 1.0))


def plain_logits(bundle, image, stats):
    """Predict every slice between its neighbours, from the whole volume in memory."""
    half = bundle.in_channels // 2
    given = bundle.normalisation.apply(image, stats)
    padded = np.pad(given, [(half, half), (0, 0), (0, 0)], mode="symmetric")
    stacks = np.stack([padded[z : z + bundle.in_channels] for z in range(len(image))])
    forward = bundle.build_network()
    with torch.inference_mode():
        return np.stack(list(stack_logits(forward, stacks, patch_px=PATCH_PX, batch=4)), axis=1)


@pytest.mark.parametrize("plane", ["xy", "xz"])
def test_labels_are_those_of_the_whole_volume_whatever_the_blocks(scan, plane):
    bundle, axes = context_bundle(), AXES[plane]
    image = scan.image.read(scan.grid.box)
    logits = plain_logits(bundle, image.transpose(axes), scan.stats)
    top = np.sort(logits, axis=0)
    clear = (top[-1] - top[-2] > 1e-4).transpose(np.argsort(axes))
    expected = np.array(SCHEMA.values)[logits.argmax(axis=0)].transpose(np.argsort(axes))
    assert clear.mean() > 0.99
    found = []
    for name, block in (("whole", None), ("blocks", (16, 32, 32))):
        chosen = small_settings(planes=[plane], block_zyx=block, precision="fp32")
        predict(scan, bundle, chosen, name=name)
        found.append(scan.labels(name).read(scan.grid.box))
    np.testing.assert_array_equal(found[0][clear], expected[clear])
    np.testing.assert_array_equal(found[0], found[1])


def test_blocks_read_no_further_than_the_neighbours(scan):
    chosen = small_settings(block_zyx=(16, 32, 32))
    plan = plan_prediction(scan.grid, context_bundle(), chosen, layout=scan.layout)
    reads = [plan.read_box(block.write) for block in plan.blocks]
    assert {(r.start_zyx[0], r.stop_zyx[0]) for r in reads} == {(0, 18), (14, 34), (30, 34)}
    assert plan.batch_shape[1] == 5


def test_compare_labels_slices_as_predict_does(scan):
    chosen = small_settings(precision="fp32", batch_size=4)
    predict(scan, context_bundle(), chosen)
    labeller = NetworkLabeller(context_bundle(), chosen)
    for z in (0, 1, 17, 33):
        found = scan.labels("prediction").read(scan.grid.box)[z]
        np.testing.assert_array_equal(labeller.label_slice(scan, z), found)


def test_a_batch_holds_the_slices_around_the_labelled_one():
    image = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 8, 8), np.float32)
    labels = (np.arange(6, dtype=np.uint8) % 2)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    grid = Grid(image.shape, None)
    stats = (IntensityStats.of_sample(image),)
    example = Example("a", Volume(image, grid), LabelMap(Volume(labels, grid), BINARY), stats)
    cache, plain = SliceCache([example], BINARY, 10**6), Normalisation()
    [(shown, target)] = read_batches(
        [Patch(0, 0, (4, 4)), Patch(0, 3, (4, 4))],
        [example],
        cache,
        normalisation=plain,
        batch=2,
        side_px=4,
        n_slices=5,
    )
    expected = plain.apply(image, stats)[:, 0, 0]
    for k, wanted in enumerate(([1, 0, 0, 1, 2], [1, 2, 3, 4, 5])):
        np.testing.assert_allclose(shown[k, :, 0, 0], expected[wanted], rtol=1e-6)
    assert target[:, 0, 0].tolist() == [0, 1]


def test_a_volume_thinner_than_the_context_is_mirrored_again_and_again():
    assert neighbours(0, 7, 2) == [1, 1, 0, 0, 1, 1, 0]
    assert neighbours(0, 5, 1) == [0] * 5


@pytest.fixture(scope="module")
def columns():
    """Columns along z under noise that differs from slice to slice: one slice hardly shows them."""
    rng = np.random.default_rng(3)
    coarse = (rng.random((1, 8, 8)) < 0.4).astype(np.uint8)
    truth = coarse.repeat(8, axis=1).repeat(8, axis=2).repeat(30, axis=0)
    grey = truth + rng.normal(0, 1.5, truth.shape).astype(np.float32)
    grid = Grid(truth.shape, (1.0, 1.0, 1.0))
    stats = (IntensityStats.of_sample(grey),)
    return Example("a", Volume(grey, grid), LabelMap(Volume(truth, grid), BINARY), stats)


@pytest.fixture(scope="module")
def trained(columns, tmp_path_factory):
    def of(context_slices):
        chosen = settings(epochs=6, context_slices=context_slices)
        return train([columns], chosen, tmp_path_factory.mktemp("model"), schema=BINARY)

    return {n: of(n) for n in (0, 2)}


def test_neighbours_see_through_noise(trained):
    alone, between = (trained[n].bundle.scores["validation_iou"] for n in (0, 2))
    assert between > alone + 0.05


def test_the_model_knows_how_many_slices_it_sees(trained):
    bundle = trained[2].bundle
    assert bundle.in_channels == 5
    assert bundle.settings.context_slices == 2
    assert ModelBundle.load(trained[2].folder).in_channels == 5


def test_an_ensemble_sees_what_its_members_see(trained, columns, tmp_path):
    bundle, split = trained[2].bundle, trained[2].split
    chosen = EnsembleSettings(members=["one", "two"], search="miou", threads=1, device="cpu")
    made = ensemble([bundle, bundle], chosen, tmp_path, examples=[columns], splits=[split] * 2)
    found = made.bundle.scores["validation_iou"]
    assert found == pytest.approx(bundle.scores["validation_iou"], abs=1e-3)


def test_members_that_see_other_slices_are_refused(trained):
    with pytest.raises(MismatchError, match="slices seen at a time: 1, and 5"):
        join_models([trained[0].bundle, trained[2].bundle], [1, 1])


@pytest.mark.parametrize("method", ["mean_teacher", "pseudo_labels"])
def test_unlabelled_slices_are_seen_between_their_neighbours_too(columns, tmp_path, method):
    some = np.array(columns.labels.volume.array)
    some[np.arange(30) % 6 != 0] = 255
    few = replace(columns, labels=LabelMap(Volume(some, columns.image.grid), BINARY))
    chosen = settings(epochs=1, context_slices=1, unlabelled=method)
    assert train([few], chosen, tmp_path, schema=BINARY).bundle.in_channels == 3


@pytest.mark.parametrize(
    ("changes", "found", "where"),
    [
        ({"split": {"gap": 1}}, "2 slices on either side", "train.split.gap"),
        ({"network": "resnet18_centre"}, "sees one slice", "train.context_slices"),
        ({"network": "matphase"}, "sees one slice", "train.context_slices"),
    ],
)
def test_what_cannot_see_neighbours_is_refused(changes, found, where):
    with pytest.raises(RecipeError, match=found) as caught:
        check_training(settings(context_slices=2, **changes), BINARY)
    assert caught.value.where == where


def test_a_3d_network_sees_its_neighbours_anyway():
    pytest.importorskip("monai")
    with pytest.raises(RecipeError, match="sees cubes"):
        check_training(settings(context_slices=2, network="residual_unet_3d"), BINARY)


def test_compared_members_must_see_the_same_slices():
    other = {"name": "other", "method": "ynet", "train": {"context_slices": 1}}
    mean = {"name": "mean", "method": {"name": "ensemble", "members": ["unet", "other"]}}
    runs = CompareSettings(systems=["unet", other, mean]).runs(TrainSettings())
    with pytest.raises(RecipeError, match="'other' sees 1 slices on either side, 'unet' 0"):
        check_runs(runs, BINARY)


def _mean_of(*members):
    return {"name": "ensemble", "members": list(members)}


def _runs(*systems):
    return CompareSettings(systems=systems, train={"split": {"gap": 1}}).runs(TrainSettings())


def test_an_ensemble_of_ensembles_sees_the_slices_of_its_members():
    three = {"train": {"context_slices": 1}}
    systems = [
        {"name": "unet-3slices", "method": "unet", **three},
        {"name": "ynet-3slices", "method": "ynet", **three},
        {"name": "inner", "method": _mean_of("unet-3slices", "ynet-3slices")},
        {"name": "outer", "method": _mean_of("inner", "ynet-3slices")},
    ]
    check_runs(_runs(*systems), BINARY)
    runs = _runs("unet", *systems, {"name": "wrong", "method": _mean_of("inner", "unet")})
    with pytest.raises(RecipeError, match="'unet' sees 0 slices on either side, 'inner' 1"):
        check_runs(runs, BINARY)


def test_patches_may_be_turned_over_along_the_slices():
    image = torch.arange(5.0)[None, :, None, None].expand(64, 5, 32, 32)
    target = torch.zeros(64, 32, 32, dtype=torch.int64)
    turned = {}
    for flip in (True, "left-right"):
        still = AugmentSettings(preset="none", rotate_deg=0, zoom=(1, 1), shift_frac=0, flip=flip)
        rng = torch.Generator().manual_seed(0)
        moved, _ = move(image, target, still, patch_px=32, rng=rng)
        assert (moved[:, 2] == 2).all()
        turned[flip] = int((moved[:, 0, 16, 16] == 4).sum())
    assert 16 < turned[True] < 48
    assert turned["left-right"] == 0


def test_an_epoch_draws_as_many_slices_as_the_cache_holds_with_their_neighbours(columns, tmp_path):
    plan = plan_training([columns], settings(), BINARY)
    slice_bytes = 64 * 64 * 5
    drawn = {}
    for n in (0, 2):
        chosen = settings(context_slices=n, cache=f"{10 * slice_bytes}B")
        task = _task(plan, chosen, plan.training(), key="")
        drawn[n] = len({patch.z for patch in task.sampler.epoch(0)})
    assert drawn == {0: 10, 2: 2}


def test_a_model_that_sees_an_even_number_of_slices_is_refused(trained, tmp_path):
    folder = shutil.copytree(trained[2].folder, tmp_path / "model")
    card = folder / "model.yaml"
    card.write_text(card.read_text().replace("in_channels: 5", "in_channels: 4"))
    with pytest.raises(ReadError, match="in_channels is 4"):
        ModelBundle.load(folder)


def test_operations_are_counted_for_all_slices():
    forward = torch.nn.Conv2d(5, 2, 3, padding=1)
    assert count_flops(forward, 8, in_channels=5) == 8 * 8 * 2 * 5 * 9 * 2


def test_sections_have_no_neighbours(tmp_path):
    image = small_image((6, 36, 45), np.uint8)
    scan = scan_of(tmp_path, image, sections=True)
    with pytest.raises(InputError, match="no neighbours"):
        predict(scan, context_bundle(), small_settings())
    labels = LabelMap(Volume((image > 120).astype(np.uint8), scan.grid), BINARY)
    example = Example("a", scan.image, labels, scan.stats)
    with pytest.raises(InputError, match="no neighbours") as caught:
        train([example], settings(context_slices=1), tmp_path / "m", schema=BINARY)
    assert caught.value.where == "train.context_slices"
