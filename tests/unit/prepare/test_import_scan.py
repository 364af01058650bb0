from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tomolith.config import parse_settings
from tomolith.core import PRESETS, Grid, LabelMap, Normalisation, Volume
from tomolith.errors import InputError, MismatchError, ReadError, RecipeError
from tomolith.prepare import import_scan as module
from tomolith.prepare.grey_values import ConvertedArray
from tomolith.prepare.import_scan import ImportSettings, ScanSource, import_scan
from tomolith.store.integrity import verify_scan
from tomolith.store.scan import Scan

GRID = Grid((6, 40, 30), (2.0, 1.0, 1.0))


def entry(**values):
    return parse_settings(
        ScanSource, {"id": "a", "path": "a.tif", "voxel_size_um": 1.0, **values}, where="recipe"
    )


def grey_values(dtype="u1"):
    grey = np.random.default_rng(0).integers(3, 120, GRID.shape_zyx)
    return grey.astype(dtype)


def test_a_scan_arrives_complete(tmp_path):
    grey = grey_values("u2")
    labels = LabelMap(Volume((grey % 2).astype(np.uint8), GRID), PRESETS["li-binary"])
    path = tmp_path / "a.zarr"
    scan = import_scan(entry(), path, image=Volume(grey, GRID), labels=labels, key="00ff")
    assert scan.is_complete
    scan = Scan.open(path)
    assert np.array_equal(scan.image.array[:], grey)
    assert np.array_equal(scan.labels("truth").volume.array[:], grey % 2)
    assert scan.provenance.step == "import"
    assert scan.provenance.inputs == ("a.tif",)
    assert scan.provenance.settings_hash == "00ff"
    assert scan.n_invalid == 0
    assert verify_scan(path) == []
    assert not (path / ".import").exists()


def test_all_types_of_one_image_give_the_same_network_input(tmp_path):
    inputs = []
    for dtype in ("u1", "<i2", ">i2", "<u2", ">u2", "<f4", ">f4", ">f8", ">i4", "u8", "f2"):
        path = tmp_path / f"{dtype.strip('<>')}.zarr"
        scan = import_scan(entry(), path, image=Volume(grey_values(dtype), GRID))
        grey = scan.image.array[:]
        methods = ("percentile", "zscore")
        inputs += [(m, Normalisation(m).apply(grey, scan.stats)) for m in methods]
    first = dict(reversed(inputs))
    for method, given in inputs:
        assert given.dtype == np.float32
        assert given.tobytes() == first[method].tobytes()


@pytest.mark.parametrize(
    ("given", "kept"),
    [(bool, "u1"), ("u1", "u1"), ("i1", "i1"), (">u2", "u2"), ("f2", "f4"), (">f8", "f4")],
)
def test_types_that_are_kept_and_converted(tmp_path, given, kept):
    grey = (grey_values() % 2).astype(given)
    scan = import_scan(entry(), tmp_path / "a.zarr", image=Volume(grey, GRID))
    assert scan.image.dtype == np.dtype(kept)
    assert np.array_equal(scan.image.array[:], grey)


def test_wide_integers_only_if_nothing_is_lost(tmp_path):
    grey = grey_values("i8")
    grey[2, 3, 4] = 2**25
    scan = import_scan(entry(), tmp_path / "a.zarr", image=Volume(grey, GRID))
    assert scan.image.array[2, 3, 4] == 2**25
    grey[2, 3, 4] += 1
    with pytest.raises(InputError, match=r"33554433[\s\S]*float32[\s\S]*a\.tif"):
        import_scan(entry(), tmp_path / "a.zarr", image=Volume(grey, GRID))
    wide = grey_values("f8")
    wide[0, 0, 0] = 1e300
    with pytest.raises(InputError, match="1e\\+300"):
        import_scan(entry(), tmp_path / "b.zarr", image=Volume(wide, GRID))
    with pytest.raises(InputError, match="complex64"):
        import_scan(entry(), tmp_path / "b.zarr", image=Volume(grey_values("c8"), GRID))
    assert not (tmp_path / "b.zarr").exists()


@pytest.mark.parametrize("sampled", [True, False])
def test_not_finite_values_are_counted_exactly_and_refused(tmp_path, monkeypatch, sampled):
    if not sampled:  # the strided sample misses them: the copy must not
        find = module.sample_stats
        monkeypatch.setattr(module, "sample_stats", lambda volume: (find(volume)[0], 0))
    grey = grey_values("f4")
    grey[1, 2, 3] = grey[4, 5, 6] = np.nan
    grey[5, 5, 5] = -np.inf
    path = tmp_path / "a.zarr"
    message = r"2 NaN and 1 Inf, the first at \(1, 2, 3\)[\s\S]*a\.tif[\s\S]*invalid: mask"
    with pytest.raises(InputError, match=message):
        import_scan(entry(), path, image=Volume(grey, GRID))
    assert not path.exists()


@pytest.mark.parametrize("sections", [False, True])
def test_not_finite_values_are_masked_with_the_median(tmp_path, sections):
    grid = Grid(GRID.shape_zyx, None, sections=sections)
    grey = grey_values("f4") + 1000 * np.arange(6, dtype=np.float32).reshape(6, 1, 1)
    clean = grey.copy()
    bad = np.zeros(grey.shape, bool)
    bad[1, 2, 3:9] = bad[4, 5, 6] = True
    grey[bad] = np.nan
    scan = import_scan(entry(invalid="mask"), tmp_path / "a.zarr", image=Volume(grey, grid))
    assert scan.n_invalid == 7
    assert np.array_equal(scan.invalid[:], bad)
    stored = scan.image.array[:]
    assert np.array_equal(stored[~bad], clean[~bad])
    finite = grey[4] if sections else grey
    assert stored[4, 5, 6] == np.float32(np.median(finite[np.isfinite(finite)].astype(float)))
    assert verify_scan(tmp_path / "a.zarr") == []


def test_nothing_to_mask_leaves_no_mask(tmp_path):
    source = entry(invalid="mask")
    scan = import_scan(source, tmp_path / "a.zarr", image=Volume(grey_values("f4"), GRID))
    assert scan.n_invalid == 0
    assert scan.invalid is None


def test_labels_of_another_shape_are_refused(tmp_path):
    grid = Grid((6, 30, 40), None)
    labels = LabelMap(Volume(np.zeros((6, 30, 40), np.uint8), grid), PRESETS["li-binary"])
    with pytest.raises(MismatchError, match=r"'a' have shape \(6, 30, 40\)[\s\S]*\(6, 40, 30\)"):
        import_scan(entry(), tmp_path / "a.zarr", image=Volume(grey_values(), GRID), labels=labels)
    assert not (tmp_path / "a.zarr").exists()


def test_an_image_without_contrast_is_refused_and_the_old_scan_stays(tmp_path):
    path = tmp_path / "a.zarr"
    import_scan(entry(), path, image=Volume(grey_values(), GRID))
    with pytest.raises(InputError, match=r"grey values are 0[\s\S]*a\.tif"):
        import_scan(entry(), path, image=Volume(np.zeros(GRID.shape_zyx, "u1"), GRID))
    assert Scan.open(path).is_complete


class Interrupted:
    """An array whose source goes away after ``n`` reads of more than one slice."""

    def __init__(self, array, n):
        self.array, self.n = array, n
        self.shape, self.dtype = array.shape, array.dtype
        self.n_read = 0

    def __getitem__(self, index):
        if index[0].stop - index[0].start > 1:
            if self.n == 0:
                raise KeyboardInterrupt
            self.n -= 1
            self.n_read += 1
        return self.array[index]


@pytest.mark.parametrize(("second_key", "n_read"), [("k", 2), ("other", 3), ("", 3)])
def test_an_interrupted_import_goes_on_with_the_same_key(tmp_path, second_key, n_read):
    grid = Grid((70, 8, 8), None)  # three shards along z
    grey = np.random.default_rng(0).normal(size=grid.shape_zyx).astype("f4")
    grey[3, 3, 3] = np.nan
    path, source = tmp_path / "a.zarr", entry(invalid="mask")
    with pytest.raises(KeyboardInterrupt):
        import_scan(source, path, image=Volume(Interrupted(grey, 1), grid), key="k")
    assert not Scan.open(path, unfinished=True).is_complete
    rest = Interrupted(grey, 99)
    scan = import_scan(source, path, image=Volume(rest, grid), key=second_key)
    assert rest.n_read == n_read
    assert scan.n_invalid == 1
    assert np.array_equal(np.delete(scan.image.array[:], 3, 0), np.delete(grey, 3, 0))
    assert verify_scan(path) == []


def test_a_wrecked_beginning_is_begun_anew(tmp_path):
    grid = Grid((70, 8, 8), None)
    grey = np.random.default_rng(0).normal(size=grid.shape_zyx).astype("f4")
    path = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        import_scan(entry(), path, image=Volume(Interrupted(grey, 1), grid), key="k")
    (path / "zarr.json").write_text("{")
    import_scan(entry(), path, image=Volume(grey, grid), key="k")
    assert verify_scan(path) == []


def test_slabs_stay_small_and_whole(tmp_path, monkeypatch):
    grid = Grid((40, 90, 80), None)
    grey = np.random.default_rng(0).integers(0, 99, grid.shape_zyx).astype("u1")
    for n_bytes in (1, 32 * 90 * 80, 10**9):
        monkeypatch.setattr(module, "_SLAB_BYTES", n_bytes)
        scan = import_scan(entry(), tmp_path / "a.zarr", image=Volume(grey, grid))
        assert np.array_equal(scan.image.array[:], grey)


def test_the_section_import_reads_well():
    settings = parse_settings(
        ImportSettings,
        {
            "scans": [
                {
                    "id": "{stem}",
                    "path": "/d/*.tif",
                    "kind": "images",
                    "voxel_size_um": [1, 0.5, 0.5],
                    "labels": {
                        "path": "/d/labels/{stem}_label.tif",
                        "values": {0: "background", 255: "lithium"},
                        "slices": [3, 7],
                    },
                },
                {"id": "b", "path": "b.h5", "dataset": "exchange/data", "voxel_size_um": "unknown"},
                {"id": "c", "path": "c.txm"},
            ]
        },
        where="recipe",
    )
    first, second, third = settings.scans
    assert first.voxel_size_um == (1.0, 0.5, 0.5)
    assert first.labels.values == {0: "background", 255: "lithium"}
    assert first.labels.slices == (3, 7)
    assert second.voxel_size_um == "unknown"
    assert third.voxel_size_um is None
    assert third.kind == "volume"
    assert third.invalid == "refuse"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"voxel_size_um": "1.3 um"}, "without a unit"),
        ({"voxel_size_um": [1, 2]}, "voxel_size_um"),
        ({"voxel_size_um": True}, "voxel_size_um"),
        ({"id": "a/b"}, "letters"),
        ({"id": ""}, "letters"),
        ({"kind": "picture"}, "volume"),
        ({"lables": {}}, "did you mean 'labels'"),
    ],
)
def test_odd_entries_are_refused(values, message):
    with pytest.raises(RecipeError, match=message):
        entry(**values)


def test_files_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("t10", "t0", "t2"):
        (tmp_path / f"{name}.tif").touch()
    found = entry(id="{stem}", path=str(tmp_path / "*.tif")).expand()
    assert [source.id for source in found] == ["t0", "t2", "t10"]


def test_stem_makes_one_scan_per_file(tmp_path):
    for name in ("b 2.tif", "a-1.tif"):
        (tmp_path / name).write_text("x")
    source = entry(
        id="s-{stem}", path=str(tmp_path / "*.tif"), labels={"path": "/labels/{stem}_l.tif"}
    )
    first, second = source.expand()
    assert (first.id, second.id) == ("s-a-1", "s-b-2")
    assert first.path == str(tmp_path / "a-1.tif")
    assert (first.labels.path, second.labels.path) == ("/labels/a-1_l.tif", "/labels/b 2_l.tif")
    assert entry().expand() == (entry(),)
    with pytest.raises(ReadError, match="no file matches"):
        entry(id="{stem}", path=str(tmp_path / "*.h5")).expand()
    with pytest.raises(RecipeError, match="in 'id' too"):
        entry(labels={"path": "{stem}.tif"}).expand()


def test_a_scan_is_not_written_over_its_own_source(tmp_path):
    path = tmp_path / "a.zarr"
    scan = import_scan(entry(), path, image=Volume(grey_values(), GRID))
    with pytest.raises(InputError, match="over its own source"):
        import_scan(entry(path=str(path)), path, image=scan.image)
    assert verify_scan(path) == []


class Flaky(Interrupted):
    """An array that cannot be read for a while."""

    def __getitem__(self, index):
        try:
            return super().__getitem__(index)
        except KeyboardInterrupt:
            raise ReadError("the server does not answer") from None


def test_a_read_error_keeps_what_is_copied(tmp_path):
    grid = Grid((70, 8, 8), None)
    grey = np.random.default_rng(0).normal(size=grid.shape_zyx).astype("f4")
    path = tmp_path / "a.zarr"
    with pytest.raises(ReadError, match=r"does not answer[\s\S]*a\.tif"):
        import_scan(entry(), path, image=Volume(Flaky(grey, 2), grid), key="k")
    rest = Interrupted(grey, 99)
    import_scan(entry(), path, image=Volume(rest, grid), key="k")
    assert rest.n_read == 1
    assert verify_scan(path) == []


def test_a_kill_while_the_pyramid_is_built_copies_nothing_again(tmp_path, monkeypatch):
    grid = Grid((70, 8, 8), None)
    grey = np.random.default_rng(0).normal(size=grid.shape_zyx).astype("f4")
    path = tmp_path / "a.zarr"

    def kill(scan):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Scan, "finish", kill)
        with pytest.raises(KeyboardInterrupt):
            import_scan(entry(), path, image=Volume(grey, grid), key="k")
    rest = Interrupted(grey, 99)
    import_scan(entry(), path, image=Volume(rest, grid), key="k")
    assert rest.n_read == 0
    assert verify_scan(path) == []
    assert not (path / ".import").exists()


def test_slabs_of_another_size_skip_nothing(tmp_path, monkeypatch):
    grid = Grid((40, 90, 80), None)
    grey = np.random.default_rng(0).integers(1, 99, grid.shape_zyx).astype("u1")
    path = tmp_path / "a.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(module, "_slab_zyx", lambda *_: (32, 32, 32))
        with pytest.raises(KeyboardInterrupt):
            import_scan(entry(), path, image=Volume(Interrupted(grey, 1), grid), key="k")
    import_scan(entry(), path, image=Volume(grey, grid), key="k")
    assert np.array_equal(Scan.open(path).image.array[:], grey)


def test_converting_takes_little_more_than_the_result():
    grey = grey_values("i4").repeat(8, axis=0).repeat(4, axis=1).repeat(4, axis=2)
    array = ConvertedArray(grey)
    tracemalloc.start()
    try:
        out = array[: grey.shape[0], : grey.shape[1], : grey.shape[2]]
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(out, grey)
    assert peak_bytes < 1.5 * out.nbytes


def test_slabs_are_sized_by_the_larger_type(tmp_path, monkeypatch):
    grid = Grid((70, 8, 8), None)
    grey = np.random.default_rng(0).integers(1, 99, grid.shape_zyx)
    asked = []
    size = module._slab_zyx
    monkeypatch.setattr(
        module, "_slab_zyx", lambda *given: (asked.append(given[2]), size(*given))[1]
    )
    for dtype in ("i8", "f2"):
        import_scan(entry(), tmp_path / "a.zarr", image=Volume(grey.astype(dtype), grid))
    assert asked == [8, 4]


def test_labels_of_masked_voxels_are_unlabelled(tmp_path):
    grey = grey_values("f4")
    grey[2, 3:5, 7] = np.nan, np.inf
    truth = (grey_values() % 2).astype(np.uint8)
    labels = LabelMap(Volume(truth, GRID), PRESETS["li-binary"])
    image, source = Volume(grey, GRID), entry(invalid="mask")
    scan = import_scan(source, tmp_path / "a.zarr", image=image, labels=labels)
    found = scan.labels("truth").volume.array[:]
    assert (found == 255).sum() == 2
    assert np.array_equal(found, np.where(np.isfinite(grey), truth, 255))
