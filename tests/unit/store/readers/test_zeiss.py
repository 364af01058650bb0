import numpy as np
import pytest

from image_files import ramp, write_ole, write_zeiss
from tomolith.errors import InputError, ReadError
from tomolith.store.readers import open_raw


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_all_types(tmp_path, dtype):
    volume = ramp((3, 50, 60), dtype)
    raw = open_raw(write_zeiss(tmp_path / "a.txrm", volume))
    assert raw.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(raw.array[0:3, 10:20, 5:60], volume[:, 10:20, 5:60])


def test_projections_have_no_size_along_z(tmp_path):
    raw = open_raw(write_zeiss(tmp_path / "a.txrm", ramp()))
    assert raw.known_size_um == (None, 0.5, 0.5)
    assert "projections" in raw.size_note
    assert "angles 0.000 to 8.000 degrees" in raw.description
    assert "energy 8.00 keV" in raw.description


def test_a_volume_has(tmp_path):
    raw = open_raw(write_zeiss(tmp_path / "a.txm", ramp()))
    assert raw.voxel_size_um == (0.5, 0.5, 0.5)
    assert "5 slices" in raw.description[0]


def test_images_above_100_lie_in_the_next_group_and_are_read_one_by_one(tmp_path, monkeypatch):
    import olefile

    volume = ramp((120, 5, 6))
    raw = open_raw(write_zeiss(tmp_path / "a.txrm", volume))
    opened, plain = [], olefile.OleFileIO.openstream
    monkeypatch.setattr(
        olefile.OleFileIO, "openstream", lambda ole, name: opened.append(name) or plain(ole, name)
    )
    np.testing.assert_array_equal(raw.array[98:102], volume[98:102])
    groups = ["ImageData1/Image99", "ImageData1/Image100", "ImageData2/Image101"]
    assert opened == [*groups, "ImageData2/Image102"]


def test_a_stopped_scan_gives_the_images_taken(tmp_path):
    raw = open_raw(write_zeiss(tmp_path / "a.txrm", ramp(), planned=9))
    assert raw.array.shape[0] == 5
    assert "9 images were planned" in " ".join(raw.description)


def test_a_missing_image_is_named(tmp_path):
    fields = {"ImageWidth": 6, "ImageHeight": 5, "DataType": 5, "NoOfImages": 2}
    streams = {f"ImageInfo/{k}": v.to_bytes(4, "little") for k, v in fields.items()}
    streams["ImageData1/Image1"] = bytes(60)
    with pytest.raises(ReadError, match="image 2 of 2 has 0 bytes"):
        open_raw(write_ole(tmp_path / "a.txrm", streams))


def test_an_unknown_data_type_is_refused(tmp_path):
    fields = {"ImageWidth": 6, "ImageHeight": 5, "DataType": 4, "NoOfImages": 1}
    streams = {f"ImageInfo/{k}": v.to_bytes(4, "little") for k, v in fields.items()}
    with pytest.raises(InputError, match="data type 4"):
        open_raw(write_ole(tmp_path / "a.txrm", streams))


def test_another_ole_file_is_refused(tmp_path):
    with pytest.raises(ReadError, match="ImageHeight is missing"):
        open_raw(write_ole(tmp_path / "letter.doc", {"Word/Document": b"Dear"}))
