from __future__ import annotations

import pytest
import torch
from torch import nn

from tomolith.learn.networks.transforcnn import TransforCNN
from tomolith.learn.optimise import prepare
from tomolith.learn.shuffle import shuffle_pixels


@pytest.mark.parametrize("bias", [True, False])
def test_a_transposed_convolution_becomes_a_1x1_convolution_that_gives_the_same(bias):
    torch.manual_seed(0)
    net = nn.Sequential(nn.ConvTranspose2d(3, 5, 8, stride=8, bias=bias), nn.ReLU())
    image = torch.randn(2, 3, 4, 6)
    expected = net(image)
    assert shuffle_pixels(net) == 1
    assert isinstance(net[0][0], nn.Conv2d)
    torch.testing.assert_close(net(image), expected)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (2, {"stride": 2}),
        (8, {"stride": 4}),
        ((4, 8), {"stride": (4, 8)}),
        (4, {"stride": 4, "padding": 1}),
        (4, {"stride": 4, "groups": 2}),
        (4, {"stride": 4, "dilation": 2}),
        (4, {"stride": 4, "output_padding": 1}),
    ],
)
def test_all_others_stay(kernel, options):
    net = nn.Sequential(nn.ConvTranspose2d(4, 4, kernel, **options))
    assert shuffle_pixels(net) == 0
    assert isinstance(net[0], nn.ConvTranspose2d)


def test_a_prepared_transforcnn_has_none_of_large_stride_and_gives_the_same():
    torch.manual_seed(0)
    net = TransforCNN(1, 2).eval()
    prepared, image = prepare(net, (1, 1, 32, 48), "fp32"), torch.randn(1, 1, 32, 48)
    sides = {m.kernel_size for m in prepared.modules() if isinstance(m, nn.ConvTranspose2d)}
    assert sides == {(2, 2)}
    torch.testing.assert_close(prepared(image), net(image), rtol=1e-4, atol=1e-5)
