from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mainspring.data._uninterrupted import Uninterrupted

if TYPE_CHECKING:
    from collections.abc import Coroutine

LONG = timedelta(seconds=30)


async def _cancelled_while_waiting(work: Coroutine[None, None, object]) -> asyncio.Task[object]:
    task = asyncio.get_running_loop().create_task(_awaited(work))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    return task


async def _awaited(work: Coroutine[None, None, object]) -> object:
    return await Uninterrupted(work, grace=LONG)


async def test_the_result_comes_through() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return 7

    assert await Uninterrupted(work(), grace=LONG) == 7


async def test_an_error_comes_through() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        await Uninterrupted(work(), grace=LONG)


async def test_work_that_never_waits_needs_no_loop() -> None:
    async def work() -> int:
        return 7

    stepped = Uninterrupted(work(), grace=LONG).__await__()
    with pytest.raises(StopIteration) as stopped:
        next(stepped)
    assert stopped.value.value == 7


async def test_a_cancellation_waits_for_the_end() -> None:
    gate = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        await gate.wait()
        await asyncio.sleep(0)
        done.append("finished")

    task = await _cancelled_while_waiting(work())
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["finished"]


async def test_a_second_cancellation_changes_nothing() -> None:
    gate = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        await gate.wait()
        done.append("finished")

    task = await _cancelled_while_waiting(work())
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["finished"]


async def test_a_cancellation_during_a_mere_pause_waits_too() -> None:
    turns: list[int] = []

    async def work() -> None:
        for turn in range(5):
            await asyncio.sleep(0)
            turns.append(turn)

    task = await _cancelled_while_waiting(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns == [0, 1, 2, 3, 4]


async def test_an_error_after_a_cancellation_is_its_cause() -> None:
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()
        raise LookupError

    task = await _cancelled_while_waiting(work())
    gate.set()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert isinstance(cancelled.value.__cause__, LookupError)


async def test_the_grace_ends_what_does_not_end() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("cancelled")

    async def awaited() -> None:
        await Uninterrupted(work(), grace=timedelta(milliseconds=10))

    task = asyncio.get_running_loop().create_task(awaited())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def test_bounded_work_ends_without_any_cancellation() -> None:
    async def work() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(asyncio.CancelledError):
        await Uninterrupted(work(), grace=timedelta(milliseconds=10), bounded=True)


async def test_it_stays_within_the_callers_timeout() -> None:
    async def work() -> None:
        await asyncio.sleep(0.02)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await Uninterrupted(work(), grace=LONG)
