"""Y-Net has the sizes that the paper names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tomolith.config import Component
from tomolith.learn.networks import NETWORKS


def build(**options):
    torch.manual_seed(0)
    return NETWORKS.build(Component(name="ynet", options=options), 1, 2).eval()


def sizes_of(modules):
    seen = []
    for module in modules:
        module.register_forward_hook(lambda m, i, o: seen.append((o.shape[1], o.shape[2])))
    return seen


def test_the_regular_module_doubles_24_channels_down_to_8_pixels():
    net = build()
    seen = sizes_of(net.regular)
    net(torch.zeros(1, 1, 128, 128))
    assert seen == [(24, 128), (48, 64), (96, 32), (192, 16), (384, 8)]
    kernels = [m.kernel_size for m in net.regular.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(3, 3)] * 5  # convolution and max-pooling take turns


def test_the_dilated_module_has_16_channels_and_halves_by_stride():
    net = build()
    convolutions = [m for m in net.dilated.modules() if isinstance(m, nn.Conv2d)]
    assert {m.out_channels for m in convolutions} == {16}
    assert {m.kernel_size for m in convolutions} == {(3, 3)}
    assert [m.stride[0] for m in convolutions].count(2) == 4
    assert {m.dilation[0] for m in convolutions if m.stride[0] == 1} == {2}
    assert net.dilated(torch.zeros(1, 1, 128, 128)).shape == (1, 16, 8, 8)


def test_the_pyramid_s_layers_stand_beside_the_dilated_module_s():
    net = build()
    joined = []
    net.join.register_forward_hook(lambda m, i, o: joined.append(i[0]))
    image = torch.randn(1, 1, 128, 128)
    net(image)
    assert joined[0].shape == (1, 384 + 16 + 3 * 16, 8, 8)
    dilated = net.dilated(image)
    torch.testing.assert_close(joined[0][:, 384:400], dilated)
    coarsest = joined[0][0, 400:416]  # one cell: the same everywhere
    assert torch.allclose(coarsest, coarsest[:, :1, :1].expand_as(coarsest), atol=1e-6)


def test_every_pixel_sees_the_whole_patch():
    net = build()
    image = torch.randn(1, 1, 128, 128, requires_grad=True)
    net(image)[0, :, 3, 4].sum().backward()
    assert float((image.grad[0, 0] != 0).float().mean()) > 0.9
    assert net.context_px == 128


def test_one_image_of_one_cell_trains():
    net = build().train()
    net(torch.randn(1, 1, 64, 64)).mean().backward()


@pytest.mark.parametrize("options", [{"skips": False}, {"bins": [1]}, {"dilation": 4}])
def test_options_change_the_network(options):
    image = torch.randn(1, 1, 32, 48)
    net = build(**options).train()  # untrained, features fade away unless batches normalise them
    assert net(image).shape == (1, 2, 32, 48)
    assert float((net(image) - build().train()(image)).abs().max()) > 0.01
