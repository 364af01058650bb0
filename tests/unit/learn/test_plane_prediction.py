"""Prediction in other planes than xy, and models that learnt from different planes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from predict_helpers import SCHEMA, files_of, small_bundle, small_image, small_settings
from tomolith.blocks import PatchGrid
from tomolith.core import Box, Grid, IntensityStats, Provenance
from tomolith.core.plane import AXES
from tomolith.errors import InputError, MismatchError
from tomolith.label.splits import SliceRange, Split
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.ensemble import ensemble, join_models
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.predict import BlockPredictor, plan_prediction, predict
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

N = len(SCHEMA)


def labels_of(scan, name="prediction"):
    return scan.labels(name).read(scan.grid.box)


def cube(folder, shape_zyx=(34, 36, 45), size=(1.0, 1.0, 1.0), **more):
    scan = Scan.create(
        folder / "cube.zarr",
        Grid(shape_zyx, size, **more),
        np.uint8,
        provenance=Provenance("test"),
        layout=Layout((16, 16, 16), (16, 16, 32)),
    )
    image = small_image(shape_zyx, np.uint8)
    scan.image.array[:] = image
    scan.set_stats([IntensityStats.of_sample(image)])
    scan.finish()
    return scan


def cubic_bundle():
    return replace(small_bundle(), voxel_size_um=(1.0, 1.0, 1.0))


def test_a_plane_is_the_prediction_of_the_turned_volume(tmp_path):
    scan, bundle = cube(tmp_path), cubic_bundle()
    image = scan.image.read(scan.grid.box)
    for plane, axes in (("xz", (1, 0, 2)), ("yz", (2, 0, 1))):
        predict(scan, bundle, small_settings(planes=[plane]), name=plane)
        shape = tuple(scan.grid.shape_zyx[a] for a in axes)
        turned = Scan.create(
            tmp_path / f"{plane}.zarr",
            Grid(shape, (1.0, 1.0, 1.0)),
            np.uint8,
            provenance=Provenance("test"),
        )
        turned.image.array[:] = image.transpose(axes)
        turned.set_stats(list(scan.stats))
        turned.finish()
        predict(turned, bundle, small_settings())
        assert np.array_equal(
            labels_of(turned, "prediction"), labels_of(scan, plane).transpose(axes)
        )


PLANES = ("xy", "xz", "yz")


def test_planes_are_averaged_before_the_softmax(tmp_path):
    scan, bundle = cube(tmp_path), cubic_bundle()
    shares = []
    for planes in (PLANES, *((plane,) for plane in PLANES)):
        predict(scan, bundle, small_settings(planes=planes, probabilities=True))
        shares.append(scan.extra("probabilities/prediction")[...] / 255)
    mean = np.exp(np.mean(np.log(np.array(shares[1:]) + 1e-3), axis=0))
    assert abs(mean / mean.sum(axis=0) - shares[0]).max() < 0.02


def test_planes_do_not_let_the_layout_show(tmp_path):
    scan, bundle = cube(tmp_path), cubic_bundle()
    extras = {"flips": True, "mutual_information": True, "planes": PLANES}
    predict(scan, bundle, small_settings(**extras), name="whole")
    blocks = {"block_zyx": (16, 32, 32), "executor": "threads", "workers": 2}
    predict(scan, bundle, small_settings(**extras, **blocks), name="blocks")
    assert np.array_equal(labels_of(scan, "whole"), labels_of(scan, "blocks"))
    found = [scan.extra(f"mutual_information/{name}")[...] for name in ("whole", "blocks")]
    assert np.array_equal(*found)
    assert found[0].max() > 0


@pytest.mark.parametrize(
    ("size", "sections"), [(None, False), ((2.0, 1.0, 1.0), False), ((1.0, 1.0, 1.0), True)]
)
def test_planes_across_the_slices_need_cubic_voxels(size, sections):
    grid = Grid((64, 64, 64), size, sections=sections)
    plan_prediction(grid, small_bundle(), small_settings())
    with pytest.raises(InputError, match="voxels of equal sides"):
        plan_prediction(grid, small_bundle(), small_settings(planes=["xy", "xz"]))


def test_too_few_slices_for_a_patch_are_refused():
    grid = Grid((20, 64, 64), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="patch_px: 20"):
        plan_prediction(grid, small_bundle(), small_settings(planes=["yz"]))
    for wrong in ([], ["xy", "xy"]):
        with pytest.raises(ValidationError, match="planes"):
            small_settings(planes=wrong)


def test_sums_of_all_planes_are_in_the_projection():
    grid = Grid((256, 256, 256), (1.0, 1.0, 1.0))
    fixed = {"block_zyx": (256, 256, 256), "memory": "64GiB"}
    one, three = (
        plan_prediction(grid, small_bundle(), small_settings(planes=p, **fixed)).projected_bytes
        for p in (["xy"], ["xy", "xz", "yz"])
    )
    assert three - one > 4 * N * grid.n_voxels


# Models of different planes


def member(plane, seed, network="unet"):
    return replace(small_bundle(network, seed=seed), voxel_size_um=(1.0, 1.0, 1.0), plane=plane)


def fused(weights=(1.0, 3.0)):
    """Return two models fused, of xz and of yz, and the models."""
    members = [member("xz", 0), member("yz", 1)]
    return join_models(members, weights), members


def test_a_model_is_shown_the_plane_it_learnt_from(tmp_path):
    scan, model = cube(tmp_path), member("xz", 0)
    predict(scan, model, small_settings(), name="own")
    for plane in ("xz", "xy"):
        predict(scan, model, small_settings(planes=[plane]), name=plane)
    assert np.array_equal(labels_of(scan, "own"), labels_of(scan, "xz"))
    assert not np.array_equal(labels_of(scan, "own"), labels_of(scan, "xy"))


def in_plane(array, plane):
    return array.transpose(AXES[plane])


def plane_logits(model, scan, plane):
    """Return the logits (classes, z, y, x) of a whole scan, without any block or file."""
    image = scan.image.read(scan.grid.box)
    given = in_plane(model.normalisation.apply(image, scan.stats), plane)
    side, network = model.patch_px, model.build_network()
    grid = PatchGrid(given.shape, (1, side, side), 0.25)
    sums, counts = np.zeros((N, *given.shape)), np.zeros(given.shape)
    for patch in grid.patches_meeting(Box.whole(given.shape)):
        with torch.inference_mode():
            logits = network(torch.from_numpy(given[patch.slices].copy())[None])
        sums[(slice(None), *patch.slices)] += logits[0, :, None].numpy()
        counts[patch.slices] += 1
    back = [AXES[plane].index(axis) + 1 for axis in range(3)]
    return (sums / counts).transpose(0, *back)


def test_logits_of_planes_are_averaged_with_the_weights(tmp_path):
    scan = cube(tmp_path)
    both, (xz, yz) = fused()
    predict(scan, both, small_settings(probabilities=True, precision="fp32"))
    logits = 0.25 * plane_logits(xz, scan, "xz") + 0.75 * plane_logits(yz, scan, "yz")
    shares = np.exp(logits) / np.exp(logits).sum(axis=0)
    found = scan.extra("probabilities/prediction")[...] / 255
    assert abs(found - shares).max() < 0.5 / 255 + 1e-4
    values = np.array(SCHEMA.values, np.uint8)
    assert (labels_of(scan) == values[logits.argmax(axis=0)]).mean() > 0.9999


def test_members_of_one_plane_are_an_ensemble_of_their_own():
    members = [member("xy", 0), member("xz", 1), member("xz", 2, "transforcnn")]
    parts = join_models(members, [2, 1, 1]).by_plane()
    assert {plane: weight for plane, (_, weight) in parts.items()} == {"xy": 0.5, "xz": 0.5}
    alone = parts["xy"][0]
    assert alone.network == members[0].network
    assert alone.fingerprint == members[0].fingerprint
    expected = join_models(members[1:], [1, 1])
    assert parts["xz"][0].fingerprint == expected.fingerprint
    assert parts["xz"][0].network.options["members"] == expected.network.options["members"]


def test_members_of_one_plane_alone_keep_it(tmp_path):
    joined = join_models([member("xz", 0), member("xz", 1)], [1, 1])
    joined.save(tmp_path)
    loaded = ModelBundle.load(tmp_path)
    assert loaded.plane == "xz"
    assert list(loaded.by_plane()) == ["xz"]
    assert "planes" not in loaded.network.options


def test_fused_labels_depend_neither_on_blocks_nor_on_where_a_run_stopped(tmp_path, monkeypatch):
    both, _ = fused()
    both.save(tmp_path / "model")
    both = ModelBundle.load(tmp_path / "model")
    extras = {"probabilities": True, "entropy": True}
    kinds = ("labels", *extras)
    (tmp_path / "whole").mkdir()
    scan = cube(tmp_path / "whole")
    predict(scan, both, small_settings(**extras))
    whole = [files_of(scan.path / kind / "prediction") for kind in kinds]
    done, compute = [], BlockPredictor.__call__

    def stop_after_three(self, block):
        if len(done) == 3:
            raise KeyboardInterrupt
        compute(self, block)
        done.append(block.name)

    (tmp_path / "again").mkdir()
    again = cube(tmp_path / "again")
    small = small_settings(**extras, block_zyx=(16, 16, 32))
    with monkeypatch.context() as patched:
        patched.setattr(BlockPredictor, "__call__", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            predict(again, both, small)
    predict(again, both, small.model_copy(update={"executor": "threads", "workers": 2}))
    assert [files_of(again.path / kind / "prediction") for kind in kinds] == whole


def test_all_members_may_be_shown_one_plane(tmp_path):
    scan = cube(tmp_path)
    both, members = fused()
    predict(scan, both, small_settings(planes=["xy"]), name="fused")
    plain = join_models([replace(m, plane="xy") for m in members], [1, 3])
    predict(scan, plain, small_settings(), name="plain")
    assert np.array_equal(labels_of(scan, "fused"), labels_of(scan, "plain"))


def test_other_weights_are_another_prediction(tmp_path):
    scan = cube(tmp_path)
    for weights in ((1.0, 3.0), (3.0, 1.0)):
        predict(scan, fused(weights)[0], small_settings())
        made = scan.labels("prediction").volume.provenance.settings_hash
        predict(scan, fused(weights)[0], small_settings())
        assert scan.labels("prediction").volume.provenance.settings_hash == made
    predict(scan, fused((1.0, 3.0))[0], small_settings())
    assert scan.labels("prediction").volume.provenance.settings_hash != made


def test_what_cannot_be_fused_is_refused(tmp_path):
    both, members = fused()
    grid = Grid((64, 64, 64), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="shown different planes"):
        plan_prediction(grid, both, small_settings(mutual_information=True, flips=True))
    with pytest.raises(InputError, match="voxels of equal sides"):
        plan_prediction(Grid((64, 64, 64), (2.0, 1.0, 1.0)), both, small_settings())
    with pytest.raises(InputError, match="name its members instead"):
        join_models([both, members[0]], [1, 1])
    with pytest.raises(InputError, match="no slices validate them all"):
        ensemble(members, EnsembleSettings(members=["a", "b"], search="miou"), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other",
    [
        Split((SliceRange("a", 0, 9),), (), (), "yz"),
        Split((SliceRange("a", 0, 9), SliceRange("b", 0, 2)), (), (SliceRange("b", 4, 9),), "yz"),
    ],
    ids=["no test", "slices of a scan that trains"],
)
def test_the_test_is_of_scans_that_no_member_has_seen(other, tmp_path):
    _, members = fused()
    kept = (SliceRange("b", 0, 9),)
    split = Split((SliceRange("a", 0, 9),), (SliceRange("a", 9, 11),), kept, "xz")
    good = replace(split, plane="yz", test=(SliceRange("b", 2, 5),))
    settings = EnsembleSettings(members=["a", "b"], weights=[1, 1])
    with pytest.raises(MismatchError, match="'b' does not keep the same whole scans"):
        ensemble(members, settings, tmp_path / "bad", splits=[split, other])
    made = ensemble(members, settings, tmp_path / "good", splits=[split, good])
    assert made.bundle.network.options["planes"] == ["xz", "yz"]
    assert made.bundle.scores == {}
    stored = Split.from_dict(json.loads((tmp_path / "good" / "split.json").read_text()))
    assert stored == Split((), (), kept)


def test_each_model_and_the_sums_are_in_the_projection():
    grid = Grid((256, 256, 256), (1.0, 1.0, 1.0))
    fixed = {"block_zyx": (256, 256, 256), "memory": "64GiB"}
    plans = [
        plan_prediction(grid, model, small_settings(**fixed))
        for model in (member("xy", 0), member("xz", 0), fused()[0])
    ]
    flat, across, both = (plan.projected_bytes for plan in plans)
    assert across - flat > 4 * N * grid.n_voxels
    assert both > across
    assert [plane.name for plane in plans[2].planes] == ["xz", "yz"]
