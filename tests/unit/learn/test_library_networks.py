"""The networks of MONAI and of segmentation-models-pytorch, FCN and SegNet: what is their own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from network_helpers import TINY, build, component
from tomolith.config import Component
from tomolith.errors import RecipeError
from tomolith.learn.losses.base import over_heads
from tomolith.learn.networks import NETWORKS
from tomolith.learn.networks.fcn import FCN
from tomolith.learn.networks.segnet import _unpool
from tomolith.learn.optimise import mix_precision
from tomolith.learn.weights import load_into, read_tensors, write_tensors

# the default encoder: timm has no smaller Swin
SWIN = Component(name="upernet", options={"channels": 16})


def reach_px(net, side):
    """Return how far from a pixel the input changes its logits, by the gradient."""
    with torch.no_grad():  # positive weights: nothing cancels, no maximum hides a path
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                part.weight.abs_()
    reach = 0
    for at in (side // 2, side // 2 + 13):
        image = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
        net.double()(image)[0, :, at, at].sum().backward()
        seen = (image.grad[0, 0] != 0).any(1).nonzero()
        reach = max(reach, at - int(seen.min()), int(seen.max()) - at)
    return reach


@pytest.mark.parametrize(
    ("chosen", "side"),
    [
        (Component(name="residual_unet", options={"channels": [1, 1, 1, 1]}), 192),
        (Component(name="residual_unet", options={"channels": [1, 1, 1], "units": 3}), 128),
        (Component(name="segresnet", options={"channels": 1, "blocks_down": [1, 2, 1]}), 160),
        (
            Component(
                name="segresnet_ds", options={"channels": 1, "blocks_down": [1, 2, 1], "heads": 1}
            ),
            160,
        ),
        (Component(name="dynunet", options={"channels": [1, 1, 1, 1], "heads": 1}), 160),
        (Component(name="fcn", options={"channels": [1] * 5, "head_channels": 1}), 704),
        (Component(name="segnet", options={"channels": [1] * 5}), 512),
    ],
    ids=lambda value: value.name if isinstance(value, Component) else "",
)
def test_the_context_is_what_the_gradient_sees(chosen, side):
    net = build(chosen, n_classes=2)
    found = reach_px(net, side)
    assert found < side // 2 - 13, "the image is too small to tell"
    assert 0.5 * net.context_px < found <= net.context_px


def test_residual_unet_is_the_papers():
    net = build(Component(name="residual_unet"))
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions if m.stride == (2, 2) and m.kernel_size == (3, 3)][
        ::2
    ] == [32, 64, 128, 256, 512, 512]
    assert {m.p for m in net.modules() if isinstance(m, nn.Dropout)} == {0.2}
    kinds = {type(m) for m in net.modules()}
    assert {nn.PReLU, nn.BatchNorm2d} <= kinds
    assert nn.InstanceNorm2d not in kinds


def test_residual_unet_3d_has_the_same_widths_and_brings_a_cube_of_64_down_to_4():
    with torch.device("meta"):
        net = build(Component(name="residual_unet_3d"))
        seen = []
        for part in net.modules():
            if isinstance(part, nn.Conv3d):
                part.register_forward_hook(lambda m, i, o: seen.append((o.shape[1], o.shape[2])))
        assert net(torch.zeros(1, 1, 64, 64, 64)).shape == (1, 3, 64, 64, 64)
    sides = dict(reversed(seen))  # of the first convolution of each width
    widths = (32, 64, 128, 256, 512)
    assert [sides[width] for width in widths] == [32, 16, 8, 4, 4]
    assert net.divisor == 16
    assert {m.p for m in net.modules() if isinstance(m, nn.Dropout)} == {0.2}


def test_the_context_of_a_cube_is_what_the_gradient_sees():
    options = {"channels": [1, 1, 1, 1], "strides": [2, 1, 2]}
    net = build(Component(name="residual_unet_3d", options=options), n_classes=2)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Conv3d | nn.ConvTranspose3d):
                part.weight.abs_()
    image = torch.rand(1, 1, 80, 80, 80, requires_grad=True)
    net(image)[0, :, 40, 40, 40].sum().backward()
    seen = (image.grad[0, 0] != 0).any(2).any(1).nonzero()
    found = max(40 - int(seen.min()), int(seen.max()) - 40)
    assert found < 39, "the image is too small to tell"
    assert 0.5 * net.context_px < found <= net.context_px


@pytest.mark.parametrize("strides", [[2, 2], [2, 2, 3], [2, 2, 2, 2]])
def test_strides_that_do_not_fit_the_levels_are_refused(strides):
    options = {"channels": [2, 2, 2, 2], "strides": strides}
    with pytest.raises(RecipeError, match="between each two of the 4 levels"):
        build(Component(name="residual_unet_3d", options=options))


def test_dynunet_trains_all_its_heads():
    net = build("dynunet").train()
    logits = net(torch.randn(2, 1, 64, 64))
    assert logits.shape == (2, 4, 3, 64, 64)
    assert net.eval()(torch.randn(2, 1, 64, 64)).shape == (2, 3, 64, 64)
    options = {**component("dynunet").options, "heads": 0}
    plain = build(Component(name="dynunet", options=options)).train()
    assert plain(torch.randn(2, 1, 64, 64)).shape == (2, 3, 64, 64)
    with pytest.raises(RecipeError, match="heads 5"):
        NETWORKS.build(Component(name="dynunet", options={"heads": 5}), 1, 2)


def test_segresnet_trains_its_heads_where_it_has_some():
    net = build("segresnet_ds").train()
    image = torch.randn(2, 1, 64, 64)
    logits = net(image)
    assert logits.shape == (2, 3, 3, 64, 64)
    over_heads(lambda scores, _: scores.square().mean(), logits, torch.zeros(2, 64, 64)).backward()
    assert all(level["head"].weight.grad.any() for level in net.net.up_layers)
    low = logits[:, 2]  # of a quarter of the size, scaled up
    assert torch.equal(low[..., ::4, ::4], low[..., 3::4, 3::4])
    assert net.eval()(image).shape == (2, 3, 64, 64)
    plain = Component(name="segresnet_ds", options={"channels": 4, "heads": 0})
    assert build(plain).train()(image).shape == (2, 3, 64, 64)
    with pytest.raises(RecipeError, match="heads is 3"):
        NETWORKS.build(Component(name="segresnet_ds", options={"heads": 3}), 1, 2)


def test_dynunet_keeps_nothing_of_a_step():
    net = build("dynunet").train()
    net(torch.randn(2, 1, 64, 64)).mean().backward()
    assert net.net.heads == [None] * 3
    copy.deepcopy(net)  # refused where a tensor of the graph is kept


def test_each_head_counts_half_as_much_as_the_one_above():
    heads = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 4, 4)
    found = over_heads(lambda logits, _: logits.mean(), heads, torch.zeros(1, 4, 4))
    assert float(found) == pytest.approx((4 * 1 + 2 * 10 + 100) / 7)


@pytest.mark.parametrize("name", ["deeplabv3", "upernet"])
def test_a_network_that_pools_over_the_patch_trains_on_a_batch_of_one(name):
    net = build(name).train()
    logits = net(torch.randn(1, 1, 64, 64))
    assert logits.shape == (1, 3, 64, 64)
    assert bool(torch.isfinite(logits).all())


def test_upernet_takes_swin_at_any_size():
    net = build(SWIN)
    images = torch.randn(2, 1, 64, 96)
    with torch.inference_mode():
        exact = net(images)
        assert exact.shape == (2, 3, 64, 96)
        for height, width in ((32, 32), (160, 96), (224, 224)):
            assert net(torch.randn(1, 1, height, width)).shape == (1, 3, height, width)
        assert torch.equal(net(images), exact)  # nothing is kept of another size
        mix_precision(net, (2, 1, 64, 96))
        assert float((net(images) - exact).abs().max()) < 0.3 * float(exact.std())


def test_stored_swin_gives_the_same_logits(tmp_path):
    net, other = build(SWIN, seed=1), build(SWIN, seed=2)
    image = torch.randn(1, 1, 160, 96)
    with torch.inference_mode():
        exact = net(image)
        assert not torch.equal(other(image), exact)
        write_tensors(tmp_path / "weights.safetensors", net.state_dict(), about={})
        load_into(other, read_tensors(tmp_path / "weights.safetensors")[0], where=tmp_path)
        assert torch.equal(other(image), exact)


def test_swin_learns_at_an_odd_size():
    net = build(SWIN).train()
    net(torch.randn(1, 1, 64, 96)).square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_an_unknown_encoder_is_refused():
    build("unet_plus_plus")
    for encoder in ("resnet9", "tu-nonsense"):
        wrong = Component(name="unet_plus_plus", options={"encoder": encoder})
        with pytest.raises(RecipeError, match=f"encoder '{encoder}' cannot be had"):
            NETWORKS.build(wrong, 1, 2)
    with pytest.raises(RecipeError, match="provide `decoder_channels`"):
        NETWORKS.build(Component(name="manet", options={"encoder": TINY, "channels": [4, 4]}), 1, 2)


def test_fcn_starts_with_bilinear_interpolation():
    up = FCN(1, 2, channels=(1,) * 5, head_channels=1).up[2]
    coarse = torch.randn(1, 2, 6, 6)
    usual = nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    torch.testing.assert_close(up(coarse)[..., 8:-8, 8:-8], usual[..., 8:-8, 8:-8])


def test_segnet_puts_each_maximum_back_where_it_was():
    image = torch.randn(2, 3, 8, 10)
    pooled, places = nn.functional.max_pool2d(image, 2, return_indices=True)
    expected = nn.functional.max_unpool2d(pooled, places, 2)
    assert torch.equal(_unpool(pooled, places), expected)
