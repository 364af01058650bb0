import threading
import time

import pytest

from tomolith.blocks import plan_blocks, run_blocks
from tomolith.core import Grid
from tomolith.errors import DiskError, IncompleteError, ReadError
from tomolith.store.marks import Marks

BLOCKS = plan_blocks(Grid((1, 1, 12), None), shard_zyx=(1, 1, 2))
both = pytest.mark.parametrize("executor", ["serial", "threads"])


@pytest.fixture
def marks(tmp_path):
    return Marks(tmp_path, "key")


@both
def test_every_block_is_done_once_and_marked(marks, executor):
    done = []
    run_blocks(BLOCKS, done.append, executor=executor, workers=3, marks=marks, title="test")
    assert sorted(b.index for b in done) == list(range(6))
    assert all(marks.is_done(b.name) for b in BLOCKS)


@both
def test_what_is_marked_is_not_done_again(marks, executor):
    marks.done(BLOCKS[2].name)
    done = []
    run_blocks(BLOCKS, done.append, executor=executor, workers=2, marks=marks, title="test")
    assert 2 not in [b.index for b in done]
    assert len(done) == 5


@both
def test_a_failed_block_is_named_and_the_others_are_finished(marks, executor):
    def work(block):
        if block.index in (1, 4):
            raise ReadError("a chunk is damaged", where="somewhere")

    with pytest.raises(IncompleteError) as caught:
        run_blocks(BLOCKS, work, executor=executor, workers=2, marks=marks, title="labels")
    message = str(caught.value)
    assert "labels: 2 of 6 blocks failed" in message
    assert "block 1 (z 0-1, y 0-1, x 2-4): ReadError: a chunk is damaged" in message
    assert "block 4" in message
    assert caught.value.exit_code == 5
    assert isinstance(caught.value.__cause__, ReadError)
    assert [marks.is_done(b.name) for b in BLOCKS] == [True, False, True, True, False, True]


def test_many_failures_are_summed_up(marks):
    blocks = plan_blocks(Grid((1, 1, 30), None), shard_zyx=(1, 1, 1))

    def work(block):
        raise ValueError

    with pytest.raises(IncompleteError, match="and 20 more"):
        run_blocks(blocks, work, marks=marks, title="test")


@both
def test_a_full_disk_ends_the_run(marks, executor):
    tried = []

    def work(block):
        tried.append(block.index)
        if block.index == 1:
            raise DiskError("the disk is full")

    with pytest.raises(DiskError):
        run_blocks(BLOCKS, work, executor=executor, workers=1, marks=marks, title="test")
    assert max(tried) <= 2
    assert marks.is_done(BLOCKS[0].name)
    assert not marks.is_done(BLOCKS[1].name)


def test_no_more_blocks_in_flight_than_workers(marks):
    counting, now, most = threading.Lock(), [], []

    def work(block):
        with counting:
            now.append(block.index)
            most.append(len(now))
        time.sleep(0.01)
        with counting:
            now.remove(block.index)

    run_blocks(BLOCKS, work, executor="threads", workers=2, marks=marks, title="test")
    assert max(most) == 2


def test_blocks_really_run_side_by_side(marks):
    meet = threading.Barrier(2, timeout=30)
    run_blocks(
        BLOCKS, lambda _: meet.wait(), executor="threads", workers=2, marks=marks, title="test"
    )


@both
def test_an_interrupt_stops_cleanly_and_a_new_run_goes_on(marks, executor):
    done = []

    def work(block):
        if block.index == 3 and not done:
            raise KeyboardInterrupt
        time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        run_blocks(BLOCKS, work, executor=executor, workers=2, marks=marks, title="test")
    assert not marks.is_done(BLOCKS[3].name)
    assert not [t for t in threading.enumerate() if t.name.startswith("block")]
    done.append("interrupted")
    run_blocks(BLOCKS, work, executor=executor, workers=2, marks=marks, title="test")
    assert all(marks.is_done(b.name) for b in BLOCKS)
