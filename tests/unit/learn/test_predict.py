import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import predict_helpers
from predict_helpers import (
    PATCH_PX,
    SCHEMA,
    files_of,
    small_bundle,
    small_image,
    small_scan,
    small_settings,
)
from tomolith.core import Box, Grid, IntensityStats, Provenance
from tomolith.errors import (
    IncompleteError,
    InputError,
    LockedError,
    MemoryBudgetError,
    MismatchError,
    ReadError,
)
from tomolith.learn.predict import BlockPredictor, plan_prediction, predict
from tomolith.store.layout import Layout
from tomolith.store.locks import lock
from tomolith.store.scan import Scan

ODD = (5, 71, 93)


def projected_bytes(*given, **more):
    return plan_prediction(*given, **more).projected_bytes


def labels_of(scan, name="prediction"):
    labels = scan.labels(name)
    return labels.read(labels.grid.box)


def reference(image, bundle, *, overlap_frac, stats):
    """Predict a whole image by plain loops in float64: an independent implementation."""
    network = bundle.build_network()
    depth, height, width = image.shape
    stride = round(PATCH_PX * (1 - overlap_frac))
    ys = sorted({*range(0, height - PATCH_PX + 1, stride), height - PATCH_PX})
    xs = sorted({*range(0, width - PATCH_PX + 1, stride), width - PATCH_PX})
    sums = np.zeros((len(SCHEMA), depth, height, width))
    counts = np.zeros((height, width))
    for y in ys:
        for x in xs:
            counts[y : y + PATCH_PX, x : x + PATCH_PX] += 1
            patch = bundle.normalisation.apply(image[:, y : y + PATCH_PX, x : x + PATCH_PX], stats)
            with torch.inference_mode():
                logits = network(torch.from_numpy(patch)[:, None]).numpy()
            sums[:, :, y : y + PATCH_PX, x : x + PATCH_PX] += logits.transpose(1, 0, 2, 3)
    return sums / counts


@pytest.mark.parametrize(
    ("network", "overlap_frac"),
    [("unet", 0.0), ("unet", 0.25), ("unet", 0.6), ("transforcnn", 0.25)],
)
def test_labels_are_those_of_a_plain_implementation(tmp_path, network, overlap_frac):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle(network)
    predict(scan, bundle, small_settings(overlap_frac=overlap_frac, precision="fp32"))
    found = labels_of(scan)
    logits = reference(
        scan.image.read(scan.grid.box), bundle, overlap_frac=overlap_frac, stats=scan.stats
    )
    top = np.sort(logits, axis=0)
    clear = top[-1] - top[-2] > 1e-4  # elsewhere the last bit of fp32 may decide
    assert clear.mean() > 0.99
    assert np.array_equal(found[clear], np.array(SCHEMA.values)[logits.argmax(axis=0)][clear])
    assert set(np.unique(found)) == set(SCHEMA.values)


LAYOUTS = (
    {"block_zyx": (2, 32, 64)},
    {"block_zyx": (2, 32, 128), "executor": "threads", "workers": 3},
    {"block_zyx": (6, 96, 64), "executor": "threads", "workers": 1},
)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("sections", [False, True])
def test_labels_do_not_depend_on_the_layout(tmp_path, dtype, sections):
    scan, bundle = small_scan(tmp_path, ODD, dtype, sections=sections), small_bundle()
    predict(scan, bundle, small_settings())
    whole = labels_of(scan)
    for i, layout in enumerate(LAYOUTS):
        predict(scan, bundle, small_settings(**layout), name=f"blocks-{i}")
        assert np.array_equal(labels_of(scan, f"blocks-{i}"), whole), layout


def test_extras_do_not_depend_on_the_layout(tmp_path):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle()
    extras = {"probabilities": True, "entropy": True}
    predict(scan, bundle, small_settings(**extras), name="whole")
    predict(scan, bundle, small_settings(**extras, **LAYOUTS[1]), name="blocks")
    for kind in extras:
        whole, blocks = scan.extra(f"{kind}/whole"), scan.extra(f"{kind}/blocks")
        assert np.array_equal(whole[...], blocks[...])


BACKENDS = [
    ("unet", "torch", "bf16"),
    ("transforcnn", "torch", "fp32"),
    ("transforcnn", "torch", "bf16"),
    ("unet", "openvino", "fp32"),
    ("unet", "openvino", "bf16"),
]


@pytest.mark.parametrize(("network", "backend", "precision"), BACKENDS)
def test_no_backend_lets_the_layout_show(tmp_path, network, backend, precision):
    if backend == "openvino":
        pytest.importorskip("openvino")
    scan, bundle = small_scan(tmp_path, (3, 70, 90)), small_bundle(network)
    chosen = {"backend": backend, "precision": precision, "batch_size": 3}
    predict(scan, bundle, small_settings(**chosen), name="whole")
    predict(scan, bundle, small_settings(**chosen, block_zyx=(2, 32, 64)), name="blocks")
    assert np.array_equal(labels_of(scan, "whole"), labels_of(scan, "blocks"))


@pytest.mark.parametrize("dtype", ["int16", ">u2", "float32", ">f4"])
def test_labels_do_not_depend_on_the_number_type(tmp_path, dtype):
    bundle = small_bundle()
    first = small_scan(tmp_path / "a", ODD)
    other = small_scan(tmp_path / "b", ODD, np.dtype(dtype))
    predict(first, bundle, small_settings())
    predict(other, bundle, small_settings())
    assert np.array_equal(labels_of(first), labels_of(other))


def test_the_grey_scale_of_a_scan_does_not_matter(tmp_path):
    """Another gain and offset, as another detector has: the statistics take it out."""
    image = small_image(ODD, np.uint8).astype(np.float32)
    found = []
    for i, grey in enumerate([image, image * 7 + 1000]):
        scan = Scan.create(
            tmp_path / f"{i}.zarr", Grid(ODD, None), np.float32, provenance=Provenance("test")
        )
        scan.image.array[:] = grey
        scan.set_stats([IntensityStats.of_sample(grey)])
        scan.finish()
        predict(scan, small_bundle(), small_settings())
        found.append(labels_of(scan))
    assert (found[0] == found[1]).mean() > 0.9999


def test_each_section_is_normalised_by_its_own_statistics(tmp_path):
    image = np.repeat(small_image((1, 64, 64), np.float32), 2, axis=0)
    image[1] = image[1] * 3 + 50
    scan = Scan.create(
        tmp_path / "s.zarr",
        Grid(image.shape, None, sections=True),
        np.float32,
        provenance=Provenance("test"),
    )
    scan.image.array[:] = image
    scan.set_stats([IntensityStats.of_sample(section) for section in image])
    scan.finish()
    predict(scan, small_bundle(), small_settings())
    first, second = labels_of(scan)
    assert (first == second).mean() > 0.999


def test_probabilities_and_entropy_belong_to_the_labels(tmp_path):
    scan = small_scan(tmp_path, ODD)
    predict(scan, small_bundle(), small_settings(probabilities=True, entropy=True))
    labels = labels_of(scan)
    shares = scan.extra("probabilities/prediction")[...].astype(int)
    assert shares.shape == (len(SCHEMA), *ODD)
    assert abs(shares.sum(axis=0) - 255).max() <= 2
    chosen = np.take_along_axis(shares, labels[None].astype(int), axis=0)[0]
    assert (chosen == shares.max(axis=0)).all()
    entropy = scan.extra("entropy/prediction")[...]
    p = np.maximum(shares / 255, 1e-9)
    expected = -(p * np.log(p)).sum(axis=0) / np.log(len(SCHEMA))
    assert abs(entropy / 255 - expected).max() < 0.03


def test_older_extras_go_with_the_labels_they_belonged_to(tmp_path):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle()
    predict(scan, bundle, small_settings(probabilities=True))
    predict(scan, bundle, small_settings(entropy=True))
    assert not (scan.path / "probabilities" / "prediction").exists()
    assert scan.extra("entropy/prediction").shape == ODD


@pytest.mark.parametrize("filled_with", [np.nan, np.inf, 0.0])
def test_invalid_voxels_are_unlabelled_whatever_stands_in_them(tmp_path, filled_with):
    image = small_image(ODD, np.float32)
    hole = Box((1, 10, 20), (3, 30, 41))
    stats = IntensityStats.of_sample(image)
    image[hole.slices] = filled_with
    scan = Scan.create(
        tmp_path / "h.zarr", Grid(ODD, None), np.float32, provenance=Provenance("test")
    )
    scan.image.array[:] = image
    invalid = np.zeros(ODD, np.uint8)
    invalid[hole.slices] = 1
    scan.create_invalid()[:] = invalid
    scan.set_n_invalid(hole.n_voxels)
    scan.set_stats([stats])
    scan.finish()
    predict(scan, small_bundle(), small_settings(probabilities=True, entropy=True))
    labels = labels_of(scan)
    assert ((labels == SCHEMA.unlabelled) == (invalid == 1)).all()
    assert not scan.extra("probabilities/prediction")[:, 1:3, 10:30, 20:41].any()
    assert (scan.extra("entropy/prediction")[1:3, 10:30, 20:41] == 255).all()


def test_provenance_tells_model_backend_precision_and_threads(tmp_path):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle()
    labels = predict(scan, bundle, small_settings(threads=2, precision="bf16"))
    made = labels.volume.provenance
    assert made.step == "predict"
    assert f"model {bundle.fingerprint}" in made.inputs
    assert any("torch" in i and "bf16" in i and "2 threads" in i for i in made.inputs)


def test_nothing_is_left_behind(tmp_path):
    scan = small_scan(tmp_path, ODD)
    predict(scan, small_bundle(), small_settings(probabilities=True))
    assert not list(tmp_path.rglob("*.partial"))
    assert scan.label_names() == ("prediction",)


def test_predicting_again_replaces_and_gives_the_same_bytes(tmp_path):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle()
    predict(scan, bundle, small_settings())
    before = files_of(scan.path)
    predict(scan, bundle, small_settings())
    assert files_of(scan.path) == before


def test_labels_that_are_there_are_not_predicted_again(tmp_path, monkeypatch):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle()
    extras = {"probabilities": True, "entropy": True}
    predict(scan, bundle, small_settings(**extras))
    n_blocks = []
    compute = BlockPredictor.__call__
    monkeypatch.setattr(
        BlockPredictor, "__call__", lambda self, block: (n_blocks.append(1), compute(self, block))
    )
    labels = predict(scan, bundle, small_settings(**extras, block_zyx=(2, 32, 64)))
    assert labels.grid.shape_zyx == ODD
    assert not n_blocks
    predict(scan, bundle, small_settings(probabilities=True))  # other extras
    assert n_blocks


@pytest.mark.parametrize("kind", ["labels", "probabilities"])
@pytest.mark.parametrize("harm", ["flipped", "lost"])
def test_damaged_labels_are_predicted_again(tmp_path, kind, harm):
    scan, bundle = small_scan(tmp_path, ODD), small_bundle()
    predict(scan, bundle, small_settings(probabilities=True))
    before = files_of(scan.path)
    shard = next(f for f in (scan.path / kind / "prediction" / "0" / "c").rglob("*") if f.is_file())
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0x10
    shard.write_bytes(content) if harm == "flipped" else shard.unlink()
    predict(scan, bundle, small_settings(probabilities=True))
    assert files_of(scan.path) == before


def test_a_scan_made_again_has_the_same_labels(tmp_path):
    """The time of creation is part of no hash."""
    keys = set()
    for year in ("2024", "2025"):
        scan = small_scan(tmp_path / year, ODD)
        record = replace(scan.provenance, created_utc=year)
        scan.image = replace(scan.image, provenance=record)
        keys.add(predict(scan, small_bundle(), small_settings()).volume.provenance.settings_hash)
    assert len(keys) == 1


def test_another_model_gives_other_labels(tmp_path):
    scan = small_scan(tmp_path, ODD)
    predict(scan, small_bundle(seed=0), small_settings())
    before = labels_of(scan)
    predict(scan, small_bundle(seed=1), small_settings())
    assert (labels_of(scan) != before).mean() > 0.05


# What cannot be done is refused before anything is written


def assert_untouched(scan):
    assert not (scan.path / "labels").exists()
    with pytest.raises(ReadError):
        scan.labels("prediction")


def test_a_scan_smaller_than_a_patch(tmp_path):
    scan = small_scan(tmp_path, (2, 30, 100))
    with pytest.raises(InputError, match=r"30 × 100 pixels.*\n.*28(.|\n)*patch_px: 28"):
        predict(scan, small_bundle(), small_settings())
    assert_untouched(scan)
    predict(scan, small_bundle(), small_settings(patch_px=28))
    assert labels_of(scan).shape == (2, 30, 100)


def test_a_scan_too_small_for_any_patch(tmp_path):
    scan = small_scan(tmp_path, (2, 3, 100))
    with pytest.raises(InputError, match="larger slices"):
        predict(scan, small_bundle(), small_settings())


def test_a_patch_the_network_cannot_divide(tmp_path):
    scan = small_scan(tmp_path, ODD)
    with pytest.raises(InputError, match=r"multiple of 4(.|\n)*patch_px: 32"):
        predict(scan, small_bundle(), small_settings(patch_px=33))
    assert_untouched(scan)


def test_a_single_slice_is_predicted(tmp_path):
    scan = small_scan(tmp_path, (1, 64, 70))
    predict(scan, small_bundle(), small_settings())
    assert labels_of(scan).shape == (1, 64, 70)


def test_another_voxel_size(tmp_path):
    scan = Scan.create(
        tmp_path / "v.zarr", Grid(ODD, (1.0, 1.0, 1.0)), np.uint8, provenance=Provenance("test")
    )
    image = small_image(ODD, np.uint8)
    scan.image.array[:] = image
    scan.set_stats([IntensityStats.of_sample(image)])
    scan.finish()
    with pytest.raises(MismatchError, match="voxel size"):
        predict(scan, small_bundle(), small_settings())
    assert_untouched(scan)


def test_a_scan_without_statistics(tmp_path):
    scan = Scan.create(tmp_path / "n.zarr", Grid(ODD, None), "u1", provenance=Provenance("test"))
    scan.image.array[:] = small_image(ODD, np.uint8)
    scan.finish()
    with pytest.raises(IncompleteError, match="no intensity statistics"):
        predict(scan, small_bundle(), small_settings())


@pytest.mark.parametrize("changes", [{}, {"block_zyx": (6, 96, 128)}])
def test_a_budget_too_small(tmp_path, changes):
    scan = small_scan(tmp_path, ODD)
    with pytest.raises(MemoryBudgetError, match=r"[MG]iB"):
        predict(scan, small_bundle(), small_settings(memory="100MiB", **changes))
    assert_untouched(scan)


def test_blocks_that_cut_shards(tmp_path):
    scan = small_scan(tmp_path, ODD)
    with pytest.raises(InputError, match="whole shards"):
        predict(scan, small_bundle(), small_settings(block_zyx=(2, 33, 64)))
    assert_untouched(scan)


def test_a_second_writer_is_locked_out(tmp_path):
    scan = small_scan(tmp_path, ODD)
    with lock(tmp_path / ".tomolith" / "small.prediction", "predict"):
        with pytest.raises(LockedError, match="process"):
            predict(scan, small_bundle(), small_settings())
        assert_untouched(scan)
        predict(scan, small_bundle(), small_settings(), name="other")
    assert scan.label_names() == ("other",)


# The projection


def test_projection_needs_no_scan_and_grows_with_the_budget_only_as_far_as_the_volume():
    bundle, grid = small_bundle(), Grid((64, 2048, 2048), None)
    need = [
        projected_bytes(grid, bundle, small_settings(memory=m), dtype=np.uint8)
        for m in ("1GiB", "2GiB", "64GiB")
    ]
    assert need == sorted(need)
    assert all(n <= m for n, m in zip(need, (2**30, 2**31, 2**36), strict=True))


def test_plan_uses_full_slices_where_the_budget_allows():
    grid = Grid((64, 2048, 2048), None)
    plan = plan_prediction(
        grid, small_bundle(), small_settings(memory="4GiB"), layout=Layout.default(grid), dtype="u1"
    )
    assert plan.block_zyx[1:] == (2048, 2048)
    assert sum(b.write.n_voxels for b in plan.blocks) == grid.n_voxels


def test_blocks_in_flight_are_counted():
    grid = Grid((64, 2048, 2048), None)
    fixed = {"block_zyx": (32, 1024, 1024), "memory": "64GiB"}
    one = projected_bytes(grid, small_bundle(), small_settings(**fixed))
    two = projected_bytes(
        grid, small_bundle(), small_settings(**fixed, executor="threads", workers=2)
    )
    block = 32 * 1024 * 1024
    assert two - one > 2 * block * 4


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_peak_memory_stays_below_the_projection(tmp_path):
    """In a process of its own: everything it ever held, libraries included."""
    shape_zyx = (16, 640, 640)
    scan = small_scan(tmp_path, shape_zyx, shard_zyx=(16, 320, 320))
    settings = small_settings(executor="threads", workers=2, memory="1GiB")
    script = (
        "import sys\n"
        "from predict_helpers import small_bundle, PredictSettings\n"
        "from tomolith.learn.predict import predict\n"
        "from tomolith.store.scan import Scan\n"
        "from pathlib import Path\n"
        "settings = PredictSettings.model_validate_json(sys.argv[2])\n"
        "predict(Scan.open(Path(sys.argv[1])), small_bundle(), settings)\n"
        "status = Path('/proc/self/status').read_text().split()\n"
        "print(int(status[status.index('VmHWM:') + 1]) * 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(scan.path), settings.model_dump_json()],
        env={**os.environ, "PYTHONPATH": str(Path(predict_helpers.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    need = projected_bytes(
        scan.grid, small_bundle(), settings, layout=scan.layout, dtype=scan.image.dtype
    )
    assert 2**27 < int(done.stdout) <= need <= 2**30
