"""Rules of the verdict: their grammar, and which rows of the table a name means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tomolith.config import did_you_mean
from tomolith.errors import RecipeError
from tomolith.measure.quantities.sides import ALL_LI
from tomolith.measure.rows import QuantityRow

EXAMPLE = "dendrite.penetration_frac < 0.5"

_RULE = re.compile(
    r"""\s*(?P<name>[A-Za-z][\w.,-]*)\s*
        (?P<sign><=|>=|<|>)\s*
        (?P<bound>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
        (?:\s+(?:at\s+(?P<at>\S+)|in\s+(?P<among>every|the\s+last)\s+scan))?\s*""",
    re.VERBOSE,
)
_SUFFIXES = {"1": "frac"}
_OTHER_UNITS = (
    *("nm", "nm2", "nm3", "um", "um2", "um3", "mm", "mm2", "mm3", "cm", "cm2", "cm3", "m"),
    *("percent", "frac", "deg", "rad", "voxels", "s", "min", "h", "mah", "ah", "c", "v", "mv"),
    *("ma", "a", "ma_cm2", "mah_cm2", "ug", "mg", "umol", "um_pulse", "um_scan", "um3_pulse"),
)
# a number that stands for all of a thing, where its name has parts: 'dead_li.volume'
_WHOLE = (ALL_LI, "cell", "")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, read.

    Parameters
    ----------
    text
        As the recipe has it.
    name
        Of the number, as written.
    sign
        ``<``, ``<=``, ``>`` or ``>=``.
    bound
        What it is held against.
    at
        Name of the scan; ``None`` where none is named.
    among
        ``"every"``: in every scan. ``"last"``: in the last scan. ``"known"``: in every scan that
        has the number.
    """

    text: str
    name: str
    sign: str
    bound: float
    at: str | None = None
    among: str = "known"

    @property
    def is_upper(self) -> bool:
        """Whether the bound is one from above."""
        return self.sign.startswith("<")

    def holds(self, value: float) -> bool:
        """Tell whether a number keeps the rule."""
        return {
            "<": value < self.bound,
            "<=": value <= self.bound,
            ">": value > self.bound,
            ">=": value >= self.bound,
        }[self.sign]


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Parameters
    ----------
    text
        ``name sign number``, with ``at <scan>``, ``in every scan`` or ``in the last scan`` after
        it where wanted.

    Raises
    ------
    RecipeError
        It cannot be read, or its number is none.

    Examples
    --------
    >>> rule = parse_rule("capacity_ratio > 0.3 at cell0-t12")
    >>> rule.name, rule.sign, rule.bound, rule.at
    ('capacity_ratio', '>', 0.3, 'cell0-t12')
    >>> parse_rule("dead_li.volume_um3 < 1e7 in the last scan").among
    'last'
    """
    found = _RULE.fullmatch(text)
    if not found:
        raise RecipeError(
            f"the rule '{text}' cannot be read",
            expected=f"a name, <, <=, > or >=, and a number, such as '{EXAMPLE}'; after it, where "
            "wanted, 'at <scan>', 'in every scan' or 'in the last scan'",
        )
    among = {None: "known", "every": "every"}.get(found["among"], "last")
    return Rule(
        text.strip(), found["name"], found["sign"], float(found["bound"]), found["at"], among
    )


def slug(text: str) -> str:
    """Return a name as rules write it: small letters, digits and underscores.

    Examples
    --------
    >>> slug("electrode, plating side"), slug("mAh/cm2")
    ('electrode_plating_side', 'mah_cm2')
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def unit_suffix(unit: str) -> str:
    """Return how a unit ends a name; a plain number is a fraction.

    Examples
    --------
    >>> unit_suffix("um3"), unit_suffix("1")
    ('um3', 'frac')
    """
    return _SUFFIXES.get(unit, slug(unit))


def full_name(row: QuantityRow) -> str:
    """Return the name of a row's number in full, with its unit.

    Examples
    --------
    >>> row = QuantityRow("a", "truth", "pit", "volume", 1.0, "um3", None, None, "", "")
    >>> full_name(row)
    'pit.volume_um3'
    """
    part, unit = slug(row.class_name), unit_suffix(row.unit)
    name = slug(row.quantity)
    if not (name == unit or name.endswith(f"_{unit}")):
        name = f"{name}_{unit}"
    return f"{part}.{name}" if part else name


def select(rule: Rule, rows: Sequence[QuantityRow], *, where: str = "") -> list[QuantityRow]:
    """Return the rows of the number that a rule names, in the order of the table.

    A name is ``part.quantity`` or, for numbers of the whole cell and those of one part only,
    ``quantity`` alone; the unit may follow. ``dead_li.volume`` is the quantity ``dead_li_volume``
    of all Li.

    Raises
    ------
    RecipeError
        No row has the name, it is given with another unit, or it could mean several numbers.

    Examples
    --------
    >>> row = QuantityRow("a", "truth", "pit", "volume", 1.0, "um3", None, None, "", "")
    >>> len(select(parse_rule("pit.volume_um3 < 3"), [row]))
    1
    """
    names: dict[tuple[str, str], set[str]] = {}
    by_key: dict[tuple[str, str], list[QuantityRow]] = {}
    parts: dict[str, set[str]] = {}
    for row in rows:
        by_key.setdefault((row.class_name, row.quantity), []).append(row)
        parts.setdefault(row.quantity, set()).add(row.class_name)
    for key, found in by_key.items():
        names[key] = _names(found[0], parts[key[1]])
    wanted = ".".join(slug(piece) for piece in rule.name.split("."))
    keys = [key for key, known in names.items() if wanted in known]
    if len(keys) == 1:
        return by_key[keys[0]]
    full = {key: full_name(found[0]) for key, found in by_key.items()}
    if keys:
        raise RecipeError(
            f"the rule '{rule.text}' could mean {' or '.join(full[k] for k in keys)}",
            where=where,
            mend="give the name in full",
        )
    _refuse_unit(rule, wanted, names, full, where)
    raise RecipeError(
        f"the rule '{rule.text}' names '{rule.name}', which is not measured",
        where=where,
        mend=_nearest(wanted, names, full),
    )


def _names(row: QuantityRow, parts: set[str]) -> set[str]:
    """Return all names of a number, those without a unit among them."""
    part, quantity, unit = slug(row.class_name), slug(row.quantity), unit_suffix(row.unit)
    stems = {f"{part}.{quantity}"}
    if row.class_name in _WHOLE or len(parts) == 1:
        stems.add(quantity)
        pieces = quantity.split("_")
        stems |= {"_".join(pieces[:i]) + "." + "_".join(pieces[i:]) for i in range(1, len(pieces))}
    return stems | {f"{stem}_{unit}" for stem in stems}


def _refuse_unit(
    rule: Rule,
    wanted: str,
    names: dict[tuple[str, str], set[str]],
    full: dict[tuple[str, str], str],
    where: str,
) -> None:
    for key, known in names.items():
        for unit in _OTHER_UNITS:
            if wanted.endswith(f"_{unit}") and wanted.removesuffix(f"_{unit}") in known:
                raise RecipeError(
                    f"the rule '{rule.text}' gives '{rule.name}' another unit than it has",
                    expected=full[key],
                    where=where,
                    mend="write it so, with the number in that unit",
                )


def _nearest(
    wanted: str, names: dict[tuple[str, str], set[str]], full: dict[tuple[str, str], str]
) -> str | None:
    """Return the nearest name in full; else the names of that part or quantity, or all."""
    part, _, tail = wanted.rpartition(".")
    by_name = {name: full[key] for key, known in names.items() for name in known}
    same_part = {n.partition(".")[2]: f for n, f in by_name.items() if n.startswith(f"{part}.")}
    known, word = (same_part, tail) if part and same_part else (by_name, wanted)
    near = re.fullmatch(r"did you mean '(.+)'\?", did_you_mean(word, known) or "")
    if near:
        return f"did you mean '{known[near[1]]}'?"
    same_tail = {f for n, f in by_name.items() if n.partition(".")[2] == tail}
    listed = sorted({*same_part.values()} or same_tail or {*full.values()})
    return f"measured are: {', '.join(listed)}" if listed else "nothing was measured"
