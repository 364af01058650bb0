from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from tomolith.config import Component
from tomolith.core import PRESETS, ClassSchema, Grid, Normalisation, Provenance, Volume
from tomolith.errors import IntegrityError, MismatchError, ReadError, RecipeError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings
from tomolith.learn.weights import read_tensors

SCHEMA = PRESETS["li-binary"]
UNET = Component(name="unet", options={"channels": 2, "depth": 2})


def _bundle(voxel_size_um=(2.0, 1.0, 1.0), sections=False, network=UNET):
    torch.manual_seed(0)
    return ModelBundle(
        network=network,
        schema=SCHEMA,
        voxel_size_um=voxel_size_um,
        sections=sections,
        normalisation=Normalisation("zscore"),
        in_channels=1,
        patch_px=64,
        weights=NETWORKS.build(network, 1, 2).state_dict(),
        settings=TrainSettings(network=network, epochs=7),
        scores={"validation_iou": 0.5, "validation_iou_lithium": None},
        provenance=Provenance.now("train", inputs=("a",), seed=3),
    )


def _volume(voxel_size_um=(2.0, 1.0, 1.0), sections=False):
    return Volume(np.zeros((1, 4, 4), np.uint8), Grid((1, 4, 4), voxel_size_um, sections=sections))


def test_what_was_saved_comes_back(tmp_path):
    bundle = _bundle()
    bundle.save(tmp_path)
    loaded = ModelBundle.load(tmp_path)
    for name in ("network", "schema", "voxel_size_um", "normalisation", "settings", "scores"):
        assert getattr(loaded, name) == getattr(bundle, name), name
    assert loaded.provenance == bundle.provenance
    image = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        expected = bundle.build_network()(image)
        assert torch.equal(loaded.build_network()(image), expected)


def test_model_yaml_is_for_people_too(tmp_path):
    _bundle().save(tmp_path)
    values = yaml.safe_load((tmp_path / "model.yaml").read_text())
    assert values["network"] == {"name": "unet", "channels": 2, "depth": 2}
    assert values["voxel_size_um"] == [2.0, 1.0, 1.0]
    _bundle(voxel_size_um=None).save(tmp_path)
    assert "voxel_size_um: unknown" in (tmp_path / "model.yaml").read_text()
    assert ModelBundle.load(tmp_path).voxel_size_um is None


def test_a_lost_checksum_is_damage(tmp_path):
    _bundle().save(tmp_path)
    values = yaml.safe_load((tmp_path / "model.yaml").read_text())
    del values["weights_sha256"]
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(IntegrityError, match="checksum"):
        ModelBundle.load(tmp_path)


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(ReadError, match="cannot be opened"):
        read_tensors(tmp_path)  # a folder
    (tmp_path / "model.yaml").mkdir()
    with pytest.raises(ReadError, match=r"model\.yaml"):
        ModelBundle.load(tmp_path)


def test_a_model_of_sections_may_be_used_on_a_volume():
    _bundle((9.0, 1.0, 1.0), sections=True).check_matches(_volume((1.0, 1.0, 1.0)))


@pytest.mark.parametrize("size", [(2.0, 1.0, 1.0), (2.019, 0.991, 1.0)])
def test_a_scan_like_the_training_ones_is_taken(size):
    _bundle().check_matches(_volume(size), SCHEMA)


@pytest.mark.parametrize(
    ("trained", "given"),
    [((2.0, 1.0, 1.0), (2.03, 1.0, 1.0)), (None, (1.0, 1.0, 1.0)), ((2.0, 1.0, 1.0), None)],
)
def test_another_voxel_size_is_refused_and_shown(trained, given):
    with pytest.raises(MismatchError) as caught:
        _bundle(trained).check_matches(_volume(given), SCHEMA)
    shown = "unknown" if given is None else " × ".join(f"{v:g}" for v in given) + " µm"
    assert f"given: {shown}" in str(caught.value)


def test_unknown_sizes_match_each_other_and_sections_have_no_depth():
    _bundle(None).check_matches(_volume(None), SCHEMA)
    _bundle((9.0, 1.0, 1.0), sections=True).check_matches(_volume((1.0, 1.0, 1.0), True), SCHEMA)


def test_another_schema_is_refused_and_shown():
    other = ClassSchema.from_recipe(["background", "dendrite"])
    with pytest.raises(MismatchError) as caught:
        _bundle().check_matches(_volume(), other)
    message = str(caught.value)
    assert "trained: background=0, lithium=1" in message
    assert "given: background=0, dendrite=1" in message


def test_another_colour_is_the_same_schema():
    first, second = SCHEMA.classes
    repainted = ClassSchema((first, type(second)("lithium", 1, "#010203", "lithium")))
    _bundle().check_matches(_volume(), repainted)


def test_no_model_and_no_weights_are_told_apart(tmp_path):
    with pytest.raises(ReadError, match="there is no model here"):
        ModelBundle.load(tmp_path)
    _bundle().save(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(ReadError, match="has no weights"):
        ModelBundle.load(tmp_path)


def test_weights_of_another_architecture_are_refused(tmp_path):
    _bundle().save(tmp_path / "a")
    _bundle(network=Component(name="transforcnn")).save(tmp_path / "b")
    (tmp_path / "a/weights.safetensors").write_bytes(
        (tmp_path / "b/weights.safetensors").read_bytes()
    )
    with pytest.raises(MismatchError, match="another architecture") as caught:
        ModelBundle.load(tmp_path / "a")
    assert "is missing" in str(caught.value)


def test_weights_of_another_training_are_refused(tmp_path):
    _bundle().save(tmp_path)
    other = _bundle()
    weights = {k: v + 1 if v.is_floating_point() else v for k, v in other.weights.items()}
    other = ModelBundle(**{**{s: getattr(other, s) for s in other.__slots__}, "weights": weights})
    other.save(tmp_path / "other")
    (tmp_path / "weights.safetensors").write_bytes(
        (tmp_path / "other/weights.safetensors").read_bytes()
    )
    with pytest.raises(IntegrityError, match="checksum differs"):
        ModelBundle.load(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    bundle = _bundle()
    bundle.weights["head.weight"].fill_(float("nan"))
    with pytest.raises(IntegrityError, match=r"'head.weight' is not finite"):
        bundle.build_network()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "no description of a model"),
        ({"classes": {"classes": []}}, "lacks or misstates"),
        ({"patch_px": "wide"}, "lacks or misstates"),
    ],
)
def test_an_odd_description_is_refused(tmp_path, change, message):
    _bundle().save(tmp_path)
    path = tmp_path / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(ReadError, match=message):
        ModelBundle.load(tmp_path)


def test_a_network_that_is_not_installed_is_named(tmp_path):
    _bundle().save(tmp_path)
    path = tmp_path / "model.yaml"
    path.write_text(path.read_text().replace("name: unet", "name: swin", 1))
    with pytest.raises(RecipeError, match="unknown network 'swin'"):
        ModelBundle.load(tmp_path)
