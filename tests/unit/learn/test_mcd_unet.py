from __future__ import annotations

import pytest
import torch

from tomolith.learn.networks.mcd_unet import FixedDropout, McdUNet, predictive_entropy


def _net(seed=0, **options):
    torch.manual_seed(seed)
    net = McdUNet(1, 3, **{"channels": 4, "depth": 2, "passes": 4, "dropout": 0.3, **options})
    with torch.no_grad():
        net.head.weight *= 20  # untrained logits differ too little to tell passes apart
    return net


def test_prediction_is_the_mean_of_the_passes():
    net = _net().eval()
    image = torch.randn(2, 1, 16, 24)
    with torch.no_grad():
        logits = net(image)
        skips = [net.down[0](image)]
        for block in net.down[1:]:
            skips.append(block(torch.nn.functional.max_pool2d(skips[-1], 2)))
        passes = torch.stack([net._rise(skips, i) for i in range(4)]).softmax(dim=2)
    torch.testing.assert_close(logits.exp(), passes.mean(0))
    assert float(passes.std(0).mean()) > 0.005  # and they do differ


def test_without_dropout_one_pass_is_all(monkeypatch):
    net = _net(dropout=0.0).eval()
    image = torch.randn(1, 1, 16, 16)
    expected = net._rise(net._sink(image), 0).softmax(dim=1)
    seen, rise = [], net._rise
    monkeypatch.setattr(net, "_rise", lambda skips, which: seen.append(which) or rise(skips, which))
    torch.testing.assert_close(net(image).exp(), expected)
    assert seen == [0]


def test_labels_depend_neither_on_the_batch_nor_on_the_cut():
    net = _net().eval()
    image = torch.randn(3, 1, 160, 160)
    with torch.no_grad():
        whole, again, alone = net(image), net(image), net(image[1:2])
        part = net(image[:, :, 40:120, 40:120])
    reach = 4 * (-(-net.context_px // 4))
    inner = slice(reach, 80 - reach)
    assert torch.equal(whole, again)
    torch.testing.assert_close(whole[1:2], alone)
    assert 80 - 2 * reach > 8
    torch.testing.assert_close(
        whole[:, :, 40:120, 40:120][..., inner, inner], part[..., inner, inner], rtol=0, atol=1e-5
    )


def test_training_draws_new_masks():
    net = _net().train()
    image = torch.randn(2, 1, 16, 16)
    torch.manual_seed(1)
    a, b = net(image), net(image)
    torch.manual_seed(1)
    assert not torch.equal(a, b)
    assert torch.equal(net(image), a)


def test_the_masks_are_stored_with_the_weights_and_do_not_depend_on_their_seed():
    one, other = _net(seed=1), _net(seed=2)
    names = [name for name in one.state_dict() if "masks" in name]
    assert len(names) == 3
    assert all(torch.equal(one.state_dict()[n], other.state_dict()[n]) for n in names)


def test_a_mask_drops_the_share_that_it_should():
    drop = FixedDropout(1000, 0.2, 5, torch.Generator().manual_seed(0)).eval()
    out = drop(torch.ones(1, 1000, 1, 1), 3)
    assert float((out == 0).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert float(out.max()) == pytest.approx(1.25)


def test_entropy_is_one_where_nothing_is_known_and_zero_where_all_is():
    logits = torch.tensor([[0.0, 0.0], [0.0, -80.0], [0.0, -80.0]])[None, :, :, None]
    torch.testing.assert_close(predictive_entropy(logits)[0, :, 0], torch.tensor([1.0, 0.0]))


def test_an_impossible_number_of_passes_is_refused():
    with pytest.raises(ValueError, match="passes 0"):
        McdUNet(1, 2, passes=0)
