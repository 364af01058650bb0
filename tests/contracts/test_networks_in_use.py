"""Every registered network can be trained, stored, exported and used on slices of any size."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from network_helpers import build, component, shaped
from tomolith.blocks import PatchGrid
from tomolith.config import Component, require
from tomolith.core import Box
from tomolith.errors import MissingExtraError
from tomolith.learn.backends import OpenVinoBackend, TorchBackend
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import channels_last, has_depth
from tomolith.learn.sliding import blend_slices
from tomolith.learn.weights import load_into, read_tensors, write_tensors

NAMES = NETWORKS.names()
# exported in CI, too: of each kind of network one that takes seconds, not minutes
MIXED = ("dynunet", "residual_unet", "segnet", "transforcnn")
IN_CI = {
    "fp32": (*MIXED, "local_unet", "mcd_unet", "resnet18_centre", "unet", "ynet"),
    "mixed": MIXED,
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "networks.md"


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def lively(name, seed=0):
    """Build a network with statistics in its batch norms: its logits then vary as if trained."""
    net = build(name, seed=seed)
    norms = [p for p in net.modules() if isinstance(p, nn.BatchNorm2d | nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        net(noise(*shaped(net, 4, 1, 64, 64)))
    for norm in norms:
        norm.momentum = 0.1
        norm.eval()
    return net


@pytest.mark.parametrize("name", NAMES)
def test_slices_of_odd_size_get_logits_everywhere(name):
    net = lively(name)
    side = max(32, net.divisor)
    depth = side if has_depth(net) else 1
    shape = (depth, side + 9, side + 15)
    image = noise(*shape).numpy()

    def infer(batch):
        with torch.inference_mode():
            return net(torch.from_numpy(batch)).numpy()

    def prepare(box):
        return image[box.slices][None] if has_depth(net) else image[box.slices]

    patches = PatchGrid(shape, (depth, side, side), 0.25)
    whole = Box((0, 0, 0), shape)
    found = blend_slices(prepare, infer, patches=patches, write=whole, batch_size=2)
    slices = [(z, out.copy()) for z, out in found]
    assert [z for z, _ in slices] == list(range(depth))
    logits = slices[0][1]
    assert logits.shape == (3, *shape[1:])
    # the corner that only the first patch covers has that patch's logits
    first = infer(prepare(Box((0, 0, 0), (depth, side, side)))[None])[0]
    first = first[:, 0] if has_depth(net) else first
    np.testing.assert_allclose(logits[:, :9, :15], first[:, :9, :15], rtol=1e-3, atol=1e-3)
    assert (logits.std(axis=(1, 2)) > 1e-3).all()


@pytest.mark.parametrize("name", NAMES)
def test_both_channel_layouts_give_the_same_logits(name):
    net = lively(name)
    image, layout = noise(*shaped(net, 2, 1, 64, 64)), channels_last(net)
    with torch.inference_mode():
        contiguous = net(image)
        last = net.to(memory_format=layout)(image.contiguous(memory_format=layout))
    torch.testing.assert_close(last, contiguous, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_stored_weights_give_the_same_logits(name, tmp_path):
    net, other = lively(name, 1), build(name, seed=2)
    image = noise(*shaped(net, 2, 1, 64, 64))
    write_tensors(tmp_path / "weights.safetensors", net.state_dict(), about={})
    tensors, _ = read_tensors(tmp_path / "weights.safetensors")
    with torch.inference_mode():
        assert not torch.equal(other(image), net(image))
        load_into(other, tensors, where=tmp_path)
        assert torch.equal(other(image), net(image))


@pytest.mark.parametrize("name", NAMES)
def test_no_weight_goes_by_two_names(name):
    """The running average would take in each step twice."""
    addresses = [t.data_ptr() for t in build(name).state_dict().values() if t.numel()]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["fp32", "mixed", "bf16"])
def test_pytorch_runs_it_in_every_precision(name, precision):
    net = lively(name)
    assert_same_labels(TorchBackend(net, shaped(net, 2, 1, 64, 64), precision=precision), net)


def exports():
    for precision, name in product(IN_CI, NAMES):
        marks = [pytest.mark.slow_ci] if name in IN_CI[precision] else []
        yield pytest.param(name, precision, marks=marks, id=f"{precision}-{name}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), exports())
def test_openvino_gives_the_same_labels(name, precision):
    try:
        require("openvino", extra="fast")
    except MissingExtraError as error:
        pytest.skip(str(error))
    net = lively(name)
    assert_same_labels(OpenVinoBackend(net, shaped(net, 2, 1, 64, 64), precision=precision), net)


def assert_same_labels(backend, net):
    image = noise(*shaped(net, 2, 1, 64, 64))
    with torch.inference_mode():
        exact = net(image).numpy()
    found = backend.logits(image.numpy())
    spread = float(exact.std())
    error = np.abs(found - exact)
    if backend.precision == "fp32":
        assert error.max() < 1e-3 * spread
    else:
        # an untrained network decides by little, so rounding decides anew here and there; logits of
        # another network would be off by the spread, and agree on a third of the pixels
        assert error.mean() < 0.3 * spread
        assert (found.argmax(1) == exact.argmax(1)).mean() > 0.75


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_named_with_the_line_that_installs_it(name, monkeypatch):
    import importlib

    real = importlib.import_module

    def without(module, *more):
        if module.partition(".")[0] in ("monai", "segmentation_models_pytorch"):
            raise ModuleNotFoundError(f"No module named '{module}'")
        return real(module, *more)

    monkeypatch.setattr("tomolith.config.optional.importlib.import_module", without)
    if NETWORKS.load(name).__module__.rpartition(".")[2] in ("monai", "residual_unet", "zoo"):
        with pytest.raises(MissingExtraError, match=r"pip install 'tomolith\[zoo\]'"):
            NETWORKS.build(component(name), 1, 3)
    else:
        NETWORKS.build(component(name), 1, 3)


def listed():
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d ]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: int(number.replace(" ", "")) for name, number in rows}


def test_every_network_is_listed_with_its_size():
    assert set(listed()) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_listed_size_is_that_of_the_default(name):
    try:
        with torch.device("meta"):  # without memory or random numbers
            net = build(Component(name=name))
    except Exception as error:  # some libraries compute with numbers while they build
        assert "meta tensors" in str(error)
        net = build(Component(name=name))
    assert sum(p.numel() for p in net.parameters()) == listed()[name]
