import numpy as np
import pytest
import tifffile

from image_files import ramp
from tomolith.errors import InputError, ReadError
from tomolith.store.readers import open_raw
from tomolith.store.readers.tiff_check import check_chain

IMAGE = ramp((4, 6, 8))


def write(path, data, **options):
    tifffile.imwrite(path, data, photometric=options.pop("photometric", "minisblack"), **options)
    return path


def read_all(raw):
    z, y, x = raw.array.shape
    return np.asarray(raw.array[0:z, 0:y, 0:x])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", "f8"])
@pytest.mark.parametrize("compression", [None, "zlib", "packbits", "lzw"])
def test_every_type_and_byte_order_is_delivered_as_it_is(tmp_path, dtype, byteorder, compression):
    data = ramp((3, 5, 6), dtype)
    path = write(tmp_path / "a.tif", data, byteorder=byteorder, compression=compression)
    raw = open_raw(path)
    np.testing.assert_array_equal(read_all(raw), data)
    if np.dtype(dtype).itemsize > 1 and compression is None:
        assert raw.array.dtype == np.dtype(dtype).newbyteorder(byteorder)


def test_a_2d_image_gets_one_slice(tmp_path):
    raw = open_raw(write(tmp_path / "a.tif", IMAGE[0]))
    assert raw.array.shape == (1, 6, 8)


def test_contiguous_uncompressed_pages_are_mapped(tmp_path):
    raw = open_raw(write(tmp_path / "a.tif", IMAGE))
    assert isinstance(raw.array, np.memmap)
    assert "mapped" in " ".join(raw.description)


def test_scattered_uncompressed_pages_are_read_row_by_row(tmp_path, monkeypatch):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for k, page in enumerate(IMAGE):
            writer.write(page, contiguous=False, description=f"page {k}", metadata=None)
    raw = open_raw(tmp_path / "a.tif")
    assert not isinstance(raw.array, np.ndarray)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *a, **k: pytest.fail("decoded"))
    np.testing.assert_array_equal(raw.array[1:3, 2:5, 3:8], IMAGE[1:3, 2:5, 3:8])
    assert raw.array[1:3, 2:2, 3:8].shape == (2, 0, 5)


def test_reading_a_box_decodes_only_its_pages(tmp_path, monkeypatch):
    raw = open_raw(write(tmp_path / "a.tif", IMAGE, compression="zlib"))
    decoded = []
    for kind in (tifffile.TiffPage, tifffile.TiffFrame):
        plain = kind.asarray
        monkeypatch.setattr(
            kind,
            "asarray",
            lambda page, *a, _plain=plain, **k: decoded.append(page.index) or _plain(page, *a, **k),
        )
    raw.array[1:3, 0:2, 0:2]
    assert set(decoded) == {1, 2}


def test_a_huge_file_opens_without_reading_its_pixels(tmp_path):
    shape = (2000, 5000, 10000)  # 100 GB, a sparse file
    tifffile.memmap(tmp_path / "big.tif", shape=shape, dtype="uint8", bigtiff=True).flush()
    before = bytes_read()
    raw = open_raw(tmp_path / "big.tif")
    assert raw.array.shape == shape
    assert raw.array[1999:2000, 4990:5000, 0:10].sum() == 0
    assert bytes_read() - before < 8 * 2**20


def bytes_read():
    from pathlib import Path

    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("rchar")).split()[1])


def test_bool_becomes_uint8(tmp_path):
    mask = IMAGE[0] > 20
    raw = open_raw(write(tmp_path / "a.tif", mask))
    assert raw.array.dtype == np.uint8
    np.testing.assert_array_equal(read_all(raw)[0], mask.astype(np.uint8))


def test_colour_is_refused_for_images_and_packed_for_labels(tmp_path):
    rgb = np.zeros((6, 8, 3), np.uint8)
    rgb[2, 3] = 255, 128, 0
    path = write(tmp_path / "a.tif", rgb, photometric="rgb")
    with pytest.raises(InputError, match="coloured: 3 samples"):
        open_raw(path)
    raw = open_raw(path, colour=True)
    assert raw.is_colour
    assert raw.array[0:1, 2:3, 3:4].item() == 0xFF8000


def test_planar_colours_are_packed_too(tmp_path):
    planes = np.zeros((3, 6, 8), np.uint8)
    planes[2] = 255
    path = write(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert set(read_all(open_raw(path, colour=True)).ravel()) == {0x0000FF}


def test_complex_values_are_refused(tmp_path):
    with pytest.raises(InputError, match="complex64"):
        open_raw(write(tmp_path / "a.tif", IMAGE.astype("c8")))


@pytest.mark.parametrize(("unit", "factor"), [("um", 1), ("micron", 1), ("nm", 1e-3), ("mm", 1e3)])
def test_imagej_voxel_size_in_any_unit(tmp_path, unit, factor):
    meta = {"spacing": 3.0, "unit": unit, "axes": "ZYX"}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, imagej=True, resolution=(2, 4), metadata=meta)
    assert open_raw(path).voxel_size_um == pytest.approx((3 * factor, 0.25 * factor, 0.5 * factor))


@pytest.mark.parametrize("unit", ["pixel", "inch", "", "furlong"])
def test_imagej_without_a_length_is_unknown_and_says_so(tmp_path, unit):
    meta = {"spacing": 3.0, "unit": unit, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, imagej=True, resolution=(2, 2), metadata=meta)
    raw = open_raw(tmp_path / "a.tif")
    assert raw.voxel_size_um is None
    assert "ImageJ" in raw.size_note


def test_imagej_without_spacing_leaves_z_open(tmp_path):
    meta = {"unit": "um", "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, imagej=True, resolution=(2, 2), metadata=meta)
    raw = open_raw(tmp_path / "a.tif")
    assert raw.known_size_um == (None, 0.5, 0.5)
    assert "no z spacing" in raw.size_note


def test_a_print_resolution_is_no_voxel_size(tmp_path):
    write(tmp_path / "a.tif", IMAGE, resolution=(72, 72), resolutionunit="inch")
    raw = open_raw(tmp_path / "a.tif")
    assert raw.voxel_size_um is None
    assert "print resolution" in raw.size_note


def write_ome(path, data, axes="ZYX", **sizes):
    tifffile.imwrite(
        path, data, ome=True, photometric="minisblack", metadata={"axes": axes} | sizes
    )
    return path


def test_ome_voxel_size_and_units(tmp_path):
    sizes = {"PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5}
    path = write_ome(tmp_path / "a.ome.tif", IMAGE, **sizes, PhysicalSizeZ=2)
    raw = open_raw(path)
    assert raw.voxel_size_um == (2.0, 0.5, 0.5)
    assert "(OME)" in raw.description[0]
    np.testing.assert_array_equal(read_all(raw), IMAGE)


def test_ome_without_sizes_is_unknown(tmp_path):
    assert open_raw(write_ome(tmp_path / "a.ome.tif", IMAGE)).voxel_size_um is None


def test_ome_in_pixels_is_unknown(tmp_path):
    sizes = {f"PhysicalSize{a}": 1 for a in "XYZ"}
    units = {f"PhysicalSize{a}Unit": "pixel" for a in "XYZ"}
    path = write_ome(tmp_path / "a.ome.tif", IMAGE, **sizes, **units)
    assert open_raw(path).voxel_size_um is None


def test_channels_are_refused(tmp_path):
    path = write_ome(tmp_path / "a.ome.tif", np.stack([IMAGE, IMAGE]), axes="CZYX")
    with pytest.raises(InputError, match="2 channels, 4 slices"):
        open_raw(path)


def test_many_channels_of_imagej_are_slices(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", ramp((9, 4, 5)), imagej=True)
    assert open_raw(tmp_path / "a.tif").array.shape == (9, 4, 5)
    tifffile.imwrite(tmp_path / "b.tif", ramp((2, 4, 5)), imagej=True)
    with pytest.raises(InputError, match="2 channels"):
        open_raw(tmp_path / "b.tif")


def test_pages_of_mixed_size_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(IMAGE[0], metadata=None)
        writer.write(IMAGE[0, :4], metadata=None)
    with pytest.raises(ReadError, match=r"2 images of different kinds: 6 × 8 uint16, 4 × 8 uint16"):
        open_raw(tmp_path / "a.tif")


def test_a_dataset_name_makes_no_sense(tmp_path):
    with pytest.raises(ReadError, match="single image"):
        open_raw(write(tmp_path / "a.tif", IMAGE), dataset="x")


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_the_chain_of_pages_is_counted(tmp_path, bigtiff, byteorder):
    path = write(
        tmp_path / "a.tif", IMAGE, compression="zlib", bigtiff=bigtiff, byteorder=byteorder
    )
    assert check_chain(path) == 4


def test_pages_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + (8).to_bytes(4, "little") + b"\0\0" + (8).to_bytes(4, "little"))
    with pytest.raises(ReadError, match="circle"):
        open_raw(path)


def test_an_unfinished_file_is_named_so(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(20))
    with pytest.raises(ReadError, match="did not finish"):
        open_raw(tmp_path / "a.tif")


def test_a_damaged_page_is_named(tmp_path):
    path = write(tmp_path / "a.tif", IMAGE, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[2].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    raw = open_raw(path)
    np.testing.assert_array_equal(raw.array[0:2], IMAGE[:2])
    with pytest.raises(ReadError, match="page 2 cannot be decoded"):
        raw.array[2:3]
