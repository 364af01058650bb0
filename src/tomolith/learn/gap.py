"""How far slices held out have to lie from training slices, by what a network sees."""

from __future__ import annotations

from tomolith.errors import RecipeError
from tomolith.learn.settings import TrainSettings


def check_gap(settings: TrainSettings, *, is_3d: bool, where: str = "train.split.gap") -> None:
    """Refuse a split by which slices held out would be seen in training.

    Parameters
    ----------
    settings
        Of the training.
    is_3d
        Whether the network sees cubes; else it sees a slice and ``settings.context_slices``.
    where
        Where in the recipe the gap stands.

    Raises
    ------
    RecipeError
        The gap is less than half a cube, or than the slices seen on either side.

    Examples
    --------
    >>> check_gap(TrainSettings(), is_3d=False)
    >>> check_gap(TrainSettings(context_slices=2), is_3d=False)
    Traceback (most recent call last):
    ...
    tomolith.errors.RecipeError: the gap between training slices and those held out is 1
      expected: at least 2, for the network sees 2 slices on either side
      where:    train.split.gap
      to mend:  say 'split: {gap: 2}', or lower 'context_slices'
    """
    if is_3d:
        reach, key = settings.patch_px // 2, "patch_px"
        why = "half a cube: else cubes that train hold such slices"
    else:
        reach, key = settings.context_slices, "context_slices"
        why = f"for the network sees {reach} slices on either side"
    if settings.split.gap < reach:
        raise RecipeError(
            f"the gap between training slices and those held out is {settings.split.gap}",
            expected=f"at least {reach}, {why}",
            where=where,
            mend=f"say 'split: {{gap: {reach}}}', or lower '{key}'",
        )
