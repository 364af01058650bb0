"""The page of a benchmark that compares systems by one protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.common import Result
from benchmarks.comparisons import (
    Outcome,
    Protocol,
    circumstances_of,
    extent_words,
    pictures,
    run_protocol,
    score_tables,
)
from benchmarks.extent import Extent, work_folder
from tomolith.report.comparison import weight_notes


@dataclass(frozen=True)
class Page:
    """What a benchmark itself says of its comparison.

    Parameters
    ----------
    name
        Of the benchmark; its pictures begin with it.
    title
        Of the page.
    what
        Says what was compared on which data.
    notes
        Says what the tables say.
    alt
        Says what a picture shows, by its file name.
    more_tables
        Gives tables that only this page has.
    """

    name: str
    title: str
    what: Callable[[Outcome], str]
    notes: Callable[[Outcome], Sequence[str]]
    alt: Callable[[str], str]
    more_tables: Callable[[Outcome], Sequence[str]] = lambda outcome: ()


def compare_by(protocol: Protocol, extent: Extent, page: Page) -> Result:
    """Run the protocol, and return the page."""
    with work_folder(extent, protocol.recipe) as folder:
        outcome = run_protocol(protocol, extent, folder)
        return Result(
            page.title,
            f"{page.what(outcome)}\n\n{extent_words(outcome)}",
            [*score_tables(outcome), *page.more_tables(outcome)],
            [*page.notes(outcome), *weight_notes(outcome.comparison)],
            arguments=extent.arguments,
            circumstances=circumstances_of(outcome),
            pictures=[
                (f"{extent.page_name(page.name)}-{name}", page.alt(name), png)
                for name, png in pictures(outcome).items()
            ],
        )
