from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tomolith.config import parse_settings
from tomolith.errors import RecipeError
from tomolith.learn.augment import augment, read_px
from tomolith.learn.augment_settings import AugmentSettings

NONE = AugmentSettings.model_validate("none")


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


def _disc(side, centre, radius):
    y, x = np.mgrid[:side, :side]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2


def test_none_cuts_the_middle_unchanged():
    image = torch.randn(2, 1, 48, 48)
    target = torch.randint(-1, 3, (2, 48, 48))
    out, labels = augment(image, target, NONE, patch_px=32, rng=_rng())
    torch.testing.assert_close(out, image[:, :, 8:40, 8:40])
    assert torch.equal(labels, target[:, 8:40, 8:40])


@pytest.mark.parametrize("preset", ["paper", "strong"])
def test_image_and_labels_move_together(preset):
    disc = _disc(114, (50, 62), 15)
    image = torch.from_numpy(disc.astype(np.float32) * 2 - 1).expand(8, 1, 114, 114)
    target = torch.from_numpy(disc.astype(np.int64)).expand(8, 114, 114)
    settings = AugmentSettings.model_validate({"preset": preset, "noise_frac": 0})
    out, labels = augment(image, target, settings, patch_px=64, rng=_rng())
    for grey, truth in zip(out[:, 0], labels, strict=True):
        middle = (grey.min() + grey.max()) / 2
        known = truth >= 0
        wrong = ((grey > middle) != (truth == 1)) & known
        assert (truth == 1).sum() > 300
        assert wrong.sum() < 0.04 * known.sum()


@pytest.mark.parametrize(
    ("flip", "seen"),
    [
        (True, {(1, 0), (1, 1), (0, 0), (0, 1)}),
        (False, {(0, 0)}),
        ("left-right", {(0, 0), (0, 1)}),
        ("up-down", {(0, 0), (1, 0)}),
    ],
)
def test_flips_go_only_the_ways_that_are_asked_for(flip, seen):
    target = torch.zeros(64, 16, 16, dtype=torch.int64)
    target[:, :8, :8] = 1  # the upper left quarter
    settings = AugmentSettings.model_validate({"preset": "none", "shift_frac": 0, "flip": flip})
    _, labels = augment(torch.zeros(64, 1, 16, 16), target, settings, patch_px=16, rng=_rng())
    found = {(int(tile[12].max()), int(tile[:, 12].max())) for tile in labels}  # (lower, right)
    assert found == seen


def test_rotated_in_from_outside_is_unlabelled():
    target = torch.zeros(16, 32, 32, dtype=torch.int64)
    settings = AugmentSettings(preset="none", rotate_deg=45, zoom=(1, 1), shift_frac=0)
    settings = settings.model_copy(update={"flip": False, "crop_frac": 0.0})
    image = torch.zeros(16, 1, 32, 32)
    _, labels = augment(image, target, settings, patch_px=32, rng=_rng())
    assert (labels[:, 0, 0] == -1).any()  # corners leave the region
    assert (labels[:, 16, 16] == 0).all()
    assert set(labels.unique().tolist()) == {-1, 0}


def test_a_region_as_read_keeps_the_default_patch_inside():
    settings = AugmentSettings.model_validate({"preset": "paper", "shift_frac": 0.0})
    side = read_px(64, settings)
    target = torch.zeros(64, side, side, dtype=torch.int64)
    _, labels = augment(torch.zeros(64, 1, side, side), target, settings, patch_px=64, rng=_rng())
    assert float((labels == -1).float().mean()) < 0.002


def test_zoom_changes_sizes_as_stated():
    disc = torch.from_numpy(_disc(160, (79.5, 79.5), 20).astype(np.int64))[None]
    for zoom in (0.8, 1.25):
        settings = AugmentSettings.model_validate({"preset": "none", "zoom": (zoom, zoom)})
        _, labels = augment(torch.zeros(1, 1, 160, 160), disc, settings, patch_px=96, rng=_rng())
        assert int((labels == 1).sum()) == pytest.approx(np.pi * 20**2 * zoom**2, rel=0.03)


def test_flips_and_turns_keep_a_shape_s_size():
    disc = torch.from_numpy(_disc(90, (45, 45), 20).astype(np.int64)).expand(16, 90, 90)
    settings = AugmentSettings.model_validate({"preset": "none", "rotate_deg": 180, "flip": True})
    _, labels = augment(torch.zeros(16, 1, 90, 90), disc, settings, patch_px=64, rng=_rng())
    sizes = (labels == 1).sum((1, 2)).float()
    assert float(sizes.min()) == pytest.approx(float(disc[0].sum()), rel=0.03)
    assert float(sizes.max()) == pytest.approx(float(disc[0].sum()), rel=0.03)


def test_brightness_and_contrast_stay_within_five_per_cent():
    image = torch.linspace(-1, 1, 64).expand(256, 1, 64, 64)
    settings = AugmentSettings.model_validate(
        {"preset": "none", "brightness_frac": 0.05, "contrast_frac": 0.05}
    )
    target = torch.zeros(256, 64, 64, dtype=torch.int64)
    out, _ = augment(image, target, settings, patch_px=64, rng=_rng())
    span = (out[..., -1] - out[..., 0]).mean((1, 2)) / 2
    middle = (out[..., -1] + out[..., 0]).mean((1, 2)) / 2
    assert 0.95 <= float(span.min()) < 0.96
    assert 1.04 < float(span.max()) <= 1.05
    assert -0.1 <= float(middle.min()) < -0.09  # 5 % of the grey range of 2
    assert 0.09 < float(middle.max()) <= 0.1


def test_gamma_keeps_the_order_and_the_ends():
    image = torch.linspace(-1.5, 1.5, 65).expand(32, 1, 65, 65)
    settings = AugmentSettings.model_validate({"preset": "none", "gamma": (0.5, 2.0)})
    target = torch.zeros(32, 65, 65, dtype=torch.int64)
    out, _ = augment(image, target, settings, patch_px=65, rng=_rng())
    rows = out[:, 0, 0]
    assert (rows.diff(dim=1) >= -1e-6).all()
    assert float((rows[:, -1] - 1.5).abs().max()) < 1e-4
    assert float(rows[:, 32].std()) > 0.1  # mid-greys do move


def test_blur_is_a_gaussian():
    image = torch.zeros(16, 1, 65, 65)
    image[:, 0, 32, 32] = 1
    settings = AugmentSettings.model_validate({"preset": "none", "blur_px": 2.0})
    target = torch.zeros(16, 65, 65, dtype=torch.int64)
    out, _ = augment(image, target, settings, patch_px=65, rng=_rng(3))
    blurred = [patch[0].numpy() for patch in out if patch[0, 32, 32] < 0.2]
    assert blurred
    y = np.arange(65) - 32
    for patch in blurred:
        sigma = np.sqrt((patch.sum(1) * y**2).sum() / patch.sum())
        source = np.zeros((65, 65), np.float32)
        source[32, 32] = 1
        expected = ndimage.gaussian_filter(source, sigma, truncate=6)
        assert patch.sum() == pytest.approx(1, rel=1e-3)
        np.testing.assert_allclose(patch, expected, atol=0.02 * expected.max())


def test_the_same_seed_gives_the_same_patches():
    image, target = torch.randn(4, 1, 114, 114), torch.randint(0, 2, (4, 114, 114))
    settings = AugmentSettings.model_validate("strong")
    a = augment(image, target, settings, patch_px=64, rng=_rng(5))
    b = augment(image, target, settings, patch_px=64, rng=_rng(5))
    c = augment(image, target, settings, patch_px=64, rng=_rng(6))
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    assert not torch.equal(a[0], c[0])


def test_an_unknown_preset_is_refused():
    with pytest.raises(RecipeError, match="did you mean 'strong'"):
        parse_settings(AugmentSettings, {"preset": "stronk"}, where="train.augment")
    with pytest.raises(RecipeError, match="smallest and a largest"):
        parse_settings(AugmentSettings, {"zoom": [1.0, 0.8]}, where="train.augment")


def test_removed_rows_are_missing_at_the_top_and_the_rest_is_stretched():
    ramp = torch.arange(64.0)[:, None].expand(40, 1, 64, 64)
    target = (torch.arange(64) < 6).long()[:, None].expand(40, 64, 64)
    settings = AugmentSettings.model_validate({"preset": "none", "rows_removed": 10})
    out, labels = augment(ramp, target, settings, patch_px=64, rng=_rng())
    # row i of the patch shows row r + i * (64 - r) / 64 of the image, counted between rows
    removed = {int(r) for r in range(11)}
    seen = set()
    for patch, truth in zip(out[:, 0, :, 0], labels[:, :, 0], strict=True):
        r = 64 - round(float(patch[40] - patch[20]) / 20 * 64)
        seen.add(r)
        expected = r + (torch.arange(64) + 0.5) * (64 - r) / 64 - 0.5
        torch.testing.assert_close(patch[1:-1], expected[1:-1], rtol=0, atol=1e-3)
        assert int((truth == 1).sum()) == pytest.approx(max(0, 6 - r) * 64 / (64 - r), abs=1)
    assert seen <= removed
    assert len(seen) > 7


def _neighbours_alike(noise):
    """Correlation of each pixel with the next one."""
    return float(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1])


def test_noise_has_the_strength_and_the_grain_that_are_asked_for():
    settings = NONE.model_copy(update={"noise_frac": 0.2, "noise_px": 1.0})
    image = torch.zeros(64, 2, 64, 64)
    out, _ = augment(image, torch.zeros(64, 64, 64).long(), settings, patch_px=64, rng=_rng())
    noisy = [patch.numpy() for patch in out if patch.std() > 0]
    assert 20 < len(noisy) < 44  # half of them
    assert max(patch.std() for patch in noisy) == pytest.approx(0.4, rel=0.1)
    alike = [_neighbours_alike(patch[0]) for patch in noisy]
    # noise blurred by s has the correlation exp(-1 / 4 s²) between neighbours
    assert max(alike) == pytest.approx(np.exp(-0.25), abs=0.06)
    assert min(alike) < 0.2


def test_noise_without_grain_has_independent_pixels():
    settings = NONE.model_copy(update={"noise_frac": 0.2})
    out, _ = augment(
        torch.zeros(8, 1, 64, 64),
        torch.zeros(8, 64, 64).long(),
        settings,
        patch_px=64,
        rng=_rng(),
    )
    noisy = [patch[0].numpy() for patch in out if patch.std() > 0]
    assert noisy
    assert all(abs(_neighbours_alike(patch)) < 0.08 for patch in noisy)
