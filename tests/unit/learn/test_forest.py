"""The random forest: texture, sampling, grey scales, bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import ndimage

from tomolith.config import parse_settings
from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError, MismatchError, RecipeError
from tomolith.learn.classical import Forest, ForestSettings, OtsuBaseline, fit_forest
from tomolith.learn.classical.forest import _draw

SCHEMA = PRESETS["cathode-3phase"]
SMALL = ForestSettings(n_trees=20, max_pixels=10_000)


def truth_of(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 3, (3, 4))
    return coarse.repeat(40, axis=0).repeat(40, axis=1).astype(np.uint8)


def image_of(truth: np.ndarray, seed: int) -> np.ndarray:
    """Fine, medium and coarse grain with one histogram: no threshold can tell them apart."""
    rng = np.random.default_rng(1000 + seed)
    grains = [ndimage.gaussian_filter(rng.standard_normal(truth.shape), s) for s in (0, 2, 8)]
    ranks = [np.argsort(np.argsort(g.ravel())).reshape(g.shape) / g.size for g in grains]
    return np.choose(truth, ranks).astype(np.float32)


def fitted(settings: ForestSettings = SMALL) -> Forest:
    truths = [truth_of(seed) for seed in range(3)]
    images = [image_of(truth, seed) for seed, truth in enumerate(truths)]
    return fit_forest(images, truths, schema=SCHEMA, settings=settings)


class Slices:
    def __init__(self, image: np.ndarray, truth: np.ndarray) -> None:
        grid = Grid((1, *truth.shape), None)
        self.image, self.boxes = Volume(image[None], grid), (grid.box,)
        self.labels = LabelMap(Volume(truth[None], grid), SCHEMA)


def test_texture_is_told_apart_where_otsu_fails() -> None:
    truth = truth_of(7)
    image = image_of(truth, 7)
    found = fitted().predict(image)
    assert found.dtype == np.uint8
    assert (found == truth).mean() > 0.8
    example = Slices(image, truth)
    otsu = OtsuBaseline.fit([example])  # may even learn from the very slice
    by_grey = otsu.predict_box(example.image, example.boxes[0], otsu.thresholds(example.image))
    assert (by_grey[0] == truth).mean() < 0.5


def test_only_labelled_pixels_of_the_slices_given_teach() -> None:
    truth, other = truth_of(0), truth_of(1)
    image = image_of(truth, 0)
    sparse = np.where(np.random.default_rng(0).random(truth.shape) < 0.2, truth, 255)
    sparse = sparse.astype(np.uint8)
    forest = fit_forest([image], [sparse], schema=SCHEMA, settings=SMALL)
    # an image without labels changes nothing
    empty = np.full_like(other, 255)
    beside = fit_forest([image_of(other, 1), image], [empty, sparse], schema=SCHEMA, settings=SMALL)
    test = image_of(truth_of(5), 5)
    assert np.array_equal(forest.predict(test), beside.predict(test))
    assert (forest.predict(test) == truth_of(5)).mean() > 0.6


def test_a_class_that_no_training_slice_shows_is_never_predicted() -> None:
    truth = truth_of(2)
    labels = np.where(truth == 1, 255, truth).astype(np.uint8)
    forest = fit_forest([image_of(truth, 2)], [labels], schema=SCHEMA, settings=SMALL)
    assert set(np.unique(forest.predict(image_of(truth, 2)))) == {0, 2}


def test_pixels_are_drawn_alike_from_all_classes_and_no_more_than_asked() -> None:
    labels = [np.zeros((60, 60), np.uint8), np.full((40, 50), 255, np.uint8)]
    labels[0][:20] = 1
    labels[1][0, :30] = 2
    images = [np.zeros(part.shape) for part in labels]
    settings = ForestSettings(max_pixels=900)
    places = _draw(images, labels, SCHEMA, settings)
    drawn = [part.ravel()[chosen] for part, chosen in zip(labels, places, strict=True)]
    n_of_class = np.bincount(np.concatenate(drawn), minlength=256)
    assert n_of_class[:3].tolist() == [300, 300, 30]
    assert n_of_class[3:].sum() == 0
    assert all(np.unique(chosen).size == chosen.size for chosen in places)
    again = _draw(images, labels, SCHEMA, settings)
    assert all(np.array_equal(a, b) for a, b in zip(places, again, strict=True))
    other = _draw(images, labels, SCHEMA, ForestSettings(max_pixels=900, seed=1))
    assert not np.array_equal(places[0], other[0])


def test_equal_seeds_give_equal_forests() -> None:
    test = image_of(truth_of(8), 8)
    first, again = (
        fitted(ForestSettings(n_trees=5, max_pixels=5000)).predict(test) for _ in range(2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(
        first, fitted(ForestSettings(n_trees=5, max_pixels=5000, seed=1)).predict(test)
    )


def test_a_rare_class_counts_as_much_as_a_common_one() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((80, 80), np.uint8)
    truth[10:14, 10:70] = 1
    images = [truth + rng.normal(0, 0.8, truth.shape) for _ in range(2)]
    settings = ForestSettings(n_trees=30, max_depth=5)
    forest = fit_forest(images[:1], [truth], schema=SCHEMA, settings=settings)
    assert (forest.predict(images[1]) == 1)[truth == 1].mean() > 0.85


def test_not_finite_pixels_spoil_nothing_else() -> None:
    truth = truth_of(9)
    image = image_of(truth, 9)
    image[40, 50:53] = np.nan, np.inf, -np.inf
    found = fitted().predict(image)
    assert found[40, 50:53].tolist() == [255] * 3
    assert np.count_nonzero(found == 255) == 3
    assert (found == truth).mean() > 0.8
    taught = fit_forest([image], [truth], schema=SCHEMA, settings=SMALL)
    assert (taught.predict(image) == truth).mean() > 0.95
    assert (taught.predict(np.full((9, 9), np.nan)) == 255).all()


def test_any_grey_scale_will_do_if_it_is_the_same_for_all() -> None:
    truths = [truth_of(0), truth_of(7)]
    images = [
        (image_of(t, s) * 60_000).astype(np.uint16) for t, s in zip(truths, (0, 7), strict=True)
    ]
    forest = fit_forest(images[:1], truths[:1], schema=SCHEMA, settings=SMALL)
    assert (forest.predict(images[1]) == truths[1]).mean() > 0.7


def test_a_forest_is_not_pickled() -> None:
    with pytest.raises(InputError, match="cannot be pickled"):
        pickle.dumps(fitted(ForestSettings(n_trees=1)))


def test_bad_input_is_refused() -> None:
    truth = truth_of(0)
    image = image_of(truth, 0)

    def fit(images: list[np.ndarray], labels: list[np.ndarray]) -> Forest:
        return fit_forest(images, labels, schema=SCHEMA, settings=SMALL)

    for images, labels in (([], []), ([image], [np.full_like(truth, 255)])):
        with pytest.raises(InputError, match="no labelled pixel"):
            fit(images, labels)
    with pytest.raises(MismatchError, match="1 labelled slices"):
        fit([image, image], [truth])
    with pytest.raises(MismatchError, match="training slice 1"):
        fit([image, image[1:]], [truth, truth])
    with pytest.raises(MismatchError, match="value 9"):
        fit([image], [truth + 9])
    with pytest.raises(InputError, match="two axes"):
        fit([image[None]], [truth[None]])
    with pytest.raises(InputError, match="two axes"):
        fitted(ForestSettings(n_trees=1)).predict(image[None])
    with pytest.raises(RecipeError, match="sigma_max"):
        parse_settings(ForestSettings, {"sigma_max": 0.5}, where="test")


def test_the_votes_are_those_of_the_label_and_sum_to_one():
    """Values of the schema need not be channel numbers, and a class may have no vote."""
    schema = PRESETS["cathode-3phase"]
    rng = np.random.default_rng(0)
    truth = np.full((48, 48), schema["pore"].value, np.uint8)
    truth[:, 24:] = schema["nmc"].value
    image = truth / 4 + rng.normal(0, 0.3, truth.shape)
    settings = ForestSettings(n_trees=8, sigma_max=2)
    forest = fit_forest([image], [truth], schema=schema, settings=settings)
    other = truth / 4 + rng.normal(0, 0.3, truth.shape)
    other[3, 5] = np.nan
    labels, shares = forest.judge(other)
    np.testing.assert_array_equal(labels, forest.predict(other))
    known = labels != schema.unlabelled
    assert (~known).any()
    assert not shares[:, ~known].any()
    assert not shares[list(schema.names).index("carbon-binder")].any()
    np.testing.assert_allclose(shares.astype(int).sum(0)[known], 255, atol=2)
    assert 0.5 < shares.max(0)[known].mean() / 255 < 1
    first, second = np.sort(shares, axis=0)[[-1, -2]]
    clear = known & (first > second)
    values = np.array(schema.values)
    np.testing.assert_array_equal(values[shares.argmax(0)][clear], labels[clear])
