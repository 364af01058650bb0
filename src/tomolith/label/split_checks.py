"""What can be told of a split before anything is labelled."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from tomolith.errors import RecipeError
from tomolith.label.splits import PART, LabelledScan, SplitSettings, named_parts


def check_names(n_slices: Mapping[str, int], settings: SplitSettings) -> None:
    """Refuse names that cannot be right whatever is labelled, before anything is.

    Parameters
    ----------
    n_slices
        Slices of each scan, by its id.

    Raises
    ------
    RecipeError
        A name is of no scan or of no slice, one is in both parts, or nothing is left to train on.

    Examples
    --------
    >>> check_names({"a": 100, "b": 50}, SplitSettings(test=["a", "b[9-11]"]))
    >>> check_names({"a": 100}, SplitSettings(test=["a"]))
    Traceback (most recent call last):
    tomolith.errors.RecipeError: the split leaves no slice for training: all are named...
    """
    scans = [LabelledScan(scan_id, tuple(range(n))) for scan_id, n in n_slices.items()]
    test, validation = named_parts(scans, settings)
    if len(test | validation) == sum(n_slices.values()):
        raise RecipeError(
            "the split leaves no slice for training: all are named",
            where="train.split",
            mend="take some out of 'test' and 'validation', or add scans",
        )


def check_whole_scans(settings: SplitSettings, plane: str, scan_ids: Collection[str]) -> None:
    """Refuse to hold out less than whole scans where slices of another plane than xy train.

    A slice of one plane cuts all slices of another: what trains would hold parts of every slice
    of z that is scored.

    Parameters
    ----------
    settings
        Of the split.
    plane
        In which slices train.
    scan_ids
        Of all scans.

    Raises
    ------
    RecipeError
        Slices of a scan are kept for the test, by name or by a share.

    Examples
    --------
    >>> check_whole_scans(SplitSettings(test=["b"]), "xz", ["a", "b"])
    >>> check_whole_scans(SplitSettings(), "xz", ["a", "b"])
    Traceback (most recent call last):
    ...
    tomolith.errors.RecipeError: the split keeps 10 % of the labelled slices for the test
      expected: whole scans, or nothing: slices of the plane xz cut all those of z
      where:    train.split
      to mend:  name scans ('test: [scan]'), or keep none ('test_frac: 0')
    """
    slices = [name for name in settings.test if name not in scan_ids and name.endswith("]")]
    if plane == "xy" or not (slices or (settings.test_frac and not settings.test)):
        return
    share = f"{100 * settings.test_frac:g} % of the labelled slices"
    raise RecipeError(
        f"the split keeps {slices[0] if slices else share} for the test",
        expected=f"whole scans, or nothing: slices of the plane {plane} cut all those of z",
        where="train.split",
        mend="name scans ('test: [scan]'), or keep none ('test_frac: 0')",
    )


def most_held_out(n_slices: Mapping[str, int], settings: SplitSettings) -> dict[str, int]:
    """Return how many slices of each scan are kept for the test at most, whatever is labelled.

    Parameters
    ----------
    n_slices
        Slices of each scan, by its id.
    settings
        Of the split.

    Examples
    --------
    >>> most_held_out({"a": 100, "b": 50}, SplitSettings(test=["a[9-11]"]))
    {'a': 3, 'b': 0}
    >>> most_held_out({"a": 95}, SplitSettings(test_frac=0.1))
    {'a': 10}
    """
    if not settings.test:
        return {scan_id: math.ceil(n * settings.test_frac) for scan_id, n in n_slices.items()}
    held = dict.fromkeys(n_slices, 0)
    for name in settings.test:
        match = None if name in held else PART.fullmatch(name)
        scan_id = match["scan"] if match else name
        if scan_id not in held:
            continue
        n = n_slices[scan_id]
        if match and match["start"] is not None:
            n = int(match["stop"] or match["start"]) - int(match["start"]) + 1
        held[scan_id] = min(held[scan_id] + n, n_slices[scan_id])
    return held
