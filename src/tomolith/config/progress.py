"""Progress bars with time left, quiet when nobody is looking."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What long work reports to."""

    def advance(self, n: float = 1, note: str = "") -> None:
        """Say that ``n`` more units are done."""


class _Quiet:
    def advance(self, n: float = 1, note: str = "") -> None:
        return None


@contextmanager
def progress(title: str, total: float) -> Iterator[Progress]:
    """Show a progress bar on a terminal; do nothing elsewhere.

    Examples
    --------
    >>> with progress("blocks", total=2) as bar:
    ...     bar.advance()
    ...     bar.advance()
    """
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description:<24}"),
        rich_progress.BarColumn(),
        rich_progress.TaskProgressColumn(),
        rich_progress.TextColumn("left"),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[note]}"),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total, note="")

        class _Bar:
            def advance(self, n: float = 1, note: str = "") -> None:
                bars.update(task, advance=n, note=note)

        yield _Bar()
