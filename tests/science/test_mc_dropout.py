"""The UGSM's uncertainty is higher where it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tomolith.config import Component
from tomolith.learn.networks import NETWORKS
from tomolith.learn.networks.mcd_unet import predictive_entropy


def _images(n, seed):
    """Return noisy images of three phases (n, 1, 32, 32), two of them alike, and their classes."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(n, 32, 32)), (0, 4, 4))
    truth = np.digitize(smooth, np.quantile(smooth, [0.35, 0.65]))
    grey = np.array([-0.6, 0.2, 0.6])[truth] + rng.normal(0, 0.35, truth.shape)
    return torch.from_numpy(grey[:, None].astype(np.float32)), torch.from_numpy(truth)


@pytest.fixture(scope="module")
def answers():
    """Return the entropy of each pixel of new images, and whether its class is wrong."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"channels": 8, "depth": 2, "passes": 8}
        net = NETWORKS.build(Component(name="mcd_unet", options=options), 1, 3)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        images, truth = _images(32, seed=1)
        for step in range(40):
            part = slice(step % 4 * 8, step % 4 * 8 + 8)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images[part]), truth[part]).backward()
            optimizer.step()
    images, truth = _images(16, seed=2)
    with torch.no_grad():
        logits = net.eval()(images)
    return predictive_entropy(logits).flatten(), (logits.argmax(1) != truth).flatten()


def test_wrong_pixels_are_the_uncertain_ones(answers):
    entropy, wrong = answers
    assert 0.02 < float(wrong.float().mean()) < 0.4
    assert float(entropy[wrong].mean()) > 1.3 * float(entropy[~wrong].mean())


def test_the_curriculum_goes_from_the_easy_to_the_hard(answers):
    entropy, wrong = answers
    easy, *_, hard = (float(part.mean()) for part in wrong[entropy.argsort()].float().chunk(4))
    assert easy < 0.3 * float(wrong.float().mean())
    assert hard > 2 * float(wrong.float().mean())
