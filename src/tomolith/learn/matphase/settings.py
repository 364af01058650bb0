"""Settings of MatPhase's stages; free of torch."""

from __future__ import annotations

from pydantic import Field

from tomolith.config import Component, Settings


class MatPhaseSettings(Settings):
    """How the stages of MatPhase are trained.

    ``train.epochs``, ``train.batch`` and, for the UGSM, ``train.loss`` give way to what stands
    here; all other settings of ``train`` hold for both stages.  Epochs, batches and loss are
    those of the paper, the rest is ours.

    Parameters
    ----------
    ugsm_epochs, ugsm_batch, ugsm_loss
        Of the first stage: epochs, patches per step, loss.
    ugsm_time_frac
        Share of ``train.minutes`` that the first stage may take.
    epochs
        Of the second stage, which draws ``train.pixels`` local patches per step. An epoch is
        ``train.patches_per_epoch`` patches, as in the first, so ``crops`` a step.
    crops
        Patches per step of the second stage, out of which the local patches are drawn.
    levels
        Levels of the curriculum: in the first of ``n`` only the most certain 1/n of the pixels
        train, in the last all of them; 1: no curriculum.
    idk_reward
        What an answer pays, where 'I don't know' pays 1: the second stage learns to abstain where
        it expects to be right with a probability below ``1 / idk_reward``.

    Examples
    --------
    >>> MatPhaseSettings().ugsm_loss.name
    'weighted_cross_entropy'
    """

    ugsm_epochs: int = Field(100, ge=1)
    ugsm_batch: int = Field(20, ge=1)
    ugsm_loss: Component = Component(name="weighted_cross_entropy")
    ugsm_time_frac: float = Field(0.7, gt=0, lt=1)
    epochs: int = Field(15, ge=1)
    crops: int = Field(4, ge=1)
    levels: int = Field(4, ge=1)
    idk_reward: float = Field(1.5, gt=1)
