from __future__ import annotations

import pytest
import torch
from torch import nn

from tomolith.learn.networks.local_patches import AdaptedLcgar, Lcgar, LocalUNet, take_patches
from tomolith.learn.networks.resnet_centre import Resnet18Centre


def _all_pixels(n, height, width):
    grid = torch.meshgrid(torch.arange(n), torch.arange(height), torch.arange(width), indexing="ij")
    return tuple(axis.flatten() for axis in grid)


def test_a_patch_lies_around_its_pixel():
    image = torch.arange(2 * 30 * 40.0).view(2, 1, 30, 40)
    where = tuple(torch.tensor(v) for v in ([1, 0], [12, 0], [25, 39]))
    patches = take_patches(image, where, 16)
    assert torch.equal(patches[0, 0], image[1, 0, 4:20, 17:33])
    assert patches[1, 0, 8, 8] == image[0, 0, 0, 39]
    assert (patches[1, 0, :8, 8:] == image[0, 0, 0, 39]).all()  # edges are repeated


@pytest.mark.parametrize(("local_px", "n_logits"), [(16, 0), (20, 3), (28, 3)])
def test_all_patches_at_once_give_what_each_gives_alone(local_px, n_logits):
    torch.manual_seed(local_px)
    net = Lcgar(2, 4, n_logits=n_logits, local_px=local_px).double().eval()
    net.decide[2].running_mean.normal_()
    image = torch.randn(2, 2, 7, 9, dtype=torch.float64)
    logits = torch.randn(2, n_logits, 7, 9, dtype=torch.float64) if n_logits else None
    batch, y, x = where = _all_pixels(2, 7, 9)
    with torch.no_grad():
        at_once = net(image, logits)[batch, :, y, x]
        given = None if logits is None else logits[batch, :, y, x]
        alone = net.of_patches(take_patches(image, where, local_px), given)
    assert float(at_once.std()) > 0.01
    torch.testing.assert_close(at_once, alone, rtol=0, atol=1e-12)


def test_the_aggregator_has_the_layers_of_table_1():
    net = Lcgar(1, 3, n_logits=3)
    sizes = [(c.out_channels, c.kernel_size[0]) for c in net.features if isinstance(c, nn.Conv2d)]
    assert sizes == [(32, 3), (32, 3), (16, 3), (16, 3), (8, 1), (8, 1)]
    assert net.dense_patch.weight.shape == (128, 8, 2, 2)
    assert net.dense_logits.weight.shape == (128, 3, 1, 1)
    assert net.decide[1].p == 0.2
    assert net.decide[2].num_features == 128


@pytest.mark.parametrize("local_px", [12, 18])
def test_a_side_that_cannot_be_halved_twice_is_refused(local_px):
    with pytest.raises(ValueError, match="multiple of 4, at least 16"):
        Lcgar(1, 3, local_px=local_px)


def test_the_adapted_aggregator_sees_its_patch_and_no_more():
    net = AdaptedLcgar(1, 3, local_px=20).eval()
    image = torch.randn(1, 1, 64, 64, requires_grad=True)
    net(image)[0, :, 30, 31].sum().backward()
    rows = image.grad[0, 0].abs().sum(1).nonzero()
    columns = image.grad[0, 0].abs().sum(0).nonzero()
    assert (int(rows.min()), int(rows.max())) == (20, 39)
    assert (int(columns.min()), int(columns.max())) == (21, 40)


def test_local_patches_of_the_unet_know_nothing_of_each_other():
    net = LocalUNet(1, 3, channels=4).eval()
    image = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        whole = net(image)
        part = net(image[1:, :, 32:, 64:])
        image[1, 0, 40, 70] += 5
        moved = net(image) != whole
    torch.testing.assert_close(whole[1:, :, 32:, 64:], part)
    assert moved[1, :, 32:, 64:].any()
    moved[1, :, 32:, 64:] = False
    assert not moved.any()


def test_the_resnet_gives_every_pixel_the_class_of_its_patch():
    torch.manual_seed(0)
    net = Resnet18Centre(1, 3, channels=4, every_px=1, local_px=16).eval()
    image = torch.randn(2, 1, 7, 9)
    batch, y, x = where = _all_pixels(2, 7, 9)
    with torch.no_grad():
        at_once, alone = net(image)[batch, :, y, x], net.at_pixels(image, where)
    torch.testing.assert_close(at_once, alone)


def test_the_resnet_classifies_every_fourth_pixel_in_its_right_place():
    """The mean of a patch of a ramp is the ramp at its centre, and so is what lies between."""
    net = Resnet18Centre(1, 2, channels=4).eval()
    net.layers = nn.Sequential(nn.Flatten(), _Mean())
    ramp = (torch.arange(128.0)[:, None] + 3 * torch.arange(128.0)).view(1, 1, 128, 128)
    found = net(ramp)[0, 0]
    torch.testing.assert_close(found[20:-20, 20:-20], ramp[0, 0, 20:-20, 20:-20])


class _Mean(nn.Module):
    def forward(self, values):
        return values.mean(1, keepdim=True)


def test_the_resnet_has_the_published_size():
    net = Resnet18Centre(3, 1000)
    assert sum(p.numel() for p in net.parameters()) == 11_689_512  # He et al., as in torchvision
    with pytest.raises(ValueError, match="every_px 3"):
        Resnet18Centre(1, 2, every_px=3)
