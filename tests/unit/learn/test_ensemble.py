from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from predict_helpers import small_bundle
from tomolith.config import Component
from tomolith.core import Normalisation
from tomolith.errors import InputError, MismatchError
from tomolith.label.splits import SliceRange, Split
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.ensemble import ensemble, join_models
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train
from tomolith.learn.validation import choose_slices
from tomolith.learn.weight_search import search_weights, simplex_grid

SPLIT = Split((SliceRange("a", 0, 3),), (SliceRange("a", 3, 6),))


def logits(bundle, image):
    with torch.inference_mode():
        return bundle.build_network()(image)


def image(n=2, side=64):
    return torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(0))


def test_probabilities_are_the_weighted_mean_of_the_members():
    members = [small_bundle(), small_bundle("transforcnn")]
    joined = join_models(members, [0.2, 0.8])
    shares = [logits(m, image()).softmax(dim=1) for m in members]
    found = logits(joined, image()).exp()
    torch.testing.assert_close(found, 0.2 * shares[0] + 0.8 * shares[1])


def test_a_member_with_deep_supervision_counts_by_its_top_level_in_training():
    deep = {"name": "dynunet", "channels": [4, 8, 8], "heads": 1}
    plain = {"name": "unet", "channels": 2, "depth": 2}
    options = {"members": [deep, plain], "weights": [1, 1]}
    net = NETWORKS.build(Component(name="ensemble", options=options), 1, 3).train()
    shares = net(torch.randn(2, 1, 32, 32)).exp()
    assert shares.shape == (2, 3, 32, 32)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 32, 32))


def test_equal_members_are_the_member():
    member = small_bundle()
    joined = join_models([member, member, member], [1, 2, 3])
    shares = logits(member, image()).softmax(dim=1)
    torch.testing.assert_close(logits(joined, image()).exp(), shares)


def test_logits_of_members_that_are_sure_stay_finite():
    members = [small_bundle(), small_bundle(seed=1)]
    joined = join_models(members, [0.5, 0.5]).build_network()
    with torch.no_grad():
        for member in joined.members:
            member.head.bias.copy_(torch.tensor([0.0, 500.0, 0.0]))
        found = joined(image())
    assert bool(found.isfinite().all())
    torch.testing.assert_close(found[:, 1], torch.zeros(2, 64, 64))


def test_a_member_without_weight_is_left_out():
    members = [small_bundle(), small_bundle("transforcnn")]
    joined = join_models(members, [0.0, 2.0])
    assert [m["name"] for m in joined.network.options["members"]] == ["transforcnn"]
    expected = logits(members[1], image()).softmax(dim=1)
    torch.testing.assert_close(logits(joined, image()).exp(), expected)


def test_an_ensemble_is_stored_and_read_like_any_model(tmp_path):
    joined = join_models([small_bundle(), small_bundle(seed=1)], [0.5, 0.5])
    joined.save(tmp_path)
    loaded = ModelBundle.load(tmp_path)
    assert torch.equal(logits(loaded, image()), logits(joined, image()))
    assert loaded.provenance.inputs == joined.provenance.inputs
    nested = join_models([loaded, small_bundle(seed=2)], [0.5, 0.5])
    assert logits(nested, image()).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"patch_px": 64}, "patch_px: 32, and 64"),
        ({"normalisation": Normalisation("zscore")}, "zscore"),
        ({"voxel_size_um": (1.0, 1.0, 1.0)}, "voxel size: unknown, and 1 × 1 × 1 µm"),
        ({"sections": True}, "sections"),
    ],
)
def test_members_of_different_kinds_are_refused(changes, word):
    with pytest.raises(MismatchError) as caught:
        join_models([small_bundle(), replace(small_bundle(), **changes)], [1, 1])
    assert word in str(caught.value)


def test_weights_that_do_not_fit_are_refused():
    for weights in ([1.0], [0.0, 0.0], [-1.0, 2.0]):
        with pytest.raises(InputError, match="weights"):
            join_models([small_bundle(), small_bundle()], weights)
    for wrong in (
        {"weights": [1.0]},
        {"weights": [0, 0]},
        {"weights": [0.5, float("nan")]},
        {"members": ["a", "b", "c"]},
        {"members": ["a", "a"]},
        {"members": ["a"]},
        {"weights": [0.5, 0.5], "search": "miou"},
    ):
        with pytest.raises(ValidationError):
            EnsembleSettings(**wrong)


@pytest.mark.parametrize(("n", "parts", "count"), [(2, 20, 21), (3, 10, 66), (4, 5, 56)])
def test_the_grid_holds_every_weight_once(n, parts, count):
    found = list(simplex_grid(n, parts))
    assert len(set(found)) == len(found) == count
    np.testing.assert_allclose(np.sum(found, axis=1), 1, atol=1e-5)


def noisy_members(right, seed=0, n_pixels=4000):
    """Return log-probabilities of members that say the truth with the odds of ``right``."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (1, n_pixels))
    hot = np.moveaxis(np.eye(3)[truth], -1, 0)
    noise = rng.normal(size=(len(right), *hot.shape))
    scores = np.array(right)[:, None, None, None] * hot + noise
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.log(shares).astype(np.float32), truth


@pytest.mark.parametrize("goal", ["miou", "mdsc"])
@pytest.mark.parametrize("right", [(0.1, 2.0), (1.5, 0.0, 2.0), (1.0, 0.0, 0.0, 1.0)])
def test_the_search_finds_what_trying_all_finds(goal, right):
    log_shares, truth = noisy_members(right)

    def score(weights):
        mixed = np.tensordot(weights, np.exp(log_shares), axes=1).argmax(axis=0)
        hits = [((mixed == c) & (truth == c)).sum() for c in range(3)]
        sizes = [(mixed == c).sum() + (truth == c).sum() for c in range(3)]
        if goal == "mdsc":
            return np.mean([2 * h / s for h, s in zip(hits, sizes, strict=True)])
        return np.mean([h / (s - h) for h, s in zip(hits, sizes, strict=True)])

    found = search_weights(lambda: iter([(log_shares, truth)]), len(right), goal=goal, n_slices=1)
    assert sum(found.weights) == pytest.approx(1)
    assert found.score == pytest.approx(score(found.weights))
    best = max(score(w) for w in simplex_grid(len(right), 10))
    assert found.score >= best - 0.003
    useless = [w for w, odds in zip(found.weights, right, strict=True) if odds == 0]
    assert all(w <= 0.2 for w in useless)


def test_the_search_streams_slices_and_skips_what_is_unlabelled():
    log_shares, truth = noisy_members((0.5, 1.5))
    whole = search_weights(lambda: iter([(log_shares, truth)]), 2, goal="miou", n_slices=1)
    halves = [(log_shares[..., i : i + 2000], truth[:, i : i + 2000]) for i in (0, 2000)]
    hidden = (log_shares[:, ::-1], np.full_like(truth, -1))
    parts = search_weights(lambda: iter([*halves, hidden]), 2, goal="miou", n_slices=3)
    assert parts == whole


def test_of_equal_scores_the_even_weights_win():
    log_shares, truth = noisy_members((2.0,))
    twice = np.concatenate([log_shares, log_shares])
    found = search_weights(lambda: iter([(twice, truth)]), 2, goal="miou", n_slices=1)
    assert found.weights == (0.5, 0.5)


@pytest.fixture(scope="module")
def trained(blob_example, tmp_path_factory):
    """Two small networks, one of them hardly trained, on the same slices."""
    example = blob_example()
    found = []
    for epochs, rate in ((1, 1e-6), (3, 1e-2)):
        settings = TrainSettings(
            network=Component(name="unet", options={"channels": 4, "depth": 2}),
            epochs=epochs,
            patch_px=32,
            patches_per_epoch=128,
            batch=4,
            average_steps=0,
            learning_rate=rate,
            augment="none",
            threads=1,
            device="cpu",
        )
        folder = tmp_path_factory.mktemp("model")
        found.append(train([example], settings, folder, schema=example.labels.schema))
    return example, found


def test_the_searched_ensemble_is_no_worse_than_its_members(trained, tmp_path):
    example, results = trained
    members = [r.bundle for r in results]
    settings = EnsembleSettings(members=["a", "b"], search="miou", threads=1, device="cpu")
    splits = [r.split for r in results]
    made = ensemble(members, settings, tmp_path, examples=[example], splits=splits)
    assert made.search is not None
    assert made.weights[1] > made.weights[0]  # the one that learned something
    best = max(m.scores["validation_iou"] for m in members)
    assert made.bundle.scores["validation_iou"] >= best - 0.01
    assert made.bundle.temperature != 1.0
    assert ModelBundle.load(tmp_path).temperature == made.bundle.temperature
    assert (tmp_path / "split.json").is_file()
    again = ensemble(members, settings, tmp_path / "2", examples=[example], splits=splits)
    assert again.weights == made.weights
    assert again.bundle.temperature == made.bundle.temperature


def test_without_slices_the_temperature_is_the_mean_of_the_members():
    sharp, blunt = (replace(small_bundle(), temperature=value) for value in (0.5, 1.5))
    assert join_models([sharp, blunt], [1, 3]).temperature == pytest.approx(1.25)
    of_planes = [sharp, replace(blunt, plane="xz")]
    assert join_models(of_planes, [1, 1]).temperature == pytest.approx(1.0)


def test_as_many_slices_are_searched_as_members_were_validated_on(trained, tmp_path, monkeypatch):
    example, results = trained
    settings = EnsembleSettings(members=["a", "b"], search="miou", threads=1, device="cpu")
    chosen = []

    def watched(places, examples, *, most_px):
        chosen.append(most_px)
        return choose_slices(places, examples, most_px=most_px)

    monkeypatch.setattr("tomolith.learn.ensemble.choose_slices", watched)
    members = [
        replace(r.bundle, settings=r.bundle.settings.model_copy(update={"validation_pixels": px}))
        for r, px in zip(results, (1000, 2000), strict=True)
    ]
    splits = [r.split for r in results]
    ensemble(members, settings, tmp_path, examples=[example], splits=splits)
    assert chosen == [2000]


def test_given_weights_need_no_slices(tmp_path):
    settings = EnsembleSettings(members=["a", "b"], weights=[1, 3])
    made = ensemble([small_bundle(), small_bundle(seed=1)], settings, tmp_path)
    assert made.weights == (0.25, 0.75)
    assert ModelBundle.load(tmp_path).scores == {}


def test_a_search_without_slices_or_with_other_slices_is_refused(trained, tmp_path):
    example, results = trained
    members = [r.bundle for r in results]
    settings = EnsembleSettings(members=["a", "b"], search="mdsc")
    with pytest.raises(InputError, match="no validation slices"):
        ensemble(members, settings, tmp_path)
    with pytest.raises(MismatchError, match="'b' was trained"):
        ensemble(members, settings, tmp_path, examples=[example], splits=[results[0].split, SPLIT])
    assert not list(tmp_path.iterdir())
