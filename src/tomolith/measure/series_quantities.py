"""What the numbers are that no single scan gives: of maps, a series, and the cycler's file."""

from __future__ import annotations

from dataclasses import dataclass

_HUANG = "Huang et al., npj Comput. Mater. 9, 93 (2023)"
_CYCLER = "the cycler's file"
_PARTS = "the numbers that it is made of have none"
_SITES = "'plan_coverage' of the class has none in one of the two scans, or was not measured"
_FIT = "nothing scatters about the fit, and what the thicknesses may be off is not known"
_CHANCE = "it says itself how sure another number is"
_RATIO = "a volume has none, or the charge on balance is no more than the cycler's own error"
_NO_CHARGE = "no charge has flowed yet"


@dataclass(frozen=True, slots=True)
class SeriesQuantity:
    """A quantity that nobody names in a recipe: it is there where scans, maps or cycler give it.

    Parameters
    ----------
    name, unit
        As in the table.
    summary
        What it is, in a sentence.
    formula, source
        What it is made of, and where that comes from.
    no_interval
        Why it has no 95 % interval, or why one may be missing.
    """

    name: str
    unit: str
    summary: str
    formula: str
    source: str
    no_interval: str


_CHANGES = (
    ("swelling", "um", "Growth of the gap, and of the cell, since the first scan.",
     "gap - gap of the first scan; the same of cell_thickness", f"swelling of {_HUANG}", _PARTS),
    ("li_change", "um3", "Net change of Li since the first scan, of each side and in all.",
     "li_volume - li_volume of the first scan", f"Li inventory of {_HUANG}", _PARTS),
    ("travelling_li", "um3", "Li of a side less the first electrode of that side.",
     "all Li of the side - electrode of the side in the first scan", f"Li inventory of {_HUANG}",
     _PARTS),
    ("li_moved", "um3", "Change of all Li of a side since the scan before.",
     "all Li of the side - the same in the scan before", f"travelling Li of {_HUANG}", _PARTS),
    ("li_moved_per_pulse", "um3/pulse",
     "Change of all Li of a side since the scan before, for each pulse.",
     "li_moved / pulses between the two scans", f"travelling Li of {_HUANG}", _PARTS),
    ("li_left", "um3", "Plated Li that is left at full cycle: dead Li as the paper counts it.",
     "li_volume of dendrite and of deposited after discharge, without a cycler of the last scan; "
     "their sum", f"dead Li of {_HUANG}",
     _PARTS),
    ("pits_left", "1", "Share of the pits of the half cycle that is still empty during discharge.",
     "volume of pit / the same in the scan at the end of charge, without a cycler in the scan "
     "with most", f"our reading of unfilled pits of {_HUANG}",
     "one of the two volumes has none, or that of the half cycle may be zero"),
    ("thickness_rate", "um/pulse", "How fast a layer grows: the slope of a line, per half cycle.",
     "least squares of effective_thickness against pulses, without a cycler against scans; "
     "95 % by Student's t",
     f"rates of {_HUANG}", _FIT),
    ("thickness_growth", "1/pulse",
     "How fast a layer grows: the k of an exponential, per half cycle.",
     "k of a exp(k n) by least squares, n pulses or scans, 0 where the layer is not there; "
     "95 % by Student's t",
     f"rates of {_HUANG}", _FIT),
)  # fmt: skip
_MAPS = (
    ("pearson", "1", "How alike two plan maps are (-1 to 1).",
     "Pearson's r over the columns that hold labels; of classes, of their thickness", _HUANG,
     "fewer than four columns are independent"),
    ("pearson_p", "1", "Chance of such a coefficient between maps that have nothing in common.",
     "t-test of r with pearson_n columns", "Dutilleul, Biometrics 49, 305 (1993)", _CHANCE),
    ("pearson_n", "1", "Number of columns that are as good as independent.",
     "1 + 1 / variance of r, from the autocorrelation of both maps",
     "Dutilleul, Biometrics 49, 305 (1993)", _CHANCE),
    ("growth_share", "1", "Share of the plan that was plated, redeposited, both or neither.",
     "columns of the kind / columns that hold labels in both scans", _HUANG, _SITES),
    ("persistence_jaccard", "1", "Overlap of the columns of a class with those it first had.",
     "columns in both / columns in either", "Jaccard, New Phytol. 11, 37 (1912)", _SITES),
    ("persistence_dice", "1",
     "Overlap of the columns of a class with those it first had, counted twice.",
     "2 · columns in both / (columns of the one + of the other)", "Dice, Ecology 26, 297 (1945)",
     _SITES),
    ("persistence_share", "1", "Share of the first columns that the class still or again holds.",
     "columns in both / first columns", "defined here", _SITES),
    ("persistence_share_by_chance", "1",
     "Share of the first columns that the class would hold by chance.",
     "columns of the class now / columns that hold labels in both scans", "defined here", _SITES),
    ("persistence_p", "1", "Chance of such an overlap if the sites had nothing in common.",
     "share of all shifts of one map against the other that overlap at least as much",
     "permutation by shifts, which keep the autocorrelation", _CHANCE),
)  # fmt: skip
_CELL = (
    ("pulse", "1", "How many pulses came before the scan.", "counted", _CYCLER,
     "it is counted"),
    ("current_on_time", "min", "For how long current had flowed.", "sum of the pulses", _CYCLER,
     "the cycler's clock is taken as exact"),
    ("charge_passed", "mAh", "Charge on balance since the first scan, on the analysed area.",
     "Q · analysed area / electrode area; 95 %: 1 % of the charge that flowed", _CYCLER,
     _NO_CHARGE),
    ("expected_li_volume", "um3", "Li of that charge.",
     "V = charge_passed / 3860 mAh/g / 0.534 g/cm³; 95 %: 1 % of the charge that flowed",
     "Faraday's law", _NO_CHARGE),
    ("inventory_closure", "um3", "Li that the scans show beyond what the charge says.",
     "travelling_li - expected_li_volume; stripping side: +", "Faraday's law", _PARTS),
    ("capacity_ratio", "1", "CT capacity over cycler capacity since the scan before.",
     "change of all Li of the side, as charge / charge on the analysed area", _HUANG, _RATIO),
    ("plating_current_density", "mA/cm2", "Current density on the area that is really covered.",
     "current of the pulse before / covered share of the electrode area", _HUANG,
     "'plan_coverage' of what covers it has none, or may be zero"),
)  # fmt: skip

SERIES_QUANTITIES = tuple(SeriesQuantity(*row) for row in (*_CHANGES, *_MAPS, *_CELL))
"""All of them, in the order of the table."""
