"""TransforCNN's decoders and sub-patches: what they join, and what they cost."""

from __future__ import annotations

import pytest
import torch

from tomolith.config import Component
from tomolith.errors import RecipeError
from tomolith.learn.networks import NETWORKS


def build(name="transforcnn", **options):
    torch.manual_seed(0)
    return NETWORKS.build(Component(name=name, options=options), 1, 2).eval()


@pytest.mark.parametrize("decoder", ["wide", "plain", "light"])
def test_every_decoder_gives_logits_of_the_image_s_size(decoder):
    net = build(decoder=decoder)
    assert net(torch.zeros(1, 1, 48, 80)).shape == (1, 2, 48, 80)
    net.train()(torch.randn(2, 1, 32, 32)).square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_the_light_decoder_puts_each_token_s_values_where_the_token_lies():
    net = build(decoder="light")
    tokens = torch.zeros(1, 256, 8, 8)
    tokens[0, :, 2, 5] = 1.0
    for rise, factor in zip(net.decoder.rise, (2, 4, 8, 16), strict=True):
        risen = rise(tokens)
        assert risen.shape == (1, 256 // factor**2, 8 * factor, 8 * factor)
        there = risen[..., 2 * factor : 3 * factor, 5 * factor : 6 * factor]
        assert float(there.min()) == 1.0
        assert float(risen.sum()) == 256


def test_no_stage_of_the_light_decoder_is_wider_than_its_result():
    merges = build(decoder="light").decoder.merge
    assert [merge[0].in_channels for merge in merges] == [128, 64, 32, 16]
    assert [merge[0].in_channels for merge in build().decoder.merge] == [384, 192, 96, 32]


def test_the_light_decoder_adds_its_own_maps():
    net, given = build(decoder="light"), []
    net.decoder.down[0].register_forward_hook(lambda m, i, o: torch.full_like(o, 5.0))
    net.decoder.up[2].register_forward_hook(lambda m, i, o: torch.zeros_like(o))
    net.decoder.merge[2].register_forward_hook(lambda m, i, o: given.append(i[0]))
    net(torch.randn(1, 1, 32, 32))
    assert torch.equal(given[0][:, :28], torch.full((1, 28, 16, 16), 5.0))


@pytest.mark.parametrize("options", [{}, {"units": 16, "channels": 32}, {"norm": "none"}])
def test_the_light_decoder_rewritten_for_prediction_gives_the_same(options):
    net = build(decoder="light", **options)
    image = torch.randn(2, 1, 48, 32)
    expected, n_up = net(image), net.decoder.up[3].out_channels
    net.decoder.for_prediction()
    torch.testing.assert_close(net(image), expected)
    alone = options.get("units", 8) == 8  # the tokens of 16 units fill two channels
    assert net.decoder.up[3].out_channels == n_up + alone


@pytest.mark.parametrize("options", [{"units": 4}, {"channels": 8}])
def test_tokens_that_cannot_be_unfolded_are_refused(options):
    with pytest.raises(RecipeError, match="light decoder cannot unfold"):
        build(decoder="light", **options)
    with pytest.raises(RecipeError, match="may be 'wide', 'plain' or 'light'"):
        build(decoder="narrow")


@pytest.mark.parametrize("decoder", ["wide", "plain"])
def test_sub_patches_of_32_pixels_give_logits_of_the_image_s_size(decoder):
    net = build(decoder=decoder, sub_patch_px=32)
    assert net.divisor == 32
    assert net(torch.zeros(1, 1, 96, 160)).shape == (1, 2, 96, 160)
    net.train()(torch.randn(2, 1, 64, 64)).square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("sub_patch_px", "n_tokens", "first"), [(16, 64, (32, 64, 64)), (32, 16, (64, 32, 32))]
)
def test_the_decoder_starts_at_the_unfolded_tokens_and_goes_down_to_8_pixels(
    sub_patch_px, n_tokens, first
):
    net, tokens, maps = build(sub_patch_px=sub_patch_px), set(), []
    for unit in net.units:
        unit.register_forward_hook(lambda m, i, o: tokens.add(o.shape[1:]))
    for block in net.decoder.down:
        block.register_forward_hook(lambda m, i, o: maps.append(o.shape[1:]))
    net(torch.zeros(1, 1, 128, 128))
    assert tokens == {(n_tokens, 64)}
    assert (maps[0], maps[-1]) == (first, (256, 8, 8))


def test_a_place_has_the_same_code_whatever_the_sub_patches():
    fine, coarse = build().position(8, 8), build(sub_patch_px=32).position(4, 4)
    torch.testing.assert_close(fine.view(8, 8, 64)[::2, ::2].reshape(16, 64), coarse)


def test_a_model_of_before_the_option_loads():
    state = build().state_dict()
    assert state["embed.weight"].shape == (64, 1, 16, 16)
    assert {"position.frequencies", "units.7.project.weight", "decoder.rise.3.0.weight"} < set(
        state
    )
    build(sub_patch_px=16).load_state_dict(state, strict=True)
    with pytest.raises(RuntimeError, match=r"size mismatch for embed\.weight"):
        build(sub_patch_px=32).load_state_dict(state)


def test_other_sub_patches_are_refused():
    with pytest.raises(RecipeError, match="sub_patch_px is 8; it may be 16 or 32"):
        build(sub_patch_px=8)
    with pytest.raises(RecipeError, match="units must be a multiple of 32, and channels above 2"):
        build(decoder="light", sub_patch_px=32)
    net = build(decoder="light", sub_patch_px=32, units=32)
    assert net(torch.zeros(1, 1, 64, 32)).shape == (1, 2, 64, 32)
