"""The Otsu baseline: ranges, classes, grey scales, blocks, bad input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, ClassSchema, Grid, LabelMap, Volume
from tomolith.errors import InputError, MismatchError
from tomolith.learn.classical import OtsuBaseline, OtsuThresholds
from tomolith.learn.classical.otsu import otsu_thresholds

SCHEMA = PRESETS["cathode-3phase"]
GREY_OF = {0: 200.0, 1: 120.0, 2: 40.0}  # nmc bright, pore dark


@dataclass
class Slices:
    image: Volume
    labels: LabelMap
    boxes: tuple[Box, ...]


def truth_of(seed: int, shape: tuple[int, int, int] = (4, 40, 50)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 3, (shape[0], shape[1] // 5, shape[2] // 5))
    return coarse.repeat(5, axis=1).repeat(5, axis=2).astype(np.uint8)


def image_of(truth: np.ndarray, *, noise: float = 8.0, dtype: str = "float32") -> np.ndarray:
    grey = np.vectorize(GREY_OF.get)(truth) + np.random.default_rng(9).normal(0, noise, truth.shape)
    return grey.clip(0, 255).astype(dtype)


def example(
    truth: np.ndarray, image: np.ndarray, schema: ClassSchema = SCHEMA, sections: bool = False
) -> Slices:
    grid = Grid(truth.shape, None, sections=sections)
    return Slices(Volume(image, grid), LabelMap(Volume(truth, grid), schema), (grid.box,))


def predict(otsu: OtsuBaseline, volume: Volume, block: tuple[int, int, int] = (9, 99, 99)):
    out = np.full(volume.grid.shape_zyx, 77, np.uint8)
    otsu.predict(volume, out, block_zyx=block)
    return out


def test_separable_classes_follow_the_order_of_grey() -> None:
    truth = truth_of(0)
    e = example(truth, image_of(truth))
    otsu = OtsuBaseline.fit([e])
    assert otsu.class_of_range == ("pore", "carbon-binder", "nmc")
    assert (predict(otsu, e.image) == truth).mean() > 0.999


def test_another_grey_scale_and_type_give_the_same_labels() -> None:
    truth = truth_of(1)
    image = image_of(truth, dtype="uint8")
    otsu = OtsuBaseline.fit([example(truth, image)])
    for other in (image.astype("uint16") * 200 + 3000, image.astype(">f4") * 1e-4 - 7):
        volume = Volume(other, Grid(truth.shape, None))
        assert (predict(otsu, volume) == truth).mean() > 0.999


def test_classes_of_one_grey_share_a_range() -> None:
    truth = truth_of(2)
    image = np.where(truth == 0, 200.0, 50.0) + np.random.default_rng(0).normal(0, 5, truth.shape)
    truth[(truth == 2) & (np.random.default_rng(1).random(truth.shape) < 0.9)] = 1
    otsu = OtsuBaseline.fit([example(truth, image)])
    assert set(otsu.class_of_range) == {"carbon-binder", "nmc"}
    assert otsu.class_of_range[-1] == "nmc"


def test_unlabelled_voxels_teach_nothing() -> None:
    truth = truth_of(3)
    sparse = np.where(np.random.default_rng(0).random(truth.shape) < 0.05, truth, 255)
    e = example(sparse.astype(np.uint8), image_of(truth))
    assert (predict(OtsuBaseline.fit([e]), e.image) == truth).mean() > 0.999
    with pytest.raises(InputError, match="no labelled voxel"):
        OtsuBaseline.fit([example(np.full_like(truth, 255), image_of(truth))])


def test_only_the_boxes_given_are_learnt_from() -> None:
    truth = truth_of(4)
    image = image_of(truth)
    wrong = truth.copy()
    wrong[2:] = (wrong[2:] + 1) % 3
    e = example(wrong, image)
    e.boxes = (Box((0, 0, 0), (2, 40, 50)),)
    assert OtsuBaseline.fit([e]).class_of_range == ("pore", "carbon-binder", "nmc")


def test_sections_have_thresholds_of_their_own() -> None:
    truth = truth_of(5)
    image = image_of(truth) * np.array([1, 10, 0.1, 300])[:, None, None]
    e = example(truth, image, sections=True)
    otsu = OtsuBaseline.fit([e])
    assert otsu.thresholds(e.image).grey.shape == (4, 2)
    assert (predict(otsu, e.image, (1, 99, 99)) == truth).mean() > 0.999


def test_thresholds_of_sections_depend_neither_on_the_others_nor_on_how_they_are_read(
    monkeypatch,
) -> None:
    truth = truth_of(6)
    e = example(truth, image_of(truth), sections=True)
    otsu = OtsuBaseline.fit([e], median_px=3)
    all_of_them = otsu.thresholds(e.image).grey
    for z in range(len(truth)):
        np.testing.assert_array_equal(otsu.thresholds(e.image, section=z).grey, all_of_them[[z]])
    monkeypatch.setattr("tomolith.learn.classical.otsu._N_READ", 1)
    np.testing.assert_array_equal(otsu.thresholds(e.image).grey, all_of_them)
    assert OtsuBaseline.fit([e], median_px=3) == otsu


def test_only_sections_that_train_are_looked_at() -> None:
    truth = truth_of(7)
    image = image_of(truth)
    image[-1] = np.nan  # no threshold could be found here
    e = example(truth, image, sections=True)
    e.boxes = (Box((0, 0, 0), (3, *truth.shape[1:])),)
    assert OtsuBaseline.fit([e]).class_of_range == ("pore", "carbon-binder", "nmc")


@pytest.mark.parametrize("median_px", [1, 5])
def test_blocks_change_no_label(median_px: int) -> None:
    truth = truth_of(6)
    e = example(truth, image_of(truth, noise=60))
    otsu = OtsuBaseline.fit([e], median_px=median_px)
    whole = predict(otsu, e.image)
    np.testing.assert_array_equal(predict(otsu, e.image, (3, 7, 11)), whole)


def test_median_filter_helps_against_noise() -> None:
    truth = truth_of(7)
    e = example(truth, image_of(truth, noise=60))
    plain, filtered = (OtsuBaseline.fit([e], median_px=n) for n in (1, 3))
    right = [(predict(o, e.image) == truth).mean() for o in (plain, filtered)]
    assert right[1] > right[0] + 0.05


def test_not_finite_values_become_unlabelled() -> None:
    truth = truth_of(8)
    image = image_of(truth)
    image[0, 0, :3] = np.nan, np.inf, -np.inf
    e = example(truth, image)
    found = predict(OtsuBaseline.fit([e]), e.image)
    assert found[0, 0, :3].tolist() == [255] * 3
    assert (found[1:] == truth[1:]).mean() > 0.999


def test_invalid_voxels_become_unlabelled() -> None:
    truth = truth_of(8)
    e = example(truth, image_of(truth))
    otsu, out = OtsuBaseline.fit([e]), np.full(truth.shape, 77, np.uint8)
    invalid = np.zeros(truth.shape, np.uint8)
    invalid[1, 3, 2:9] = 1
    otsu.predict(e.image, out, block_zyx=(3, 7, 11), invalid=invalid)
    assert (out[invalid == 1] == 255).all()
    assert (out[invalid == 0] != 255).all()


def test_few_grey_values_and_constant_images() -> None:
    assert otsu_thresholds(np.array([3.0, 3.0, 8.0]), 2).tolist() == [5.5]
    assert otsu_thresholds(np.full(9, 4.0), 3).tolist() == [np.inf, np.inf]
    assert otsu_thresholds(np.full(9, 4.0), 1).size == 0
    steep = np.concatenate([np.zeros(5000), np.linspace(0.999, 1.0, 5000)])
    assert len(otsu_thresholds(steep, 5)) == 4
    labels = OtsuBaseline(SCHEMA, ("pore", "nmc")).predict_block(
        np.array([[[1, 9]]]), OtsuThresholds(np.array([[9.0]]))
    )
    assert labels.tolist() == [[[2, 0]]]


def test_bad_input_is_refused() -> None:
    truth = truth_of(9)
    good = example(truth, image_of(truth))
    with pytest.raises(InputError, match="odd number"):
        OtsuBaseline.fit([good], median_px=2)
    with pytest.raises(InputError, match="no training slices"):
        OtsuBaseline.fit([])
    with pytest.raises(MismatchError, match="classes background, lithium"):
        OtsuBaseline.fit([good, example(truth % 2, image_of(truth), PRESETS["li-binary"])])
    small = Grid((1, 2, 2), None)
    odd = Slices(Volume(np.zeros((1, 2, 2)), small), good.labels, good.boxes)
    with pytest.raises(MismatchError, match="shape of the image"):
        OtsuBaseline.fit([odd])
    with pytest.raises(InputError, match="no finite value"):
        otsu_thresholds(np.empty(0), 2)
    with pytest.raises(InputError, match="at most 10"):
        otsu_thresholds(np.arange(50.0), 11)


def test_two_ranges_at_most_is_otsus_own_method():
    truth = np.repeat(np.array([2, 1, 0], np.uint8), 40)[None, None].repeat(8, axis=1)
    image = np.array([20, 60, 100], np.uint8)[2 - truth]
    otsu = OtsuBaseline.fit([example(truth, image)], max_ranges=2)
    assert len(otsu.class_of_range) == 2
    assert otsu.thresholds(Volume(image, Grid(image.shape, None))).grey.shape == (1, 1)
