from pathlib import Path

import numpy as np
import pytest
import tifffile

from image_files import ramp
from tomolith.errors import InputError, MismatchError, ReadError
from tomolith.store.readers import open_raw
from tomolith.store.readers.sequence import check_numbering


def write_slices(folder, numbers, name="img_{}.tif", **options):
    volume = ramp((max(numbers) + 1, 4, 5))
    for n in numbers:
        tifffile.imwrite(folder / name.format(n), volume[n], photometric="minisblack", **options)
    return volume[sorted(numbers)]


def test_a_folder_is_read_in_natural_order(tmp_path):
    volume = write_slices(tmp_path, range(12))
    (tmp_path / ".hidden.tif").write_text("resource fork")
    (tmp_path / "notes.txt").write_text("scan of May")
    raw = open_raw(tmp_path)
    np.testing.assert_array_equal(raw.array[0:12], volume)
    assert "img_0.tif to img_11.tif" in raw.description[0]


def test_a_pattern_selects(tmp_path):
    write_slices(tmp_path, range(3))
    volume = write_slices(tmp_path, range(2), name="other_{}.tif")
    np.testing.assert_array_equal(open_raw(tmp_path / "other_*.tif").array[0:2], volume)


def test_a_pattern_of_one_stack_opens_the_stack(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", ramp((3, 4, 5)), photometric="minisblack")
    assert open_raw(tmp_path / "st*.tif").array.shape == (3, 4, 5)


def test_a_slice_is_opened_only_when_a_box_needs_it(tmp_path, monkeypatch):
    write_slices(tmp_path, range(6), compression="zlib")
    raw = open_raw(tmp_path)
    opened, plain = [], tifffile.TiffFile
    monkeypatch.setattr(tifffile, "TiffFile", lambda p: opened.append(Path(p).name) or plain(p))
    raw.array[2:4, 0:2, 0:2]
    assert opened == ["img_2.tif", "img_3.tif"]


def test_a_gap_is_named(tmp_path):
    write_slices(tmp_path, [1, 2, 3, 5, 6, 9])
    with pytest.raises(InputError) as error:
        open_raw(tmp_path)
    assert "3 slices are missing in the sequence: number 4, 7, 8" in str(error.value)
    assert "after img_3.tif comes img_5.tif" in str(error.value)
    assert "kind: images" in error.value.mend


def test_a_gap_means_nothing_among_independent_images(tmp_path):
    write_slices(tmp_path, [1, 2, 5])
    assert open_raw(tmp_path, independent=True).array.shape[0] == 3


def test_mixed_size_is_named(tmp_path):
    write_slices(tmp_path, range(3))
    tifffile.imwrite(tmp_path / "img_3.tif", np.zeros((4, 6), np.uint16))
    with pytest.raises(MismatchError, match="4 × 6") as error:
        open_raw(tmp_path)
    assert error.value.where.endswith("img_3.tif")
    assert "4 × 5 as in img_0.tif" in error.value.expected


def test_mixed_type_is_named(tmp_path):
    write_slices(tmp_path, range(3))
    tifffile.imwrite(tmp_path / "img_3.tif", np.zeros((4, 5), np.float32))
    with pytest.raises(MismatchError, match="float32") as error:
        open_raw(tmp_path)
    assert "uint16 as in img_0.tif" in error.value.expected


def test_mixed_byte_order_is_one_type(tmp_path):
    volume = write_slices(tmp_path, [0])
    tifffile.imwrite(tmp_path / "img_1.tif", volume[0], byteorder=">")
    raw = open_raw(tmp_path)
    np.testing.assert_array_equal(raw.array[0:2], np.stack([volume[0], volume[0]]))


@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_a_damaged_slice_is_named(tmp_path, damage):
    write_slices(tmp_path, range(3))
    path = tmp_path / "img_1.tif"
    path.write_bytes({"empty": b"", "text": b"hello there", "cut": path.read_bytes()[:-8]}[damage])
    with pytest.raises(ReadError) as error:
        open_raw(tmp_path)
    assert error.value.where.endswith("img_1.tif")


def test_a_slice_that_vanishes_is_named_when_read(tmp_path):
    write_slices(tmp_path, range(3))
    raw = open_raw(tmp_path)
    (tmp_path / "img_1.tif").unlink()
    with pytest.raises(ReadError, match="cannot be read"):
        raw.array[1:2]


def test_stacks_are_no_slices(tmp_path):
    for n in range(2):
        tifffile.imwrite(tmp_path / f"s_{n}.tif", ramp((3, 4, 5)), photometric="minisblack")
    with pytest.raises(InputError, match="holds 3 slices"):
        open_raw(tmp_path)


def test_a_coloured_slice_is_refused(tmp_path):
    write_slices(tmp_path, range(2))
    tifffile.imwrite(tmp_path / "img_2.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="coloured"):
        open_raw(tmp_path)


def test_other_files_in_a_pattern_are_named(tmp_path):
    write_slices(tmp_path, range(2))
    (tmp_path / "img_2.txt").write_text("x")
    with pytest.raises(ReadError, match=r"img_2\.txt"):
        open_raw(tmp_path / "img_*")


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["a_1", "b_2", "a_3"], "2 kinds"),
        (["a_1_1", "a_2_2"], "differ in 2 numbers"),
        (["a_1", "a_01"], "occurs twice|differ"),
        (["1", "100", "103", "200"], "equal steps: 1, 100, 103, 200"),
    ],
)
def test_names_that_are_no_sequence(names, match):
    with pytest.raises(InputError, match=match):
        check_numbering([Path(f"{n}.tif") for n in names], where=Path())


@pytest.mark.parametrize(("names", "step"), [(["a"], 1), (["a_0", "a_50", "a_100"], 50)])
def test_equal_steps_are_a_sequence(names, step):
    assert check_numbering([Path(f"{n}.tif") for n in names], where=Path()) == step
