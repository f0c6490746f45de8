from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring import deadline
from mainspring.deadline import DeadlineExceeded

spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1))


def _left() -> float:
    left = deadline.remaining()
    assert left is not None
    return left


def test_work_without_a_deadline_has_no_bound() -> None:
    assert deadline.remaining() is None
    deadline.check()


@given(outer=spans, inner=spans)
def test_a_block_inside_can_only_narrow_the_budget(outer: timedelta, inner: timedelta) -> None:
    with deadline.within(outer):
        before = _left()
        with deadline.within(inner):
            assert _left() <= before
            assert _left() <= inner.total_seconds()
        assert _left() <= before


def test_the_outer_budget_is_back_after_the_block() -> None:
    with deadline.within(timedelta(hours=1)):
        with deadline.within(timedelta(0)):
            assert deadline.remaining() == 0.0
        assert _left() > 0
    assert deadline.remaining() is None


def test_the_budget_is_back_after_a_block_that_failed() -> None:
    with pytest.raises(ZeroDivisionError), deadline.within(timedelta(hours=1)):
        _ = 1 / 0
    assert deadline.remaining() is None


def test_what_is_left_is_never_negative_and_is_reported_as_exceeded() -> None:
    with deadline.within(timedelta(seconds=-5)):
        assert deadline.remaining() == 0.0
        with pytest.raises(DeadlineExceeded) as caught:
            deadline.check()
    assert "deadline=" in caught.value.fix


def test_start_and_end_are_the_same_without_a_block() -> None:
    token = deadline.start(3600)
    assert 0 < _left() <= 3600
    deadline.end(token)
    assert deadline.remaining() is None


async def test_concurrent_work_does_not_see_the_budget_of_its_neighbour() -> None:
    opened, looked = asyncio.Event(), asyncio.Event()

    async def hurried() -> None:
        with deadline.within(timedelta(0)):
            opened.set()
            await looked.wait()

    async def patient() -> float | None:
        await opened.wait()
        left = deadline.remaining()
        looked.set()
        return left

    _, left = await asyncio.gather(hurried(), patient())
    assert left is None


async def test_a_task_started_inside_inherits_the_budget() -> None:
    async def child() -> float | None:
        return deadline.remaining()

    with deadline.within(timedelta(hours=1)):
        task = asyncio.create_task(child())
    left = await task
    assert left is not None
    assert left <= 3600
