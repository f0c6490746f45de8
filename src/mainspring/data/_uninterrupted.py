"""Finishing what was begun although the task has been cancelled.

A task around the work (`asyncio.shield`) would do the same at several times the cost, and
this runs for every commit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from datetime import timedelta

T = TypeVar("T")


class Uninterrupted(Generic[T]):
    """Await a coroutine to its end; a cancellation on the way is raised after it.

    Args:
        work: the coroutine.
        grace: how long the work may go on after it should have stopped; then it is
            cancelled like anything else.
        bounded: the grace begins at once, not with the cancellation.
    """

    __slots__ = ("_bounded", "_cancelled", "_grace", "_timer", "_waiting_for", "_work")

    def __init__(
        self, work: Coroutine[Any, Any, T], *, grace: timedelta, bounded: bool = False
    ) -> None:
        self._work = work
        self._grace = grace
        self._bounded = bounded
        self._cancelled: asyncio.CancelledError | None = None
        self._waiting_for: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __await__(self) -> Generator[Any, None, T]:
        try:
            result = yield from self._drive()
        except BaseException as exc:
            if self._cancelled is not None and exc is not self._cancelled:
                raise self._cancelled from exc
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._work.close()
        if self._cancelled is not None:
            raise self._cancelled
        return result

    def _drive(self) -> Generator[Any, None, T]:
        step: Callable[[], Any] = lambda: self._work.send(None)  # noqa: E731
        while True:
            try:
                waited = step()
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            if self._bounded and self._timer is None:
                self._start_timer()
            if waited is None:
                yield from self._pause()
            else:
                yield from self._wait(waited)

    def _pause(self) -> Generator[Any, None, None]:
        # A bare yield: the work gives the loop a turn and waits for nothing.
        try:
            yield
        except asyncio.CancelledError as exc:
            self._interrupt(exc)

    def _wait(self, future: asyncio.Future[Any]) -> Generator[Any, None, None]:
        # The task sees a stand-in, so that cancelling it leaves the real future alone.
        future._asyncio_future_blocking = False  # noqa: SLF001  # what a task does on receipt
        self._waiting_for = future
        while not future.done():
            stand_in: asyncio.Future[None] = future.get_loop().create_future()
            wake = _waker(stand_in)
            future.add_done_callback(wake)
            try:
                yield from stand_in
            except asyncio.CancelledError as exc:
                future.remove_done_callback(wake)
                self._interrupt(exc)
        self._waiting_for = None

    def _interrupt(self, exc: asyncio.CancelledError) -> None:
        self._cancelled = exc
        if self._timer is None:
            self._start_timer()

    def _start_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._grace.total_seconds(), self._give_up)

    def _give_up(self) -> None:
        if self._waiting_for is not None:
            self._waiting_for.cancel()


def _waker(stand_in: asyncio.Future[None]) -> Callable[[asyncio.Future[Any]], None]:
    def wake(_: asyncio.Future[Any]) -> None:
        if not stand_in.done():
            stand_in.set_result(None)

    return wake
