"""TransforCNN: a transformer encoder and a convolutional decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tomolith.learn.networks.blocks import DoubleConv, check_counts, check_input, make_norm

TOKEN_DIMS, CELL_PX = 64, 8  # a token of 64 values unfolds to a cell of 8 × 8
N_STAGES = 4  # halvings from the input to the decoder's smallest map
SUB_PATCHES_PX = (16, 32)


class TransforCNN(nn.Module):
    """TransforCNN: 16×16 sub-patches, 8 transformer units, and a CNN decoder.

    Each 16×16 sub-patch is flattened and projected to 64 dimensions, a Fourier-feature
    positional encoding is added, and 8 encoder units follow.  The decoder takes the last
    unit's output, reshaped to 2-D, through 3×3 convolutions and max-pooling down to 8×8 (for
    a 128×128 input) and up again to full size; the outputs of every second unit, reshaped to
    2-D, are concatenated and up-sampled into the stages of matching size.  Source: the
    TransforCNN paper (Methods).

    Where the paper is silent we chose, and kept settable where it matters:

    - *reshaped to 2-D*, for the decoder's input: each token's 64 values unfold to an 8×8 cell,
      so the tokens become one spatially consistent map of half the input's size.
    - *concatenated and up-sampled*: the tokens of units 2, 4, 6 and 8 stand side by side (4 × 64
      channels on the token grid), and one transposed convolution per stage brings them to the
      stage's size.
    - the decoder's own maps on the way down are concatenated too, as in a U-Net.
    - pre-norm units, 4 heads, a hidden layer of 4 × 64, GELU, batch normalisation between
      convolutions, random Fourier features after Tancik et al. (NeurIPS 2020) from coordinates
      counted in 128-pixel units, so that inputs of other sizes work.

    ``decoder: light`` computes less: the tokens come to a stage's size by unfolding alone, each
    token's values as a square cell (as the decoder's input, in which we read the paper's
    *reshaped to 2-D*), and take the place of some of the channels from the stage below; its own
    maps are added instead of concatenated. No stage is then wider than its result.

    ``sub_patch_px: 32`` cuts a quarter as many tokens. They have 64 values as before, so that
    the units are the same: the map they unfold to is a quarter of the input's size, the decoder
    starts there and still goes down to 8×8, and up-sampling from the token grid takes twice the
    factor (which makes the transposed convolutions four times as large; the light decoder then
    needs 32 units to fill its finest cell).

    Attention sees the whole input, so ``context_px`` is the side of the input the network was
    drawn for (128): predict with the patch size it was trained on.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of the decoder at full size; doubled at each stage below.
    units, heads
        Number of encoder units (even) and of attention heads.
    norm
        ``"batch"`` or ``"none"``, between convolutions.
    dropout
        Probability in the encoder units and the decoder, in training.
    decoder
        ``"wide"``, as above; ``"plain"``, without its own maps from the way down; ``"light"``.
    sub_patch_px
        Side of a sub-patch, 16 or 32; also ``divisor``.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of ``sub_patch_px``.

    Examples
    --------
    >>> net = TransforCNN(1, 3)
    >>> net(torch.zeros(1, 1, 128, 128)).shape, net.divisor
    (torch.Size([1, 3, 128, 128]), 16)
    """

    def __init__(  # noqa: PLR0913 - each is an option of the recipe
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: int = 16,
        units: int = 8,
        heads: int = 4,
        norm: str = "batch",
        dropout: float = 0.1,
        decoder: str = "wide",
        sub_patch_px: int = 16,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes, channels=channels)
        if units < 2 or units % 2 or heads < 1 or TOKEN_DIMS % heads:
            raise ValueError(
                f"units is {units} and heads {heads}; units must be even, "
                f"and heads must divide {TOKEN_DIMS}"
            )
        if sub_patch_px not in SUB_PATCHES_PX:
            raise ValueError(f"sub_patch_px is {sub_patch_px}; it may be 16 or 32")
        self.in_channels, self.n_classes = in_channels, n_classes
        self.divisor = sub_patch_px
        self.context_px = 128
        self.embed = nn.Conv2d(in_channels, TOKEN_DIMS, sub_patch_px, stride=sub_patch_px)
        self.position = FourierPosition(TOKEN_DIMS, step=sub_patch_px / 128)
        self.units = nn.ModuleList(
            EncoderUnit(TOKEN_DIMS, heads=heads, dropout=dropout) for _ in range(units)
        )
        self.decoder = Decoder(
            n_tokens_channels=TOKEN_DIMS * (units // 2),
            channels=channels,
            norm=norm,
            dropout=dropout,
            form=decoder,
            sub_patch_px=sub_patch_px,
        )
        self.head = nn.Conv2d(channels, n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        grid = self.embed(image)
        n_y, n_x = grid.shape[2], grid.shape[3]
        tokens = grid.flatten(2).transpose(1, 2) + self.position(n_y, n_x)
        kept = []
        for index, unit in enumerate(self.units, start=1):
            tokens = unit(tokens)
            if index % 2 == 0:
                kept.append(tokens.transpose(1, 2).unflatten(2, (n_y, n_x)))
        unfolded = nn.functional.pixel_shuffle(kept[-1], CELL_PX)
        logits: Tensor = self.head(self.decoder(unfolded, torch.cat(kept, dim=1)))
        return logits


class FourierPosition(nn.Module):
    """Random Fourier features of the tokens' coordinates, which lie ``step`` apart.

    The frequencies are drawn once from a seed of their own and stored with the weights.

    Examples
    --------
    >>> FourierPosition(64, step=0.125)(8, 8).shape
    torch.Size([64, 64])
    """

    frequencies: Tensor

    def __init__(self, dims: int, *, step: float, scale: float = 1.0) -> None:
        super().__init__()
        self.step = step
        generator = torch.Generator().manual_seed(20240)
        drawn = torch.randn((2, dims // 2), generator=generator) * scale
        self.register_buffer("frequencies", drawn)

    def forward(self, n_y: int, n_x: int) -> Tensor:
        """Return the encoding (n_y * n_x, dims) of a grid of tokens."""
        device = self.frequencies.device
        y = torch.arange(n_y, device=device, dtype=torch.float32).view(-1, 1).expand(n_y, n_x)
        x = torch.arange(n_x, device=device, dtype=torch.float32).view(1, -1).expand(n_y, n_x)
        at = torch.stack([y, x], dim=-1).flatten(0, 1) * self.step
        # not a matrix product: under autocast that would round the phases to bf16
        phase = at[:, :1] * self.frequencies[0] + at[:, 1:] * self.frequencies[1]
        phase = 2 * math.pi * phase
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class EncoderUnit(nn.Module):
    """One pre-norm transformer unit: attention, then two linear layers, each added.

    Examples
    --------
    >>> EncoderUnit(64, heads=4, dropout=0.0)(torch.zeros(2, 9, 64)).shape
    torch.Size([2, 9, 64])
    """

    def __init__(self, dims: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention = nn.LayerNorm(dims)
        self.query_key_value = nn.Linear(dims, 3 * dims)
        self.project = nn.Linear(dims, dims)
        self.drop = nn.Dropout(dropout)
        self.feed = nn.Sequential(
            nn.LayerNorm(dims),
            nn.Linear(dims, 4 * dims),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * dims, dims),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape (B, N, dims)."""
        packed = self.query_key_value(self.norm_attention(tokens))
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in packed.chunk(3, dim=2)
        )
        seen = nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0
        )
        tokens = tokens + self.drop(self.project(seen.transpose(1, 2).flatten(2)))
        fed: Tensor = self.feed(tokens)
        return tokens + fed


class Decoder(nn.Module):
    """Down from the unfolded tokens to the token grid, and up to the input's size.

    Stage ``k`` works at 1 / 2**k of the input's size with ``channels * 2**k`` channels. The
    tokens lie ``sub_patch_px`` apart and unfold to cells of 8 × 8, which makes the first stage.

    Raises
    ------
    ValueError
        ``form`` is unknown, or the tokens cannot be unfolded into channels of each stage.
    """

    def __init__(
        self,
        *,
        n_tokens_channels: int,
        channels: int,
        norm: str,
        dropout: float,
        form: str,
        sub_patch_px: int,
    ) -> None:
        super().__init__()
        widths = [channels * 2**k for k in range(N_STAGES + 1)]
        _check_decoder(form, n_tokens_channels, widths, sub_patch_px=sub_patch_px)
        self.form, self.n_tokens_channels, self.is_padded = form, n_tokens_channels, False
        first = int(math.log2(sub_patch_px // CELL_PX))
        self.down = nn.ModuleList(
            DoubleConv(
                1 if k == first else widths[k - 1],
                widths[k],
                norm=norm,
                dropout=dropout if k == N_STAGES else 0.0,
            )
            for k in range(first, N_STAGES + 1)
        )
        self.up, self.rise, self.merge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for k in reversed(range(N_STAGES)):
            factor, width = sub_patch_px // 2**k, widths[k]
            n_up = width
            if form == "light":
                self.rise.append(nn.PixelShuffle(factor))
                n_up, n_in = width - n_tokens_channels // factor**2, width
            else:
                self.rise.append(_rise(n_tokens_channels, width, factor=factor, norm=norm))
                n_in = (3 if form == "wide" and k >= first else 2) * width
            self.up.append(nn.ConvTranspose2d(widths[k + 1], n_up, 2, stride=2))
            self.merge.append(DoubleConv(n_in, width, norm=norm, dropout=dropout))

    def forward(self, unfolded: Tensor, tokens: Tensor) -> Tensor:
        """Return the decoder's map (B, channels, H, W).

        Parameters
        ----------
        unfolded
            (B, 1, H/2, W/2), or a quarter: the last unit's tokens, each as a square cell.
        tokens
            (B, n_tokens_channels, H/16, W/16), or 32: every second unit's tokens.
        """
        x, skips = unfolded, []
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        tokens = tokens.to(skips.pop().dtype)  # in mixed precision: of one type with the maps
        for up, rise, merge in zip(self.up, self.rise, self.merge, strict=True):
            x, risen = up(x), rise(tokens)
            own = skips.pop() if skips else None
            if self.form == "light":
                x = _pad_and_add(x, risen) if self.is_padded and own is None else _join(x, risen)
                x = merge(x if own is None else x + own)
            else:
                x = merge(_join(x, risen, own if self.form == "wide" else None))
        return x

    def for_prediction(self) -> None:
        """Let the last transposed convolution give an empty channel too, to add the tokens to.

        At full size that is faster than to concatenate a single channel.
        """
        if self.form == "light" and self.rise[-1].upscale_factor ** 2 == self.n_tokens_channels:
            last = self.up[-1]
            padded = nn.ConvTranspose2d(last.in_channels, last.out_channels + 1, 2, stride=2)
            padded.weight = nn.Parameter(nn.functional.pad(last.weight, (0, 0, 0, 0, 0, 1)))
            padded.bias = nn.Parameter(nn.functional.pad(last.bias, (0, 1)))
            self.up[-1] = padded
            self.is_padded = True


def _join(*parts: Tensor | None) -> Tensor:
    return torch.cat([part for part in parts if part is not None], dim=1)


def _pad_and_add(x: Tensor, risen: Tensor) -> Tensor:
    chosen = torch.zeros(1, x.shape[1], 1, 1, dtype=x.dtype, device=x.device)
    chosen[:, -1] = 1
    return x + risen * chosen


def _rise(n_in: int, n_out: int, *, factor: int, norm: str) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(n_in, n_out, factor, stride=factor),
        make_norm(norm, n_out),
        nn.ReLU(inplace=True),
    )


def _check_decoder(
    form: str, n_tokens_channels: int, widths: Sequence[int], *, sub_patch_px: int
) -> None:
    if form not in ("wide", "plain", "light"):
        raise ValueError(f"decoder is '{form}'; it may be 'wide', 'plain' or 'light'")
    n_values = sub_patch_px**2  # of one map at the input's size, in each token
    coarsest = 2 ** (N_STAGES - 1)
    if form == "light" and (
        n_tokens_channels % n_values
        or n_tokens_channels >= n_values // coarsest**2 * widths[N_STAGES - 1]
    ):
        raise ValueError(
            f"the light decoder cannot unfold {n_tokens_channels} channels of tokens into stages "
            f"of {widths[0]} channels and more; units must be a multiple of "
            f"{n_values // (TOKEN_DIMS // 2)}, and channels above "
            f"{n_tokens_channels * coarsest // n_values}"
        )
