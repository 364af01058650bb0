from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from predict_helpers import SCHEMA, small_bundle, small_scan, small_settings
from tomolith.config import Component
from tomolith.errors import InputError
from tomolith.learn.backends import build_backend
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.ensemble import join_models
from tomolith.learn.networks import NETWORKS
from tomolith.learn.predict import predict
from tomolith.learn.uncertainty import build_predictor, choose_masks, with_fixed_dropout

SHAPE = (3, 70, 90)
N = len(SCHEMA)


def labels_of(scan, name):
    return scan.labels(name).read(scan.grid.box)


def shares_of(channels):
    return np.exp(channels[:, :N]) / np.exp(channels[:, :N]).sum(axis=1, keepdims=True)


def noise(n=4, side=32, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 1, side, side)).astype(np.float32)


def dropping(p=0.5, network="unet"):
    """Return a bundle whose network has dropout, with the weights of one that has none."""
    bundle = small_bundle(network)
    options = {**bundle.network.options, "dropout": p}
    return replace(bundle, network=Component(name=network, options=options))


def pointwise():
    """Return a network that sees single pixels, and so no flip."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 1), nn.ReLU(), nn.Conv2d(8, N, 1)).eval()


def run(network, batch, **changes):
    settings = small_settings(precision="fp32", **changes)
    return build_predictor(network, batch.shape, settings).logits(batch)


def test_flips_of_a_symmetric_network_change_nothing():
    batch, network = noise(), pointwise()
    found = run(network, batch, flips=True, mutual_information=True)
    plain = run(network, batch)
    np.testing.assert_allclose(shares_of(found), shares_of(plain), atol=1e-5)
    assert abs(found[:, N]).max() < 1e-5


def test_flips_are_the_mean_of_four_predictions():
    batch, network = noise(), small_bundle().build_network()
    backend = build_backend(network, batch.shape, small_settings(precision="fp32"))
    each = []
    for axes in ((), (2,), (3,), (2, 3)):
        logits = backend.logits(np.ascontiguousarray(np.flip(batch, axes)))
        each.append(shares_of(np.flip(logits, axes)))
    found = run(network, batch, flips=True, mutual_information=True)
    np.testing.assert_allclose(shares_of(found), np.mean(each, axis=0), atol=1e-5)

    def entropy(p):
        return -(p * np.log(p)).sum(axis=1)

    gain = entropy(np.mean(each, axis=0)) - np.mean([entropy(p) for p in each], axis=0)
    np.testing.assert_allclose(found[:, N], gain / np.log(N), atol=1e-5)
    assert found[:, N].max() > 1e-4


def test_flipping_the_image_flips_what_flips_predict():
    batch, network = noise(), small_bundle().build_network()
    found = run(network, batch, flips=True)
    mirrored = run(network, np.ascontiguousarray(batch[..., ::-1]), flips=True)
    np.testing.assert_allclose(mirrored[..., ::-1], found, atol=1e-5)


def test_identical_members_have_no_mutual_information_and_different_ones_do():
    batch, member = noise(), small_bundle()
    same = join_models([member, member], [1, 3]).build_network()
    other = join_models([member, small_bundle(seed=1)], [1, 3]).build_network()
    assert abs(run(same, batch, mutual_information=True)[:, N]).max() < 1e-5
    found = run(other, batch, mutual_information=True)
    assert found[:, N].max() > 1e-3
    with torch.inference_mode():
        expected = other(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(found[:, :N], expected, atol=1e-4)


def test_mutual_information_is_all_where_sure_members_contradict_each_other():
    """Two members, each sure of another of three classes: log 2 of log 3."""
    networks = []
    for sure in (0, 1):
        conv = nn.Conv2d(1, N, 1)
        nn.init.zeros_(conv.weight)
        with torch.no_grad():
            conv.bias.copy_(torch.eye(N)[sure] * 60)
        networks.append(conv)
    ensemble = NETWORKS.build(
        Component(
            name="ensemble",
            options={"members": [{"name": "unet", "depth": 1}] * 2, "weights": [1, 1]},
        ),
        1,
        N,
    )
    ensemble.members = nn.ModuleList(networks)
    found = run(ensemble.eval(), noise(), mutual_information=True)
    np.testing.assert_allclose(found[:, N], np.log(2) / np.log(N), atol=1e-5)


def test_a_mask_is_the_same_for_all_of_a_batch_and_another_for_each_pass():
    network = with_fixed_dropout(dropping().build_network()).eval()
    image = torch.from_numpy(noise(1)).expand(3, -1, -1, -1)
    with torch.inference_mode():
        first = network(image)
        choose_masks(network, 1)
        second = network(image)
        choose_masks(network, 0)
        again = network(image)
    assert torch.equal(first, again)
    torch.testing.assert_close(first[0], first[2])
    assert not torch.allclose(first, second, atol=1e-3)


def test_fixed_masks_drop_as_many_as_dropout_does():
    layer = with_fixed_dropout(nn.Sequential(nn.Dropout(0.3)))[0]
    given = torch.ones(1, 100, 100)
    kept = layer(given)
    assert float((kept == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)
    channels = with_fixed_dropout(nn.Sequential(nn.Dropout2d(0.5)))[0](torch.ones(1, 64, 4, 4))
    assert set(channels.mean(dim=(0, 2, 3)).tolist()) == {0.0, 2.0}


def test_dropout_gives_mutual_information():
    found = run(dropping().build_network(), noise(), mc_dropout=8, mutual_information=True)
    assert found[:, N].max() > 1e-3
    np.testing.assert_allclose(np.exp(found[:, :N]).sum(axis=1), 1, atol=1e-5)


def test_a_network_without_dropout_and_one_that_cannot_disagree_are_refused():
    network = small_bundle().build_network()
    with pytest.raises(InputError, match="no dropout"):
        run(network, noise(), mc_dropout=4)
    with pytest.raises(InputError, match="nothing that could disagree"):
        run(network, noise(), mutual_information=True)
    with pytest.raises(ValidationError, match="PyTorch"):
        small_settings(mc_dropout=4, backend="openvino")


def passing(name="mcd_unet", **options):
    torch.manual_seed(0)
    component = Component(name=name, options={"channels": 4, "passes": 3, **options})
    network = NETWORKS.build(component, 1, N).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_var.fill_(0.15)  # so that what is dropped reaches the logits
    return network


@pytest.mark.parametrize("name", ["mcd_unet", "matphase"])
def test_stored_passes_disagree_without_any_other_setting(name):
    network, batch = passing(name), noise(2)
    found = run(network, batch, mutual_information=True)
    assert found[:, N].max() > 1e-3
    with torch.inference_mode():
        each = [part.numpy() for part in network.of_members(torch.from_numpy(batch))]
        plain = network(torch.from_numpy(batch)).numpy()
    assert len(each) == 3
    assert abs(each[0] - each[1]).max() > 1e-3
    mean = np.mean([shares_of(part) for part in each], axis=0)
    np.testing.assert_allclose(shares_of(found), mean, atol=1e-4)
    if name == "mcd_unet":  # its labels stay as they are
        np.testing.assert_allclose(mean, shares_of(plain), atol=1e-4)


def test_hints_do_not_lead_from_one_error_to_the_other():
    batch = noise(1)
    with pytest.raises(InputError, match="are fixed") as caught:
        run(passing(), batch, mc_dropout=3)
    assert "leave it out; 'mutual_information'" in caught.value.mend
    run(passing(), batch, mutual_information=True)  # what that says
    local = passing("matphase", parts="lcgar+idk")
    for network in (passing(dropout=0.0), passing(passes=1), local):
        with pytest.raises(InputError, match="nothing that could disagree"):
            run(network, batch, mutual_information=True)
    with pytest.raises(InputError, match="no dropout"):
        run(passing(dropout=0.0), batch, mc_dropout=3)


def test_the_second_look_of_matphase_draws_masks_beside_its_passes():
    found = run(passing("matphase"), noise(1), mc_dropout=2, mutual_information=True)
    assert found.shape[1] == N + 1
    assert found[:, N].max() > 1e-3


SAMPLED = [
    {"flips": True},
    {"mc_dropout": 3, "batch_size": 3},
    {"mc_dropout": 2, "flips": True, "precision": "bf16"},
]


@pytest.mark.parametrize(
    ("network", "changes"), zip(("unet", "transforcnn", "unet"), SAMPLED, strict=True)
)
def test_no_block_layout_shows(tmp_path, network, changes):
    scan, bundle = small_scan(tmp_path, SHAPE), dropping(0.2, network)
    extras = {"probabilities": True, "entropy": True, "mutual_information": True}
    predict(scan, bundle, small_settings(**extras, **changes), name="whole")
    blocks = small_settings(
        **extras, **changes, block_zyx=(2, 32, 64), executor="threads", workers=2
    )
    predict(scan, bundle, blocks, name="blocks")
    assert np.array_equal(labels_of(scan, "whole"), labels_of(scan, "blocks"))
    for kind in extras:
        found = [scan.extra(f"{kind}/{name}")[...] for name in ("whole", "blocks")]
        assert np.array_equal(*found), kind
    assert scan.extra("mutual_information/whole")[...].max() > 0


def test_an_ensemble_is_predicted_like_any_model(tmp_path):
    scan = small_scan(tmp_path, SHAPE)
    bundle = join_models([small_bundle(), small_bundle("transforcnn")], [0.2, 0.8])
    bundle.save(tmp_path / "enet")
    extras = {"mutual_information": True, "entropy": True}
    predict(scan, ModelBundle.load(tmp_path / "enet"), small_settings(**extras), name="whole")
    blocks = small_settings(**extras, block_zyx=(2, 32, 64))
    predict(scan, bundle, blocks, name="blocks")
    assert np.array_equal(labels_of(scan, "whole"), labels_of(scan, "blocks"))
    predict(scan, bundle, small_settings(), name="plain")  # members not told apart
    assert (labels_of(scan, "plain") == labels_of(scan, "whole")).mean() > 0.999


def test_openvino_computes_the_same_ensemble(tmp_path):
    pytest.importorskip("openvino")
    scan = small_scan(tmp_path, SHAPE)
    bundle = join_models([small_bundle(), small_bundle("transforcnn")], [0.2, 0.8])
    chosen = {"precision": "fp32", "flips": True, "mutual_information": True}
    predict(scan, bundle, small_settings(**chosen), name="torch")
    predict(scan, bundle, small_settings(**chosen, backend="openvino"), name="openvino")
    assert (labels_of(scan, "torch") == labels_of(scan, "openvino")).mean() > 0.999


def test_older_mutual_information_goes_with_its_labels(tmp_path):
    scan, bundle = small_scan(tmp_path, SHAPE), small_bundle()
    predict(scan, bundle, small_settings(flips=True, mutual_information=True))
    predict(scan, bundle, small_settings(flips=True))
    assert not (scan.path / "mutual_information" / "prediction").exists()
