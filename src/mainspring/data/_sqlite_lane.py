"""Waiting for SQLite's one place to write: in line, without blocking the event loop.

Within the process writers stand in a queue, first come, first served. Only its head asks
SQLite for the lock, so that the number of those who ask is the number of processes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING

from mainspring import deadline
from mainspring.data._errors import writer_busy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

# A process that has written for so long without a gap lets the others have a turn: they ask
# every millisecond or two and would otherwise hit the gap between two commits only by chance.
_TENURE = 0.050
_PAUSE = 0.003
_ASK_AGAIN = (0.0005, 0.002)


class WriterLane:
    """The right to ask SQLite for its write lock, held by one unit of the process at a time."""

    def __init__(self, *, limit: timedelta) -> None:
        self.limit = limit
        self._held = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._since = 0.0

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._waiters)

    def take_now(self) -> bool:
        """Take the lane if it is free and nobody stands in line."""
        if self._held or self._waiters:
            return False
        self._held = True
        self._since = 0.0
        return True

    def give(self) -> None:
        """Hand the lane to the next in line, or leave it free."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._held = False

    async def begin(self, ask: Callable[[], bool]) -> None:
        """Take the lane and ask until `ask` is granted the lock; the lane is then held.

        Raises:
            WriterBusy: neither happened within the limit or the deadline.
        """
        limit = bound(self.limit)
        until = time.monotonic() + limit
        await self.take(limit)
        try:
            await ask_until(ask, until=until, limit=limit)
        except BaseException:
            self.give()
            raise

    async def take(self, limit: float) -> None:
        """Take the lane when it is this one's turn.

        Raises:
            WriterBusy: it was not within `limit` seconds.
        """
        if not self.take_now():
            await self._stand_in_line(limit)
        try:
            await self._breathe()
        except BaseException:
            self.give()
            raise

    async def _stand_in_line(self, limit: float) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(limit, _refuse, waiter, limit)
        try:
            await waiter
        except BaseException:
            # Granted and cancelled in the same turn of the loop: the next in line gets it.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give()
            raise
        finally:
            timer.cancel()

    async def _breathe(self) -> None:
        now = time.monotonic()
        if not self._since:
            self._since = now
        elif now - self._since > _TENURE:
            await asyncio.sleep(_PAUSE)
            self._since = time.monotonic()


def bound(limit: timedelta) -> float:
    """Seconds that the current work may wait: the limit, or the deadline if that is nearer."""
    left = deadline.remaining()
    return limit.total_seconds() if left is None else min(limit.total_seconds(), left)


async def ask_until(ask: Callable[[], bool], *, until: float, limit: float) -> None:
    """Ask again and again, at irregular intervals, until granted.

    Raises:
        WriterBusy: not granted by `until`, on the monotonic clock.
    """
    while not ask():
        if time.monotonic() >= until:
            raise writer_busy(limit)
        await pause()


async def pause() -> None:
    """Wait an irregular moment, so that processes do not ask in step."""
    await asyncio.sleep(random.uniform(*_ASK_AGAIN))  # noqa: S311  # no secret


def _refuse(waiter: asyncio.Future[None], limit: float) -> None:
    if not waiter.done():
        waiter.set_exception(writer_busy(limit))
