import numpy as np
import pytest

from image_files import amira_header, ramp, write_amira, write_amira_runs
from tomolith.errors import InputError, ReadError
from tomolith.store.readers import open_raw


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4", ">f4"])
def test_raw_lattices_are_mapped(tmp_path, dtype):
    volume = ramp((4, 5, 6), dtype)
    raw = open_raw(write_amira(tmp_path / "a.am", volume))
    assert isinstance(raw.array, np.memmap)
    assert raw.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(raw.array, volume)


def test_the_bounding_box_runs_between_voxel_centres(tmp_path):
    raw = open_raw(write_amira(tmp_path / "a.am", ramp()))
    assert raw.voxel_size_um == (2.0, 1.0, 0.5)
    assert raw.origin_um == (10.0, 0.0, 0.0)


def test_units_are_converted(tmp_path):
    raw = open_raw(write_amira(tmp_path / "a.am", ramp(), unit="nm"))
    assert raw.voxel_size_um == pytest.approx((0.002, 0.001, 0.0005))


@pytest.mark.parametrize(("unit", "match"), [(None, "2 × 1 × 0.5"), ("ell", "'ell' is not known")])
def test_a_box_without_a_unit_of_length_is_unknown(tmp_path, unit, match):
    raw = open_raw(write_amira(tmp_path / "a.am", ramp(), unit=unit))
    assert raw.voxel_size_um is None
    assert match in raw.size_note


@pytest.mark.parametrize("seed", range(4))
def test_runs_are_decoded_slice_by_slice(tmp_path, seed):
    rng = np.random.default_rng(seed)
    volume = np.repeat(rng.integers(0, 3, (7, 11, 13), np.uint8), 5, axis=2)
    volume[2:5] = 1  # runs that span whole slices
    raw = open_raw(write_amira_runs(tmp_path / "a.am", volume))
    np.testing.assert_array_equal(raw.array[3:4, 2:5, 1:9], volume[3:4, 2:5, 1:9])
    np.testing.assert_array_equal(raw.array[0:7], volume)
    assert raw.array[0:0].shape == (0, 11, 65)


def test_runs_that_end_early_are_damage(tmp_path):
    path = tmp_path / "a.am"
    data = bytes((100, 7))
    path.write_bytes(amira_header(ramp((5, 7, 9), "u1"), encoding="(HxByteRLE,2)") + data)
    raw = open_raw(path)
    with pytest.raises(ReadError, match="ends in slice 2 of 5"):
        raw.array[0:1]


def rewritten(path, old, new):
    header = amira_header(ramp((5, 7, 9), "u1"))
    assert old in header
    path.write_bytes(header.replace(old, new) + bytes(400))
    return path


@pytest.mark.parametrize(
    ("old", "new", "kind", "match"),
    [
        (b"byte Data", b"byte[3] Data", InputError, r"'byte\[3\]'"),
        (b"BINARY-LITTLE-ENDIAN", b"ASCII", InputError, "as text"),
        (b"@1\n\n", b"@1(HxZip,9)\n\n", InputError, "HxZip"),
        (b"define Lattice", b"define Points", ReadError, "no 3-D lattice"),
        (b"Lattice { byte", b"Nodes { byte", ReadError, "0 fields"),
        (b"section follows\n@1\n", b"", ReadError, "header has no end"),
        (b"} @1", b"} @2", ReadError, "behind other data"),
    ],
)
def test_what_is_refused(tmp_path, old, new, kind, match):
    with pytest.raises(kind, match=match):
        open_raw(rewritten(tmp_path / "a.am", old, new))


def test_several_fields_are_listed(tmp_path):
    more = b"Lattice { byte Data } @1\nLattice { float Other } @2"
    path = rewritten(tmp_path / "a.am", b"Lattice { byte Data } @1", more)
    with pytest.raises(ReadError, match=r"Data \(byte\), Other \(float\)"):
        open_raw(path)
    assert open_raw(path, dataset="Data").array.dtype == np.uint8


@pytest.mark.parametrize("box", [b"BoundingBox 0 one 0 1 0 1", b"Nothing"])
def test_no_bounding_box(tmp_path, box):
    old = b"BoundingBox 0 4.0 0 6 10 18"
    assert open_raw(rewritten(tmp_path / "a.am", old, box)).voxel_size_um is None


def test_a_huge_lattice_opens_at_once(tmp_path):
    path = tmp_path / "a.am"
    header = amira_header(ramp((5, 7, 9), "u1")).replace(b"9 7 5", b"10000 5000 2000")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 10**11)
    assert open_raw(path).array[1999:2000, 0:1, 0:1].item() == 0
