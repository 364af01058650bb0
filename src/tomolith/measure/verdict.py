"""The step ``verdict``: rules held against the measured numbers and their error bars."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field, field_validator

from tomolith.config import Settings
from tomolith.core.provenance import code_version
from tomolith.errors import ReadError, RecipeError
from tomolith.measure.rows import SERIES, QuantityRow
from tomolith.measure.verdict_rules import EXAMPLE, Rule, full_name, parse_rule, select
from tomolith.store.atomic import write_text

PASS, FAIL, UNDECIDED = "pass", "fail", "undecided"
EXIT_CODES = {PASS: 0, FAIL: 6, UNDECIDED: 7}
"""What ``tomolith run`` and ``tomolith verdict`` exit with, after everything is written."""

_UNITS = {"1": "", "percent": " %", "um": " µm", "um2": " µm²", "um3": " µm³", "deg": "°"}
_MEANING = "95 %:"  # in 'method', before what the interval means
_WORST_FIRST = (FAIL, UNDECIDED, PASS)


class VerdictSettings(Settings):
    """What the cell must keep.

    Examples
    --------
    >>> VerdictSettings(rules=["dendrite.penetration_frac < 0.5"]).rules
    ('dendrite.penetration_frac < 0.5',)
    """

    rules: tuple[str, ...] = Field(
        min_length=1, description=f"Rules, each a name, a sign and a number: `{EXAMPLE}`."
    )

    @field_validator("rules")
    @classmethod
    def _readable(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            try:
                parse_rule(rule)
            except RecipeError as error:
                raise ValueError(f"{error.expected}; {error.found}") from None
        return rules


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What became of one rule.

    Parameters
    ----------
    rule
        As the recipe has it.
    verdict
        ``pass``, ``fail`` or ``undecided``.
    name
        The number in full, with its unit.
    scan
        Where it was decided: the worst of the scans that the rule is about; empty for none.
    value, low, high, unit
        The number there and its 95 % interval; ``None`` where there is none.
    text
        Why, in a sentence.
    """

    rule: str
    verdict: str
    name: str
    scan: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a study: ``fail`` if any rule fails, else ``undecided`` if any is."""

    rules: tuple[RuleVerdict, ...]

    @property
    def verdict(self) -> str:
        """``pass``, ``fail`` or ``undecided``."""
        found = {r.verdict for r in self.rules}
        return next((word for word in _WORST_FIRST if word in found), UNDECIDED)

    @property
    def summary(self) -> str:
        """One line.

        Examples
        --------
        >>> Verdict(()).summary
        'undecided: 0 of 0 rules pass'
        """
        n = {word: sum(r.verdict == word for r in self.rules) for word in _WORST_FIRST}
        text = f"{self.verdict}: {n[PASS]} of {len(self.rules)} rules pass"
        more = [f"{n[w]} {w}" for w in (FAIL, UNDECIDED) if n[w]]
        return f"{text}, {', '.join(more)}" if more else text


def judge(rows: Sequence[QuantityRow], settings: VerdictSettings, *, where: str = "") -> Verdict:
    """Hold rules against measured numbers.

    A rule passes where the whole 95 % interval keeps it, fails where none of it does, and is
    undecided where the interval straddles the bound or there is no number. A number without an
    interval decides by itself, and the text says so. A rule that names no scan is about every
    scan that has the number, and the worst of them decides.

    Parameters
    ----------
    rows
        The table ``quantities``.
    settings
        The rules.
    where
        Where the rules come from, for messages.

    Raises
    ------
    RecipeError
        A rule names a number or a scan that is not there, or gives another unit.

    Notes
    -----
    Source: decision rules with an acceptance, a rejection and a transition zone, JCGM 106:2012,
    "The role of measurement uncertainty in conformity assessment".

    Examples
    --------
    >>> def row(low, high):
    ...     return QuantityRow("a", "truth", "pit", "volume", 2.0, "um3", low, high, "", "")
    >>> rules = VerdictSettings(rules=["pit.volume_um3 < 3"])
    >>> [judge([row(*i)], rules).verdict for i in ((1.0, 2.5), (1.0, 3.5), (None, None))]
    ['pass', 'undecided', 'pass']
    """
    rules = [parse_rule(text) for text in settings.rules]
    return Verdict(tuple(_judge_rule(rule, rows, where) for rule in rules))


def _judge_rule(rule: Rule, rows: Sequence[QuantityRow], where: str) -> RuleVerdict:
    found = select(rule, rows, where=where)
    scans = _asked(rule, found, list(dict.fromkeys(r.scan for r in rows)), where)
    by_scan = {r.scan: r for r in found}
    chosen = [by_scan[s] for s in scans if s in by_scan and _known(by_scan[s].value)]
    lacking = [s for s in scans if s not in by_scan or not _known(by_scan[s].value)]
    name, unit = full_name(found[0]), found[0].unit
    judged = sorted(
        ((_WORST_FIRST.index(_of_row(rule, r)), -_excess(rule, r), i) for i, r in enumerate(chosen))
    )
    needs_all = rule.among != "known" or rule.at is not None
    if not chosen or (needs_all and lacking and _WORST_FIRST[judged[0][0]] != FAIL):
        text = f"there is no such number in {_listed(lacking or scans)}"
        scan = lacking[0] if lacking else ""
        return RuleVerdict(rule.text, UNDECIDED, name, scan, None, None, None, unit, f"{text}.")
    place, _, i = judged[0]
    worst = chosen[i]
    text = f"{_number(worst)} in {worst.scan}" if worst.scan != SERIES else _number(worst)
    if len(chosen) > 1:
        text += f", the worst of {len(chosen)} scans"
    text += f": {_why(rule, worst, _WORST_FIRST[place])}."
    if lacking and rule.among == "known" and not rule.at:
        text += f" Not measured in {_listed(lacking)}."
    low, high = _interval(worst) or (None, None)
    return RuleVerdict(
        rule.text, _WORST_FIRST[place], name, worst.scan, worst.value, low, high, unit, text
    )


def _asked(rule: Rule, found: Sequence[QuantityRow], scans: list[str], where: str) -> list[str]:
    """Return the scans that a rule is about."""
    real = [s for s in scans if s != SERIES]
    having = [r.scan for r in found]
    if rule.at is not None:
        if rule.at not in scans:
            raise RecipeError(
                f"the rule '{rule.text}' names the scan '{rule.at}'",
                expected=f"one of {', '.join(scans)}",
                where=where,
            )
        return [rule.at]
    if having == [SERIES] or not real:
        return having
    if rule.among == "last":
        return real[-1:]
    return real if rule.among == "every" else [s for s in scans if s in having]


def _of_row(rule: Rule, row: QuantityRow) -> str:
    assert row.value is not None
    ends = _interval(row) or (row.value,)
    kept = [rule.holds(end) for end in ends]
    return PASS if all(kept) else UNDECIDED if any(kept) else FAIL


def _interval(row: QuantityRow) -> tuple[float, float] | None:
    """Return low and high, or ``None`` where either is missing."""
    if row.low is None or row.high is None or not (_known(row.low) and _known(row.high)):
        return None
    return row.low, row.high


def _excess(rule: Rule, row: QuantityRow) -> float:
    """Return how far the worse end lies beyond the bound; below zero where it keeps the rule."""
    assert row.value is not None
    ends = _interval(row) or (row.value, row.value)
    return ends[1] - rule.bound if rule.is_upper else rule.bound - ends[0]


def _why(rule: Rule, row: QuantityRow, verdict: str) -> str:
    kept, broken = ("below", "above") if rule.is_upper else ("above", "below")
    bound = _plain(rule.bound)
    if _interval(row) is None:
        side = kept if verdict == PASS else f"not {kept}"
        return f"{side} {bound}, decided by the value alone, for there is no error bar"
    meaning = row.method.partition(_MEANING)[2].strip()
    interval = f"its interval ({meaning})" if meaning else "its interval"
    if verdict == UNDECIDED:
        return f"{interval} reaches from below to above {bound}"
    side = kept if verdict == PASS else broken
    return f"all of {interval} is {side} {bound}"


def _number(row: QuantityRow) -> str:
    assert row.value is not None
    interval, unit = _interval(row), _UNITS.get(row.unit, f" {row.unit}")
    if interval is None:
        return f"{_plain(row.value)}{unit}"
    return f"{_plain(row.value)} ({_plain(interval[0])} to {_plain(interval[1])}){unit}"


def _plain(value: float) -> str:
    """Return a number without powers of ten, as far as that is readable."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def _known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _listed(scans: Sequence[str], most: int = 3) -> str:
    more = f" and {len(scans) - most} more" if len(scans) > most else ""
    return ", ".join(scans[:most]) + more if scans else "any scan"


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write ``verdict.json``, whole or not at all; ``DiskError`` where that is impossible."""
    values = {
        "verdict": verdict.verdict,
        "exit_code": EXIT_CODES[verdict.verdict],
        "rules": [asdict(rule) for rule in verdict.rules],
        "code_version": code_version(),
    }
    write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def read_verdict(path: Path) -> Verdict:
    """Read what :func:`write_verdict` wrote.

    Raises
    ------
    ReadError
        The file is missing or damaged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "verdict.json"
    >>> write_verdict(Verdict(()), path)
    >>> read_verdict(path) == Verdict(())
    True
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = Verdict(tuple(RuleVerdict(**rule) for rule in values["rules"]))
        if {r.verdict for r in found.rules} - set(EXIT_CODES):
            raise ValueError("a word that is no verdict")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            f"the verdict cannot be read: {error}",
            where=path,
            mend="run the step 'verdict' again",
        ) from error
    return found
