"""One scan on disk: its image, its true labels, and those as by hand."""

import numpy as np
import pytest

from tomolith.core import PRESETS, ClassSchema
from tomolith.errors import DiskError, InputError, RecipeError
from tomolith.phantom import Phantom, PhantomSettings, make_phantom
from tomolith.store.scan import Scan

SETTINGS = PhantomSettings(preset="tiny", hand_labelled_slices=(5, 40))
UNLABELLED = PRESETS["li-operando"].unlabelled


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "cell0-t12.zarr"
    make_phantom(SETTINGS, path)
    return Scan.open(path)


def make_hand(folder, **values):
    """Return the hand labels and the truth of a thin scan."""
    values = {"preset": "tiny", "shape_zyx": (12, 64, 64), "scans": (18,), **values}
    scan = make_phantom(PhantomSettings(**values), folder / "cell0-t18.zarr")
    return (scan.labels(name).read(scan.grid.box) for name in ("hand", "truth"))


def test_the_scan_holds_what_the_phantom_renders(scan):
    image, material = Phantom.build(SETTINGS, "cell0-t12").render(scan.grid.box)
    assert np.array_equal(scan.image.read(scan.grid.box), image)
    truth = scan.labels("truth")
    assert np.array_equal(truth.read(scan.grid.box), material)  # li-operando numbers them alike
    assert truth.schema == PRESETS["li-operando"]
    assert scan.grid.voxel_size_um == (5.32, 5.32, 5.32)


def test_hand_labels_are_the_truth_on_their_slices_only(scan):
    truth = scan.labels("truth").read(scan.grid.box)
    hand = scan.labels("hand").read(scan.grid.box)
    labelled = (hand != UNLABELLED).all(axis=(1, 2))
    assert np.flatnonzero(labelled).tolist() == [5, 40]
    assert (hand[~labelled] == UNLABELLED).all()
    assert np.array_equal(hand[labelled], truth[labelled])


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_planes_and_cross_sections_are_labelled_and_nothing_else(tmp_path, rate):
    hand, truth = make_hand(
        tmp_path,
        hand_labelled_slices=(2, 9),
        hand_labelled_planes=(12, 50, 51),
        hand_mistake_rate=rate,
    )
    should = np.zeros(truth.shape, bool)
    should[[2, 9]] = True
    should[:, [12, 50, 51]] = True
    assert np.array_equal(hand != UNLABELLED, should)
    wrong = should & (hand != truth)
    assert wrong.any() == (rate > 0)
    if rate > 0:
        assert 0.001 < wrong.sum() / should.sum() < 0.2
        assert wrong[[2, 9]].any()
        assert wrong[:, 50].any()


def test_where_slices_cross_the_cross_section_counts(tmp_path):
    mistakes = {"hand_mistake_rate": 0.3, "hand_labelled_slices": (4,)}
    crossed, truth = make_hand(tmp_path / "a", hand_labelled_planes=(50,), **mistakes)
    alone, again = make_hand(tmp_path / "b", hand_labelled_planes=(), **mistakes)
    assert np.array_equal(truth, again)  # mistakes are made by hand, not by the phantom
    assert np.array_equal(crossed[4], alone[4])
    assert not np.array_equal(crossed[4], truth[4])


def test_each_slice_and_seed_has_mistakes_of_its_own(tmp_path):
    wrong = {}
    for seed in (1, 2):
        # a cell of layers only, all slices alike but for their mistakes
        hand, truth = make_hand(
            tmp_path / str(seed),
            seed=seed,
            scans=(18,),
            hand_mistake_rate=0.2,
            hand_labelled_slices=(4, 5),
            n_dendrites=0,
        )
        wrong[seed] = [hand[z] != truth[z] for z in (4, 5)]
    assert all(slice_.any() for pair in wrong.values() for slice_ in pair)
    assert not np.array_equal(*wrong[1])
    assert not np.array_equal(wrong[1][0], wrong[2][0])


def test_the_scan_says_that_it_is_simulated(scan):
    assert scan.image.provenance.step == "phantom"
    assert "simulated" in scan.image.provenance.inputs[0]
    assert scan.image.provenance.seed == SETTINGS.seed
    assert "simulated" in (scan.path / "zarr.json").read_text()
    assert scan.stats[0].std > 0


def test_labels_follow_the_schema_of_the_study(tmp_path):
    schema = ClassSchema.from_recipe(["dendrite", "electrode", "background"])
    settings = PhantomSettings(preset="tiny", shape_zyx=(4, 64, 64), scans=(18,))
    scan = make_phantom(settings, tmp_path / "a.zarr", scan_id="cell0-t18", schema=schema)
    truth = scan.labels("truth").read(scan.grid.box)
    _, material = Phantom.build(settings, "cell0-t18").render(scan.grid.box)
    assert set(np.unique(material)) >= {0, 1, 3, 4, 5}
    # pits are background; deposited and redeposited Li count as dendrite
    assert np.array_equal(truth, np.array([2, 1, 0, 2, 0, 0])[material])


def test_lithium_against_the_rest(tmp_path):
    settings = PhantomSettings(preset="tiny", shape_zyx=(4, 64, 64), hand_labelled_slices=(1,))
    scan = make_phantom(settings, tmp_path / "cell0-t12.zarr", schema=PRESETS["li-binary"])
    truth = scan.labels("truth").read(scan.grid.box)
    material = Phantom.build(settings, "cell0-t12").materials(scan.grid.box)
    assert np.array_equal(truth == 1, np.isin(material, (2, 4, 5)))
    assert np.array_equal(scan.labels("hand").read(scan.grid.box)[1], truth[1])


def test_the_name_decides_the_cell_not_the_folder(tmp_path):
    settings = PhantomSettings(preset="tiny", shape_zyx=(2, 64, 64), n_cells=2)
    assert settings.scan_ids == ("cell0-t12", "cell1-t12")
    first, second = (
        make_phantom(settings, tmp_path / f"{name}.zarr").image.read for name in settings.scan_ids
    )
    again = make_phantom(settings, tmp_path / "b.zarr", scan_id="cell1-t12")
    box = again.grid.box
    assert np.array_equal(again.image.read(box), second(box))
    assert not np.array_equal(first(box), second(box))


def test_an_unknown_scan_writes_nothing(tmp_path):
    with pytest.raises(InputError, match="no scan 'cell0-t06'"):
        make_phantom(SETTINGS, tmp_path / "cell0-t06.zarr")
    assert not list(tmp_path.iterdir())


def test_a_schema_without_the_classes_writes_nothing(tmp_path):
    with pytest.raises(RecipeError, match="li-operando"):
        make_phantom(SETTINGS, tmp_path / "cell0-t12.zarr", schema=PRESETS["cathode-3phase"])
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_not_replaced(tmp_path):
    path = tmp_path / "cell0-t12.zarr"
    path.mkdir()
    (path / "thesis.txt").write_text("do not lose me")
    with pytest.raises(DiskError):
        make_phantom(SETTINGS, path)
    assert (path / "thesis.txt").read_text() == "do not lose me"
