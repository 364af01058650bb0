"""Every registered network keeps the contract of ``learn/networks/__init__.py``."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from network_helpers import build as _build
from network_helpers import component, shaped
from tomolith.config import Component
from tomolith.errors import InputError, RecipeError
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import has_depth

NAMES = NETWORKS.names()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("in_channels", "n_classes"), [(1, 2), (3, 6)])
def test_logits_have_the_shape_of_the_image(name, in_channels, n_classes):
    net = _build(name, in_channels, n_classes)
    d = net.divisor
    for height, width in ((128, 128), (d, 2 * d), (3 * d, 5 * d)):
        with torch.no_grad():
            image = torch.zeros(shaped(net, 2, in_channels, height, width))
            logits = net(image)
        assert logits.shape == (2, n_classes, *image.shape[2:])


@pytest.mark.parametrize("name", NAMES)
def test_a_side_that_is_not_divisible_is_refused_with_the_shape_to_pad_to(name):
    net = _build(name)
    d = net.divisor
    if d > 1:
        with pytest.raises(InputError) as caught:
            net(torch.zeros(shaped(net, 1, 1, 2 * d, 2 * d + 1)))
        assert f"{2 * d} × {3 * d} pixels" in str(caught.value)
        assert "pad it to" in str(caught.value)
    with pytest.raises(InputError, match="array of shape"):
        net(torch.zeros(shaped(net, 1, 2, d, d)))


@pytest.mark.parametrize("name", NAMES)
def test_slices_are_not_taken_for_cubes(name):
    net = _build(name)
    with pytest.raises(InputError, match="array of shape"):
        net(torch.zeros(1, 1, 64, 64) if has_depth(net) else torch.zeros(1, 1, 64, 64, 64))
    assert has_depth(net) == has_depth(NETWORKS.load(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights(name):
    a, b, c = (_build(name, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def _after_a_step(name):
    """Weights after one step of training from the same seed, dropout and all."""
    net = _build(name, seed=3).train()
    torch.manual_seed(4)
    image = torch.randn(shaped(net, 2, 1, 64, 64))
    net(image).square().mean().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    return net.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_a_step_of_training(name):
    first, second = _after_a_step(name), _after_a_step(name)
    assert all(torch.equal(first[k], second[k]) for k in first)
    before = _build(name, seed=3).state_dict()
    assert any(not torch.equal(first[k], before[k]) for k in first)


@pytest.mark.parametrize("name", NAMES)
def test_one_patch_does_not_depend_on_the_others_of_its_batch(name):
    net = _build(name)
    images = torch.randn(shaped(net, 3, 1, 64, 64))
    with torch.no_grad():
        together, alone = net(images), net(images[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_unet_context_is_what_the_gradient_sees():
    net = _build("unet")
    image = torch.randn(1, 1, 384, 384, requires_grad=True)
    y, x = 187, 190
    net(image)[0, :, y, x].sum().backward()
    seen = image.grad[0, 0].abs() > 0
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    reach = max(y - rows.min(), rows.max() - y, x - columns.min(), columns.max() - x)
    assert int(reach) <= net.context_px
    assert int(reach) > net.context_px - 32  # and it is not overstated by much


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name):
    net = _build(name).train()
    net(torch.randn(shaped(net, 2, 1, 64, 64))).square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_option_names_the_nearest(name):
    known = NETWORKS.options(name)
    hint = "did you mean 'dropout'" if "dropout" in known else "unknown option 'dropuot'"
    with pytest.raises(RecipeError, match=hint):
        NETWORKS.build(Component(name=name, options={"dropuot": 0.5}), 1, 2)
    if "norm" in known:
        with pytest.raises(RecipeError, match="may be 'batch' or 'none'"):
            NETWORKS.build(Component(name=name, options={"norm": "instance"}), 1, 2)


def _options_of(name, *kinds):
    return {k: p for k, p in NETWORKS.options(name).items() if p.annotation in kinds}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, -1])
def test_a_number_below_one_is_refused_or_runs(name, n):
    small = component(name).options
    for option, parameter in _options_of(name, int, Sequence[int]).items():
        value = n if parameter.annotation is int else [*parameter.default[:-1], n]
        chosen = Component(name=name, options={**small, option: value})
        try:
            net = _build(chosen)
        except RecipeError:
            continue
        net(torch.zeros(shaped(net, 1, 1, 64, 64)))


@pytest.mark.parametrize("name", NAMES)
def test_a_dropout_that_is_no_share_is_refused(name):
    for option in _options_of(name, float):
        for value in (-0.5, 1.5):
            with pytest.raises(RecipeError, match="dropout"):
                _build(Component(name=name, options={**component(name).options, option: value}))


@pytest.mark.parametrize("name", NAMES)
def test_an_option_of_another_type_is_refused(name):
    for option in NETWORKS.options(name):
        with pytest.raises(RecipeError, match=f"option '{option}' of network '{name}' is"):
            NETWORKS.build(Component(name=name, options={option: {0: None}}), 1, 2)


def test_unet_is_the_papers():
    net = _build("unet")
    sizes = {}
    for block in net.down:
        block.register_forward_hook(lambda m, i, o: sizes.__setitem__(o.shape[1], o.shape[2]))
    net(torch.zeros(1, 1, 128, 128))
    assert sizes == {16: 128, 32: 64, 64: 32, 128: 16, 256: 8}


def test_unet_depth_and_channels_are_settable():
    net = NETWORKS.build(Component(name="unet", options={"depth": 2, "channels": 4}), 1, 2)
    assert net.divisor == 4
    assert net(torch.zeros(1, 1, 12, 20)).shape == (1, 2, 12, 20)


def test_transforcnn_is_the_papers():
    net = _build("transforcnn")
    assert len(net.units) == 8
    tokens, smallest = [], []
    for unit in net.units:
        unit.register_forward_hook(lambda m, i, o: tokens.append(o.shape[1:]))
    net.decoder.down[-1].register_forward_hook(lambda m, i, o: smallest.append(o.shape[1:]))
    net(torch.zeros(1, 1, 128, 128))
    assert set(tokens) == {(64, 64)}  # 8 × 8 sub-patches of 16 × 16, 64 dimensions
    assert smallest == [(256, 8, 8)]


def test_transforcnn_tells_places_apart():
    net = _build("transforcnn")
    code = net.position(8, 8)
    distance = torch.cdist(code, code) + torch.eye(64) * 9
    assert float(distance.min()) > 0.1
    assert torch.equal(net.position(16, 8)[:64], code)  # the same place, the same code
