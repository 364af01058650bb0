import imagecodecs
import numpy as np
import pytest
import tifffile

from tomolith.core import PRESETS, Box, ClassSchema, Grid, Volume
from tomolith.errors import InputError, MismatchError, ReadError, RecipeError
from tomolith.label import annotations
from tomolith.label.annotations import read_labels

SCHEMA = PRESETS["cathode-3phase"]
SHAPE = (3, 4, 5)


def image_of(shape=SHAPE, *, sections=False):
    return Volume(np.zeros(shape, np.uint16), Grid(shape, (1.0, 1.0, 1.0), sections=sections))


def save(folder, labels):
    np.save(folder / "labels.npy", labels)
    return folder / "labels.npy"


def whole(labels):
    return labels.read(labels.grid.box)


@pytest.fixture
def truth():
    labels = (np.arange(60).reshape(SHAPE) % 3).astype(np.uint8)
    labels[0, 0, 0] = 255
    return labels


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", ">i4", "i8", "f4"])
def test_values_of_the_schema_need_no_map(tmp_path, truth, dtype):
    labels = read_labels(save(tmp_path, truth.astype(dtype)), SCHEMA, image=image_of())
    assert labels.volume.dtype == np.uint8
    assert labels.schema is SCHEMA
    assert labels.grid.voxel_size_um == (1.0, 1.0, 1.0)
    np.testing.assert_array_equal(whole(labels), truth)
    box = Box((1, 0, 2), (2, 3, 5))
    np.testing.assert_array_equal(labels.read(box), truth[box.slices])


@pytest.mark.parametrize("dtype", ["u1", "i1", "i4"])
def test_values_are_mapped_to_names(tmp_path, truth, dtype):
    source = np.choose(np.minimum(truth, 3), [100, 7, -0 if dtype == "u1" else -5, 9])
    names = {100: "pore", 7: "nmc", int(source.min()): "carbon-binder", "9": "unlabelled"}
    path = save(tmp_path, source.astype(dtype))
    labels = read_labels(path, SCHEMA, image=image_of(), values=names)
    expected = np.choose(np.minimum(truth, 3), [2, 0, 1, 255])
    np.testing.assert_array_equal(whole(labels), expected)


def test_bool_labels(tmp_path, truth):
    path = save(tmp_path, truth == 1)
    names = {0: "background", 1: "lithium"}
    labels = read_labels(path, PRESETS["li-binary"], image=image_of(), values=names)
    np.testing.assert_array_equal(whole(labels), truth == 1)


RGB = np.zeros((4, 5, 3), np.uint8)
RGB[:, 2:] = 0, 0, 255
NAMES = {"#000000": "nmc", "#0000FF": "pore"}


def rgb_tiff(folder):
    tifffile.imwrite(folder / "l.tif", RGB, photometric="rgb", compression="lzw")
    return folder / "l.tif"


def rgb_png(folder):
    (folder / "l.png").write_bytes(imagecodecs.png_encode(RGB))
    return folder / "l.png"


@pytest.mark.parametrize("write", [rgb_tiff, rgb_png])
def test_colours_are_mapped_to_names(tmp_path, write):
    image = image_of((1, 4, 5), sections=True)
    labels = read_labels(write(tmp_path), SCHEMA, image=image, values=NAMES)
    np.testing.assert_array_equal(whole(labels)[0], np.where(np.arange(5) < 2, 0, 2) + RGB[..., 0])


def test_colours_without_a_map_are_those_of_the_schema(tmp_path):
    names = [{"name": "a", "colour": "#000000"}, {"name": "b", "colour": "#0000FF"}]
    schema = ClassSchema.from_recipe(names)
    labels = read_labels(rgb_tiff(tmp_path), schema, image=image_of((1, 4, 5), sections=True))
    assert whole(labels)[0, 0].tolist() == [0, 0, 1, 1, 1]


def test_a_grey_png(tmp_path):
    (tmp_path / "l.png").write_bytes(imagecodecs.png_encode(RGB[..., 2].copy()))
    image = image_of((1, 4, 5), sections=True)
    labels = read_labels(tmp_path / "l.png", SCHEMA, image=image, values={0: "nmc", 255: "pore"})
    assert whole(labels)[0, 0].tolist() == [0, 0, 2, 2, 2]


def test_a_damaged_png(tmp_path):
    path = rgb_png(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ReadError, match="PNG"):
        read_labels(path, SCHEMA, image=image_of((1, 4, 5)), values=NAMES)


def test_stray_values_are_listed_with_their_counts(tmp_path, truth, monkeypatch):
    monkeypatch.setattr(annotations, "_SLAB_VOXELS", 20)  # one slice at a time
    truth[0, 1, :3] = 9
    truth[2, 1, :2] = 9
    truth[1, 0, 0] = 77
    with pytest.raises(InputError) as error:
        read_labels(save(tmp_path, truth), SCHEMA, image=image_of())
    assert "2 unknown values: 9 (5 voxels), 77 (1 voxels)" in str(error.value)
    assert "only 0, 1, 2, 255" in error.value.expected
    assert "labels.npy" in error.value.where


def test_a_map_must_name_every_value(tmp_path, truth):
    names = {0: "nmc", 1: "pore"}
    with pytest.raises(InputError, match=r"2 unknown values: 2 .* 255") as error:
        read_labels(save(tmp_path, truth), SCHEMA, image=image_of(), values=names)
    assert "'2': unlabelled" in error.value.mend


def test_stray_colours_are_listed(tmp_path):
    image = image_of((1, 4, 5), sections=True)
    with pytest.raises(InputError, match=r"#0000ff \(12 voxels\)"):
        read_labels(rgb_tiff(tmp_path), SCHEMA, image=image, values={"#000000": "nmc"})


def test_fractions_and_nan_are_stray(tmp_path, truth):
    labels = truth.astype(np.float32)
    labels[0, 0, 1], labels[0, 0, 2] = 0.5, np.nan
    with pytest.raises(InputError, match=r"0\.5 \(1 voxels\), nan \(1 voxels\)"):
        read_labels(save(tmp_path, labels), SCHEMA, image=image_of())


def test_a_long_list_is_cut(tmp_path):
    labels = np.arange(60, dtype=np.uint8).reshape(SHAPE)
    with pytest.raises(InputError, match=r"57 unknown values.* and 45 more"):
        read_labels(save(tmp_path, labels), SCHEMA, image=image_of())


def test_another_shape_names_both(tmp_path, truth):
    with pytest.raises(MismatchError) as error:
        read_labels(save(tmp_path, truth), SCHEMA, image=image_of((3, 4, 6)))
    assert "3 × 4 × 5" in error.value.found
    assert "3 × 4 × 6" in error.value.expected


def test_fewer_pages_suggest_slices(tmp_path, truth):
    with pytest.raises(MismatchError) as error:
        read_labels(save(tmp_path, truth), SCHEMA, image=image_of((9, 4, 5)))
    assert "slices: [10, 20]" in error.value.mend


def test_a_few_slices_lie_at_their_places(tmp_path, truth):
    image = image_of((9, 4, 5))
    labels = read_labels(save(tmp_path, truth), SCHEMA, image=image, slices=[6, 1, 4])
    found = whole(labels)
    for k, z in enumerate([6, 1, 4]):
        np.testing.assert_array_equal(found[z], truth[k])
    assert (np.delete(found, [6, 1, 4], axis=0) == SCHEMA.unlabelled).all()
    box = Box((4, 1, 2), (7, 3, 4))
    np.testing.assert_array_equal(labels.read(box), found[box.slices])


@pytest.mark.parametrize(
    ("slices", "kind", "match"),
    [
        ([1, 2], MismatchError, "3 × 4 × 5"),
        ([1, 2, 9], InputError, r"outside the image: \[9\]"),
        ([1, 2, -1], InputError, r"outside the image: \[-1\]"),
        ([1, 2, 2], InputError, "occur twice"),
    ],
)
def test_wrong_slices(tmp_path, truth, slices, kind, match):
    with pytest.raises(kind, match=match):
        read_labels(save(tmp_path, truth), SCHEMA, image=image_of((9, 4, 5)), slices=slices)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ({0: "nmc", 1: "porr", 2: "pore"}, "names the class 'porr'"),
        ({"#ff0000": "nmc"}, "key '#ff0000', but the labels are grey"),
        ({"red": "nmc"}, "key 'red'"),
        ({1: "nmc", "1": "pore"}, "'1' twice"),
        ({}, "is empty"),
    ],
)
def test_wrong_maps(tmp_path, truth, names, match):
    with pytest.raises(RecipeError, match=match):
        read_labels(save(tmp_path, truth), SCHEMA, image=image_of(), values=names)


def test_numbers_for_colours_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="labels are coloured"):
        read_labels(rgb_tiff(tmp_path), SCHEMA, image=image_of((1, 4, 5)), values={1: "nmc"})


def test_a_sequence_of_coloured_slices(tmp_path):
    for n in range(3):
        tifffile.imwrite(tmp_path / f"l_{n}.tif", RGB, photometric="rgb")
    labels = read_labels(tmp_path / "l_*.tif", SCHEMA, image=image_of(), values=NAMES)
    assert whole(labels)[:, 0, 4].tolist() == [2, 2, 2]


def test_real_coloured_labels(data_dir):
    folder = data_dir / "sandstone-xct-4class"
    schema = ClassSchema.from_recipe(["pore", "clay", "quartz", "heavy"])
    names = {"#0000ff": "pore", "#00ff00": "clay", "#ff0000": "quartz", "#ffff00": "heavy"}
    image = image_of((6, 1024, 996), sections=True)
    labels = read_labels(folder / "masks_rgb", schema, image=image, values=names)
    found = np.bincount(whole(labels).ravel(), minlength=4) / image.grid.n_voxels
    assert found == pytest.approx([0.492, 0.037, 0.460, 0.012], abs=0.001)


def test_real_grey_png(data_dir):
    path = data_dir / "sandstone-xct-4class" / "extra" / "Sandstone_Versa0180_mask.png"
    schema = ClassSchema.from_recipe(["pore", "clay", "quartz", "heavy"])
    names = {33: "pore", 65: "heavy", 201: "clay", 231: "quartz"}
    image = image_of((1, 1024, 996), sections=True)
    labels = read_labels(path, schema, image=image, values=names)
    assert set(np.unique(whole(labels))) == {0, 1, 2, 3}


def test_large_unknown_values_are_listed_digit_by_digit(tmp_path, truth):
    values = truth.astype(np.int64)
    values[0, 0, 1] = 1234567
    with pytest.raises(InputError, match=r"1234567 \(1 voxels\)"):
        read_labels(save(tmp_path, values), SCHEMA, image=image_of())
