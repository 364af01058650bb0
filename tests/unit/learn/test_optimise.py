import pytest
import torch
from torch import nn

from predict_helpers import PATCH_PX, small_bundle
from tomolith.learn.optimise import fold_batch_norms, mix_precision

SHAPE = (3, 1, PATCH_PX, PATCH_PX)


def test_batch_norms_are_folded_into_both_kinds_of_convolution():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.ConvTranspose2d(4, 3, 2, stride=2), nn.BatchNorm2d(3), nn.ReLU()),
        nn.BatchNorm2d(3),
    )
    image = torch.randn(8, 1, 9, 9)
    net(image)  # gives the batch norms statistics
    expected = net.eval()(image)
    assert fold_batch_norms(net) == 2
    assert isinstance(net[1], nn.Identity)
    assert isinstance(net[3], nn.BatchNorm2d)
    torch.testing.assert_close(net(image), expected)


@pytest.mark.parametrize("name", ["unet", "transforcnn"])
def test_mixed_precision_rounds_all_but_the_first_and_the_last_convolution(name):
    mixed = small_bundle(name).build_network()
    n_rounded = mix_precision(mixed, SHAPE)
    order = []
    for part in mixed.modules():
        if hasattr(part, "dtype"):
            part.register_forward_hook(lambda part, *_: order.append(part.dtype))
    mixed(torch.zeros(SHAPE))
    assert order == [torch.float32, *[torch.bfloat16] * n_rounded, torch.float32]
    assert n_rounded > 3
