"""How sure a network is: flips of the image, dropout at prediction, members of an ensemble.

The passes of ``mcd_unet``, with masks that are stored with its weights, count as members.

Each gives a set of probabilities per pixel. From a set come its mean, whose logarithm takes the
place of the logits, and the mutual information: the entropy of the mean less the mean of the
entropies, which is what the members of the set disagree about.

Sources: Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016 (Monte-Carlo
dropout); Houlsby et al., arXiv 1112.5745, equation 2 (mutual information).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tomolith.errors import InputError
from tomolith.learn.backends import Backend, TorchBackend, build_backend
from tomolith.learn.networks.ensemble import HasMembers, MembersApart
from tomolith.learn.optimise import BatchShape
from tomolith.learn.settings import PredictSettings

Float32 = npt.NDArray[np.float32]

_SEED = 20_161
_TINY = np.float32(1e-30)


def build_predictor(
    network: nn.Module, batch_shape: BatchShape, settings: PredictSettings
) -> Backend:
    """Return what runs ``network`` as ``settings`` ask for.

    Without flips, dropout and mutual information this is
    :func:`~tomolith.learn.backends.build_backend`. Else its logits are logarithms of mean
    probabilities, and where mutual information is asked for it is one more channel, the last.

    Parameters
    ----------
    network
        Maps (B, in_channels, H, W) to logits (B, n_classes, H, W); a 3-D network has one axis
        more.
    batch_shape
        Of its input.

    Raises
    ------
    InputError
        Dropout is asked for and the network has none, or mutual information and there is
        nothing that could disagree.
    ResourceError
        The backend or device is not there, or cannot take the network.

    Examples
    --------
    >>> settings = PredictSettings(backend="torch", threads=1, flips=True, mutual_information=True)
    >>> net = nn.Conv2d(1, 2, 3, padding=1)
    >>> build_predictor(net, (2, 1, 8, 8), settings).logits(np.ones((2, 1, 8, 8), "f4")).shape
    (2, 3, 8, 8)
    """
    if not (settings.flips or settings.mc_dropout or settings.mutual_information):
        return build_backend(network, batch_shape, settings)
    weights = _member_weights(network, settings)
    module = MembersApart(network) if weights else network
    if settings.mc_dropout:
        module = with_fixed_dropout(module)
    return SampledBackend(
        build_backend(module, batch_shape, settings),
        weights=weights or (1.0,),
        flips=settings.flips,
        n_masks=settings.mc_dropout,
        mutual_information=settings.mutual_information,
    )


def _member_weights(network: nn.Module, settings: PredictSettings) -> tuple[float, ...]:
    """Return the weights of members that are to be told apart; none where that is not needed."""
    if not settings.mutual_information:
        return ()
    if isinstance(network, HasMembers) and len(network.weights) > 1:
        return network.weights
    if settings.flips or settings.mc_dropout:
        return ()
    raise InputError(
        "mutual information is asked for, and there is nothing that could disagree",
        where="predict.mutual_information",
        mend="set 'flips: true', or use an ensemble; a network trained with dropout may take "
        "'mc_dropout: 20', and 'mcd_unet' has passes of its own",
    )


class SampledBackend:
    """Runs a backend several times for each batch, and averages the probabilities.

    Parameters
    ----------
    backend
        Gives logits (B, members * n_classes, H, W).
    weights
        Of the members, with sum 1.
    flips
        Whether each batch is run in all four mirrorings of its rows and columns.
    n_masks
        Dropout masks; 0: none.
    mutual_information
        Whether it is appended as a channel.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        weights: tuple[float, ...] = (1.0,),
        flips: bool = False,
        n_masks: int = 0,
        mutual_information: bool = False,
    ) -> None:
        self._backend, self._weights = backend, weights
        self._flips, self._n_masks = flips, n_masks
        self._mutual_information = mutual_information
        self.name, self.version = backend.name, backend.version
        self.precision, self.device = backend.precision, backend.device
        self.n_threads = backend.n_threads

    def logits(self, batch: Float32) -> Float32:
        """Return log mean probabilities (B, n_classes [+ 1], ...) of ``batch``."""
        n_runs = max(1, self._n_masks) * (4 if self._flips else 1)
        mean: Float32 | None = None
        doubt: Float32 | None = None
        for run in self._runs(batch):
            for weight, logits in zip(
                self._weights, np.split(run, len(self._weights), axis=1), strict=True
            ):
                shares, part = _softmax(logits), np.float32(weight / n_runs)
                mean = shares * part if mean is None else mean + shares * part
                if self._mutual_information:
                    own = _entropy(shares) * part
                    doubt = own if doubt is None else doubt + own
        assert mean is not None
        out = np.log(np.maximum(mean, _TINY))
        if doubt is None:
            return out
        gain = (_entropy(mean) - doubt) / np.float32(np.log(mean.shape[1]))
        return np.concatenate([out, np.clip(gain, 0, 1)[:, None]], axis=1)

    def _runs(self, batch: Float32) -> Iterator[Float32]:
        mirrorings = list(product((False, True), repeat=2)) if self._flips else [(False, False)]
        for mask in range(max(1, self._n_masks)):
            if self._n_masks:
                assert isinstance(self._backend, TorchBackend)
                choose_masks(self._backend.module, mask)
            for mirrored in mirrorings:
                axes = tuple(axis for axis, flip in zip((-2, -1), mirrored, strict=True) if flip)
                logits = self._backend.logits(np.ascontiguousarray(np.flip(batch, axes)))
                yield np.ascontiguousarray(np.flip(logits, axes))


def _softmax(logits: Float32) -> Float32:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _entropy(shares: Float32) -> Float32:
    """Return the entropy (B, ...) in nats."""
    return -(shares * np.log(np.maximum(shares, _TINY))).sum(axis=1)


class FixedDropout(nn.Module):
    """Dropout with a mask that depends on ``number`` alone, and is the same for a whole batch.

    One number stands for one thinned network, by which every patch of a scan is predicted: so
    labels depend neither on a patch's place in its batch nor on the blocks.

    Parameters
    ----------
    p
        Probability of dropping.
    by_channel
        Whether whole channels are dropped, as ``nn.Dropout2d`` does.
    layer
        Index of the layer in its network: each has masks of its own.

    Examples
    --------
    >>> layer = FixedDropout(0.5, by_channel=True, layer=0)
    >>> image = torch.ones(2, 8, 3, 3)
    >>> torch.equal(layer(image)[0], layer(image)[1])
    True
    """

    def __init__(self, p: float, *, by_channel: bool, layer: int) -> None:
        super().__init__()
        self.p, self.by_channel, self.layer = p, by_channel, layer
        self.number = 0

    def forward(self, given: Tensor) -> Tensor:
        """Return ``given`` (B, ...) with some values 0, the others divided by ``1 - p``."""
        shape = given.shape[1:]
        if self.by_channel:
            shape = torch.Size([shape[0], *(1 for _ in shape[1:])])
        generator = torch.Generator().manual_seed(
            _SEED + 1_000_003 * self.number + 7_919 * self.layer
        )
        kept = torch.rand(shape, generator=generator, device="cpu") >= self.p
        mask = kept.to(device=given.device, dtype=given.dtype) / (1 - self.p)
        return given * mask[None]


def with_fixed_dropout(network: nn.Module) -> nn.Module:
    """Return a copy in which every dropout layer stays active, with fixed masks.

    Dropout inside attention is no layer of its own and stays off; the passes of ``mcd_unet`` keep
    the masks that are stored with its weights.

    Raises
    ------
    InputError
        The network has no dropout layer.

    Examples
    --------
    >>> net = with_fixed_dropout(nn.Sequential(nn.Dropout(0.5)).eval())
    >>> found = net(torch.ones(1, 64))
    >>> torch.equal(found, net(torch.ones(1, 64))), found.unique().tolist()
    (True, [0.0, 2.0])
    """
    mean = network.network if isinstance(network, MembersApart) else network
    disagrees = isinstance(mean, HasMembers) and len(mean.weights) > 1
    network = copy.deepcopy(network)
    layers = [
        (name, part)
        for name, part in network.named_modules()
        if isinstance(part, nn.modules.dropout._DropoutNd) and 0 < part.p < 1
    ]
    if not layers and disagrees:
        raise InputError(
            "Monte-Carlo dropout is asked for, and the masks of this network are fixed, or its "
            "members have none",
            where="predict.mc_dropout",
            mend="leave it out; 'mutual_information' compares the passes or members as they are",
        )
    if not layers:
        raise InputError(
            "Monte-Carlo dropout is asked for, and the network has no dropout",
            where="predict.mc_dropout",
            mend="train with 'network: {name: ..., dropout: 0.2}', or use 'flips' or an ensemble",
        )
    for index, (name, part) in enumerate(layers):
        by_channel = not isinstance(part, nn.Dropout | nn.AlphaDropout)
        network.set_submodule(name, FixedDropout(part.p, by_channel=by_channel, layer=index))
    return network


def choose_masks(network: nn.Module, number: int) -> None:
    """Make all fixed dropout layers of ``network`` use the masks of ``number``.

    Examples
    --------
    >>> net = with_fixed_dropout(nn.Sequential(nn.Dropout(0.5)))
    >>> choose_masks(net, 3), net[0].number
    (None, 3)
    """
    for part in network.modules():
        if isinstance(part, FixedDropout):
            part.number = number
