"""What other software sees: NGFF 0.5, ome-zarr-py and napari."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from tomolith.core import PRESETS, Grid, Provenance
from tomolith.store.intensity import sample_stats
from tomolith.store.scan import Scan

MADE = Provenance("test")
SCHEMA = PRESETS["li-operando"]
GRIDS = {
    "volume": Grid((20, 300, 280), (1.3, 1.3, 1.3), origin_um=(5.0, 0.0, 1.0)),
    "anisotropic": Grid((9, 300, 280), (4.0, 0.5, 0.5)),
    "unknown": Grid((20, 300, 280), None),
    "sections": Grid((3, 300, 280), (1.0, 0.25, 0.25), sections=True),
}


@pytest.fixture(scope="module", params=list(GRIDS))
def scan(request, tmp_path_factory) -> Scan:
    grid = GRIDS[request.param]
    path = tmp_path_factory.mktemp("ngff") / "cell.zarr"
    made = Scan.create(path, grid, np.uint16, provenance=MADE)
    grey = np.random.default_rng(0).integers(100, 900, grid.shape_zyx).astype(np.uint16)
    made.image.array[:] = grey
    made.set_stats(sample_stats(made.image)[0])
    for name in ("truth", "prediction"):
        labels = made.create_labels(name, SCHEMA, provenance=MADE)
        labels.array[:] = (grey % 6).astype(np.uint8)
        labels.finish()
    shown = made.create_extra("probabilities/prediction", SCHEMA.names, "u1", provenance=MADE)
    shown.array[:] = 7
    shown.finish()
    entropy = made.create_extra("entropy/prediction", None, "f4", provenance=MADE)
    entropy.array[:] = 0.5
    entropy.finish()
    made.finish()
    return Scan.open(path)


def scale_zyx(grid: Grid) -> tuple[float, ...]:
    z, y, x = grid.voxel_size_um or (1.0, 1.0, 1.0)
    return (1.0 if grid.sections else z, y, x)


def test_it_is_valid_by_the_ngff_models(scan):
    from ome_zarr_models.v05 import Image
    from ome_zarr_models.v05.image_label import ImageLabel
    from ome_zarr_models.v05.labels import Labels

    image = Image.from_zarr(zarr.open_group(str(scan.path), mode="r"))
    multiscale = image.ome_attributes.multiscales[0]
    assert [axis.name for axis in multiscale.axes] == ["z", "y", "x"]
    units = [axis.unit for axis in multiscale.axes]
    if not scan.grid.is_physical:
        assert units == [None, None, None]
    elif scan.grid.sections:
        assert units == [None, "micrometer", "micrometer"]
    else:
        assert units == ["micrometer"] * 3
    first = multiscale.datasets[0].coordinateTransformations
    assert tuple(first[0].scale) == scale_zyx(scan.grid)
    assert tuple(first[1].translation) == scan.grid.origin_um

    labels = Labels.from_zarr(zarr.open_group(str(scan.path / "labels"), mode="r"))
    assert labels.ome_attributes.labels == ["truth", "prediction"]
    group = zarr.open_group(str(scan.path / "labels" / "truth"), mode="r")
    label = ImageLabel.from_zarr(group).ome_attributes.image_label
    colours = {entry.label_value: entry.rgba for entry in label.colors}
    for c in SCHEMA.classes:
        assert tuple(colours[c.value]) == (*c.rgb, 0 if c.role == "background" else 255)
    names = {entry.label_value: entry.model_extra["class"] for entry in label.properties}
    assert names == {**{c.value: c.name for c in SCHEMA.classes}, 255: "unlabelled"}
    for extra in ("probabilities", "entropy"):
        Image.from_zarr(zarr.open_group(str(scan.path / extra / "prediction"), mode="r"))


def test_pyramid_levels_have_the_shapes_their_scales_say(scan):
    from ome_zarr_models.v05 import Image

    image = Image.from_zarr(zarr.open_group(str(scan.path), mode="r"))
    datasets = image.ome_attributes.multiscales[0].datasets
    assert len(datasets) == 2
    full = np.array(scan.grid.shape_zyx)
    for dataset in datasets:
        scale = np.array(dataset.coordinateTransformations[0].scale)
        factor = scale / scale_zyx(scan.grid)
        array = zarr.open_array(str(scan.path / dataset.path), mode="r")
        assert array.shape == tuple(np.ceil(full / factor).astype(int))
    if scan.grid.sections or scan.grid.voxel_size_um == (4.0, 0.5, 0.5):
        assert tuple(factor) == (1, 2, 2)
    else:
        assert tuple(factor) == (2, 2, 2)


def test_ome_zarr_py_opens_it(scan):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    image, *others = list(Reader(parse_url(str(scan.path)))())
    assert np.array_equal(np.asarray(image.data[0]), scan.image.array[:])
    assert image.metadata["axes"][0]["name"] == "z"
    transforms = image.metadata["coordinateTransformations"]
    assert tuple(transforms[0][0]["scale"]) == scale_zyx(scan.grid)
    nodes = {node.zarr.basename(): node for node in others if "color" in node.metadata}
    assert set(nodes) == {"truth", "prediction"}
    truth = nodes["truth"]
    assert np.array_equal(np.asarray(truth.data[0]), scan.labels("truth").volume.array[:])
    assert truth.metadata["color"][2][:3] == [v / 255 for v in SCHEMA["dendrite"].rgb]


def test_napari_opens_it(scan):
    pytest.importorskip("napari_ome_zarr")
    from napari_ome_zarr import napari_get_reader

    layers = napari_get_reader(str(scan.path))(str(scan.path))
    kinds = [kind for _, _, kind in layers]
    assert kinds == ["image", "labels", "labels"]
    data, options, _ = layers[0]
    assert data[0].shape == scan.grid.shape_zyx
    assert np.array_equal(np.asarray(data[0][0]), scan.image.array[0:1][0])
    assert tuple(options["scale"]) == scale_zyx(scan.grid)
    low, high = np.ravel(options["contrast_limits"])
    assert 100 <= low < 120
    assert 880 < high < 900
    data, options, _ = layers[1]
    assert tuple(options["scale"]) == scale_zyx(scan.grid)
    dendrite = options["colormap"][SCHEMA["dendrite"].value]
    assert np.allclose(dendrite[:3], np.array(SCHEMA["dendrite"].rgb) / 255)


def test_napari_shows_probabilities_as_channels(scan):
    pytest.importorskip("napari_ome_zarr")
    from napari_ome_zarr import napari_get_reader

    path = str(scan.path / "probabilities" / "prediction")
    ((data, options, kind),) = napari_get_reader(path)(path)
    assert kind == "image"
    assert options["channel_axis"] == 0
    assert data[0].shape == (6, *scan.grid.shape_zyx)
    assert [name.split(": ")[-1] for name in options["name"]] == list(SCHEMA.names)


def test_napari_viewer_takes_the_layers(scan):
    """The model of a viewer, without a window."""
    pytest.importorskip("napari_ome_zarr")
    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari_ome_zarr import napari_get_reader

    viewer = ViewerModel()
    for layer in napari_get_reader(str(scan.path))(str(scan.path)):
        viewer.add_layer(Layer.create(*layer))
    assert len(viewer.layers) == 3
    truth = viewer.layers[1]
    shown = truth.get_color(SCHEMA["dendrite"].value)
    assert np.allclose(shown[:3], np.array(SCHEMA["dendrite"].rgb) / 255, atol=1e-3)
