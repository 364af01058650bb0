"""Work through a plan of blocks: resume, report failures, never claim too much."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Literal

from tomolith.blocks.plan import Block
from tomolith.config import progress
from tomolith.errors import IncompleteError, ResourceError
from tomolith.store.marks import Marks

Executor = Literal["serial", "threads"]
Outcome = tuple[Block, Exception | None]


def run_blocks(
    blocks: Sequence[Block],
    work: Callable[[Block], str | None],
    *,
    executor: Executor = "serial",
    workers: int = 1,
    marks: Marks,
    title: str,
) -> None:
    """Do ``work`` on every block that has no done mark yet.

    ``work`` must return only after what it wrote is synced to the disk: the done
    mark follows at once, with the text that ``work`` returned, if any, as its detail.
    With ``"threads"`` at most ``workers`` blocks are in flight, so that one can be read
    or written beside another being computed. On Ctrl-C the blocks in flight are finished
    and marked; no new one begins.

    A block that fails does not stop the others, except when the machine is the
    reason (:class:`~tomolith.errors.ResourceError`: disk full, not permitted): then
    nothing new begins and that error is raised.

    Raises
    ------
    IncompleteError
        Some blocks failed; all are named, each with its reason.
    ResourceError
        The disk or the memory did not suffice.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from tomolith.core import Grid
    >>> from tomolith.blocks import plan_blocks
    >>> marks = Marks(Path(tempfile.mkdtemp()), "key")
    >>> blocks = plan_blocks(Grid((1, 1, 4), None), shard_zyx=(1, 1, 2))
    >>> run_blocks(blocks, lambda block: print(block), marks=marks, title="example")
    block 0 (z 0-1, y 0-1, x 0-2)
    block 1 (z 0-1, y 0-1, x 2-4)
    """
    to_do = [block for block in blocks if not marks.is_done(block.name)]
    failed: list[tuple[Block, Exception]] = []

    def attempt(block: Block) -> Outcome:
        try:
            marks.done(block.name, work(block) or str(block))
        except Exception as error:  # named and raised at the end
            return block, error
        return block, None

    outcomes = (
        _threaded(to_do, attempt, workers) if executor == "threads" else _serial(to_do, attempt)
    )
    with progress(title, total=sum(b.write.n_voxels for b in blocks)) as bar, closing(outcomes):
        bar.advance(sum(b.write.n_voxels for b in blocks) - sum(b.write.n_voxels for b in to_do))
        for block, error in outcomes:
            if isinstance(error, ResourceError):
                raise error
            if error is not None:
                failed.append((block, error))
            bar.advance(block.write.n_voxels, note=f"{len(failed)} failed" if failed else "")
    if failed:
        raise _incomplete(title, failed, len(blocks)) from failed[0][1]


def _serial(
    blocks: Sequence[Block], attempt: Callable[[Block], Outcome]
) -> Generator[Outcome, None, None]:
    yield from map(attempt, blocks)


def _threaded(
    blocks: Sequence[Block], attempt: Callable[[Block], Outcome], workers: int
) -> Generator[Outcome, None, None]:
    waiting = iter(blocks)
    in_flight: set[Future[Outcome]] = set()
    # leaving this 'with', by an error or Ctrl-C too, waits for the blocks in flight
    with ThreadPoolExecutor(workers, thread_name_prefix="block") as pool:
        while True:
            while len(in_flight) < workers and (block := next(waiting, None)) is not None:
                in_flight.add(pool.submit(attempt, block))
            if not in_flight:
                return
            finished, in_flight = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()


def _incomplete(
    title: str, failed: Sequence[tuple[Block, Exception]], n_blocks: int
) -> IncompleteError:
    shown = [f"{block}: {_reason(error)}" for block, error in failed[:10]]
    if len(failed) > 10:
        shown.append(f"and {len(failed) - 10} more")
    return IncompleteError(
        f"{title}: {len(failed)} of {n_blocks} blocks failed\n    " + "\n    ".join(shown),
        mend="remove the cause and run again: the finished blocks are kept",
    )


def _reason(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}"
