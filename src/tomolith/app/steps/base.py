"""What a step is to the command line, and when it is out of date."""

from __future__ import annotations

import glob
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tomolith.app.study import PlannedScan, Study
from tomolith.config import settings_hash
from tomolith.core.provenance import code_version
from tomolith.errors import IncompleteError, RecipeError, TomolithError
from tomolith.store.atomic import write_text

_N_NAMED = 4


class Step(Protocol):
    """One verb of tomolith: a recipe section, a command and a Python function.

    Attributes
    ----------
    name
        The verb.
    summary
        One line for ``--help``.
    function
        ``module:name`` of the function that does the work.
    after
        Steps whose results this one reads.
    """

    name: str
    summary: str
    function: str
    after: tuple[str, ...]

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return fingerprints of what is read from outside the study."""

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the files and folders that must exist once the step is done."""

    def describe(self, study: Study) -> tuple[str, ...]:
        """Open every input and return what ``tomolith check`` shows."""

    def run(self, study: Study) -> str:
        """Do the work; return one line that says what came out."""


class ScanMaker(Step, Protocol):
    """A step that brings scans into the study."""

    def scan_ids(self, study: Study) -> tuple[str, ...]:
        """Return the identifiers of the scans that it brings."""

    def planned(self, study: Study) -> dict[str, PlannedScan]:
        """Open every input and return what each scan will be, by its id."""


@dataclass(frozen=True)
class DoneMark:
    """What is written when a step has finished; ``outputs`` are files and their checksums."""

    step: str
    key: str
    run_id: str
    summary: str
    started_utc: str
    finished_utc: str
    seconds: float
    code_version: str
    settings: dict[str, Any]
    overrides: list[str]
    outputs: dict[str, str]

    @staticmethod
    def path(study: Study, step: str) -> Path:
        """Return where the mark of ``step`` lies."""
        return study.private / "steps" / f"{step}.json"

    @classmethod
    def read(cls, study: Study, step: str) -> DoneMark | None:
        """Return the mark of ``step``; ``None`` where there is no readable one."""
        try:
            return cls(**json.loads(cls.path(study, step).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def step_key(step: Step, study: Study) -> str:
    """Return the hash of all that the step's result depends on.

    Results of earlier steps enter by the identity of the run that made them, so a step that
    was run again makes all that read it out of date, also where its settings are the same.
    """
    marks = [DoneMark.read(study, name) for name in step.after if study.recipe.section(name)]
    return settings_hash(
        step.name,
        study.recipe.section(step.name),
        study.schema.to_dict(),
        list(step.inputs(study)),
        [mark.run_id if mark else None for mark in marks],
        code_version(),
    )


def out_of_date(study: Study) -> tuple[str, ...]:
    """Return the active steps that are not done, or whose inputs have changed, in order."""
    from tomolith.app.steps import STEPS

    stale: list[str] = []
    for name in study.recipe.active_steps:
        step = STEPS[name]
        if set(step.after) & set(stale) or not is_done(step, study):
            stale.append(name)
    return tuple(stale)


def is_done(step: Step, study: Study) -> bool:
    """Tell whether the step has run on what the earlier steps last gave."""
    mark = DoneMark.read(study, step.name)
    if mark is None or mark.key != step_key(step, study):
        return False
    return all(path.exists() for path in step.outputs(study))


def require_earlier_steps(step: Step, study: Study) -> None:
    """Refuse to run a step on results that are not there.

    Raises
    ------
    IncompleteError
        A step that it needs is not done, or is out of date.
    """
    stale = out_of_date(study)
    for name in step.after:
        if name in stale:
            raise IncompleteError(
                f"'{step.name}' needs the result of '{name}', which is not there or out of date",
                where=study.root,
                mend=f"tomolith run {study.recipe_path}",
            )


def run_step(step: Step, study: Study) -> DoneMark:
    """Run one step and leave its done mark.

    Raises
    ------
    RecipeError
        The recipe has no section for it.
    TomolithError
        It could not be finished; a note names the results of an earlier run that are still there.
    """
    section = study.recipe.section(step.name)
    if section is None:
        raise RecipeError(
            f"the recipe has no section '{step.name}'",
            where=study.recipe_path,
            mend=f"add '{step.name}:' (alone, it stands for all defaults)",
        )
    mark_path = DoneMark.path(study, step.name)
    mark_path.unlink(missing_ok=True)
    started, clock = _now(), time.monotonic()
    key = step_key(step, study)
    before = _written_ns(step, study)
    try:
        summary = step.run(study)
    except TomolithError as error:
        after = _written_ns(step, study)
        old = [path for path, written_ns in before.items() if after.get(path) == written_ns]
        if old:
            error.add_note(_left_over(step, study, old))
        raise
    outputs = step.outputs(study)
    mark = DoneMark(
        step=step.name,
        key=key,
        run_id=uuid.uuid4().hex,
        summary=summary,
        started_utc=started,
        finished_utc=_now(),
        seconds=round(time.monotonic() - clock, 2),
        code_version=code_version(),
        settings=section.model_dump(mode="json"),
        overrides=list(study.overrides),
        outputs={str(path.relative_to(study.root)): sha256(path) for path in outputs},
    )
    write_text(mark_path, json.dumps(asdict(mark), indent=1))
    return mark


def _written_ns(step: Step, study: Study) -> dict[Path, int]:
    """Return when each result that is there was written."""
    return {path: path.stat().st_mtime_ns for path in step.outputs(study) if path.exists()}


def _left_over(step: Step, study: Study, old: Sequence[Path]) -> str:
    names = ", ".join(str(path.relative_to(study.root)) for path in old[:_N_NAMED])
    more = f" and {len(old) - _N_NAMED} more" if len(old) > _N_NAMED else ""
    return f"still as an earlier '{step.name}' left them: {names}{more}"


def sha256(path: Path) -> str:
    """Return the checksum of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def fingerprint(path: Path) -> str:
    """Return name, size and time of a file, or of every file of a folder.

    A path that does not exist gives its name alone: opening it gives the error.
    """
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
    else:
        found = [path] if path.exists() else glob.glob(str(path), recursive=True)  # noqa: PTH207
        files = sorted(Path(p) for p in found)
    facts = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return f"{path} {settings_hash(facts)}"
