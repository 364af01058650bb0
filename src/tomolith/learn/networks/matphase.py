"""MatPhase: a U-Net that knows where it is unsure, and a second look at local patches."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tomolith.learn.networks.blocks import check_counts, check_input
from tomolith.learn.networks.local_patches import Lcgar
from tomolith.learn.networks.mcd_unet import SMALLEST_SHARE, McdUNet

PARTS = ("ugsm", "lcgar", "idk")


class MatPhase(nn.Module):
    """MatPhase: UGSM, then LCGAR on local patches, which may answer 'I don't know'.

    The UGSM, a U-Net with Monte-Carlo dropout (:class:`~tomolith.learn.networks.mcd_unet.McdUNet`),
    gives logits; the LCGAR (:class:`~tomolith.learn.networks.local_patches.Lcgar`) sees each
    pixel's local patch and these logits.  Stages, Table I, LeakyReLU and dropout are the MatPhase
    paper's; for the rest, of which only the appendix is public in detail, this is our reading (see
    ``docs/explanation/matphase.md``):

    - LCGAR has one output more than classes, 'I don't know', learnt by the loss of
      :func:`~tomolith.learn.matphase.abstain.abstaining_loss`.
    - What LCGAR does not know is left to the UGSM: the probability of a class is LCGAR's, plus
      that of 'I don't know' times the UGSM's.

    It is trained in two runs, one for each part (:mod:`tomolith.learn.matphase.train`).

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    parts
        What it is made of: ``"ugsm+lcgar+idk"``, or less, to see what each part brings: ``"ugsm"``
        alone, ``"ugsm+lcgar"`` without 'I don't know', ``"lcgar+idk"`` without the UGSM.
    channels, passes
        Of the UGSM.
    local_px
        Side of the LCGAR's patches.
    norm, dropout
        Of both.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of ``divisor``.

    Examples
    --------
    >>> import torch
    >>> net = MatPhase(1, 3, channels=4, passes=2)
    >>> net(torch.zeros(1, 1, 32, 64)).shape, net.divisor
    (torch.Size([1, 3, 32, 64]), 16)
    """

    trainer = "tomolith.learn.matphase.train:train"

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        parts: str = "ugsm+lcgar+idk",
        channels: int = 16,
        passes: int = 10,
        local_px: int = 20,
        norm: str = "batch",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes)
        chosen = set(parts.split("+"))
        if not chosen <= set(PARTS) or not chosen & {"ugsm", "lcgar"} or chosen == {"ugsm", "idk"}:
            raise ValueError(
                f"parts is '{parts}'; it may be 'ugsm', 'lcgar' or both, "
                "and 'idk' beside 'lcgar', joined by '+'"
            )
        self.in_channels, self.n_classes, self.idk = in_channels, n_classes, "idk" in chosen
        self.ugsm: McdUNet | None = None
        self.lcgar: Lcgar | None = None
        self.divisor, self.context_px = 1, local_px // 2
        if "ugsm" in chosen:
            self.ugsm = McdUNet(
                in_channels, n_classes, channels=channels, norm=norm, dropout=dropout, passes=passes
            )
            self.divisor = self.ugsm.divisor
            self.context_px = max(self.context_px, self.ugsm.context_px)
        if "lcgar" in chosen:
            self.lcgar = Lcgar(
                in_channels,
                n_classes + self.idk,
                n_logits=0 if self.ugsm is None else n_classes,
                local_px=local_px,
                norm=norm,
                dropout=dropout,
            )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        return self._second_look(image, None if self.ugsm is None else self.ugsm(image))

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights of :meth:`of_members`: of the UGSM's passes, or 1 where there is no UGSM."""
        return (1.0,) if self.ugsm is None else self.ugsm.weights

    def of_members(self, image: Tensor) -> list[Tensor]:
        """Return the log-probabilities (B, n_classes, H, W) that follow from each UGSM pass.

        LCGAR sees each pass by itself, so their mean is not quite the network's own prediction.
        """
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        passes = [None] if self.ugsm is None else self.ugsm.of_members(image)
        looks = [self._second_look(image, wide) for wide in passes]
        return [functional.log_softmax(logits.float(), dim=1) for logits in looks]

    def _second_look(self, image: Tensor, wide: Tensor | None) -> Tensor:
        if self.lcgar is None:
            assert wide is not None
            return wide
        local: Tensor = self.lcgar(image, wide)
        return join(local, wide) if self.idk else local


def join(local: Tensor, wide: Tensor | None) -> Tensor:
    """Return logits in which ``wide`` answers for what ``local`` does not know.

    Parameters
    ----------
    local
        (B, n_classes + 1, H, W); the last output is 'I don't know'.
    wide
        (B, n_classes, H, W) logits; ``None``: the classes of ``local`` share what it does not
        know.

    Examples
    --------
    >>> import torch
    >>> local = torch.tensor([0.2, 0.2, 0.6]).log().view(1, 3, 1, 1)
    >>> wide = torch.tensor([0.0, 1.0]).log().view(1, 2, 1, 1)
    >>> join(local, wide).exp().flatten()
    tensor([0.2000, 0.8000])
    """
    if wide is None:
        return local[:, :-1]
    shares = local.float().softmax(dim=1)
    joint = shares[:, :-1] + shares[:, -1:] * wide.float().softmax(dim=1)
    return joint.clamp(min=SMALLEST_SHARE).log()
