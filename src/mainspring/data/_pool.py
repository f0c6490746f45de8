"""The pool: connections that are known to be clean, lent one to a unit at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from mainspring import deadline, telemetry
from mainspring.data._errors import PoolExhausted, writer_busy

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import timedelta

    from mainspring.data._backend import Backend
    from mainspring.data._link import Link
    from mainspring.errors import MainspringError


class Pool:
    """At most `size` connections, opened when needed, the last used lent first.

    Opening and burying a connection are tasks of the pool, so that a caller who is
    cancelled meanwhile can neither leak nor break one.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        size: int,
        checkout: timedelta,
        max_age: timedelta,
        one_writer: bool = False,
    ) -> None:
        self._backend = backend
        self._size = size
        self._one_writer = one_writer
        self._checkout = checkout.total_seconds()
        self._max_age = max_age.total_seconds()
        self._idle: list[Link] = []
        self._waiters: deque[asyncio.Future[Link]] = deque()
        self._opening = 0
        self._total = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def size(self) -> int:
        """How many connections there may be."""
        return self._size

    @property
    def total(self) -> int:
        """How many there are, those being opened or buried included."""
        return self._total

    @property
    def idle(self) -> int:
        """How many wait to be lent."""
        return len(self._idle)

    def take_idle(self) -> Link | None:
        """A connection at once, or None if it takes waiting."""
        while self._idle:
            link = self._idle.pop()
            if self._backend.is_open(link.raw) and time.monotonic() - link.born < self._max_age:
                return link
            self.discard(link)
        return None

    async def take(self) -> Link:
        """A connection, after waiting for no longer than the checkout limit or the deadline.

        Raises:
            PoolExhausted: the wait was in vain.
            DatabaseUnavailable: a new connection was needed and could not be opened.
        """
        # The caller may have had one that could not begin and has given it back.
        idle = self.take_idle()
        if idle is not None:
            return idle
        left = deadline.remaining()
        limit = self._checkout if left is None else min(self._checkout, left)
        waiter: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        timer = waiter.get_loop().call_later(limit, self._exhausted, waiter, limit)
        self._waiters.append(waiter)
        self._open_for_waiters()
        try:
            return await waiter
        except asyncio.CancelledError:
            # Lent and cancelled in the same turn of the loop: the next one gets it.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise
        finally:
            timer.cancel()

    def give_back(self, link: Link) -> None:
        """Take back a connection that has no transaction open, or get rid of it."""
        if self._closed or link.connection.invalidated or not self._backend.is_clean(link.raw):
            self.discard(link)
            return
        waiter = self._next_waiter()
        if waiter is None:
            self._idle.append(link)
        else:
            waiter.set_result(link)

    def discard(self, link: Link) -> None:
        """Close a connection and stop what the server still does for it; frees its place."""
        self._start(self._bury(link))

    async def close(self) -> None:
        """Close what is idle, wait for what is being opened or buried."""
        self._closed = True
        while self._idle:
            self.discard(self._idle.pop())
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _bury(self, link: Link) -> None:
        # SQLAlchemy lets go of it first: that asks `do_terminate` for a close without I/O.
        link.connection.invalidate()
        try:
            await self._backend.bury(link.raw)
        except Exception as exc:  # noqa: BLE001  # nobody waits for this; it must only be known
            telemetry.failed("data.connection.close", exc)
        finally:
            self._total -= 1
            self._open_for_waiters()

    async def _open(self) -> None:
        try:
            link = await self._backend.open()
        except Exception as exc:  # noqa: BLE001  # handed to the caller who waits for it
            self._opening -= 1
            self._total -= 1
            waiter = self._next_waiter()
            if waiter is not None:
                waiter.set_exception(exc)
            self._open_for_waiters()
        else:
            self._opening -= 1
            self.give_back(link)

    def _open_for_waiters(self) -> None:
        if self._total >= self._size or not self._waiters:
            return
        wanted = sum(not waiter.done() for waiter in self._waiters) - self._opening
        for _ in range(min(wanted, self._size - self._total)):
            self._opening += 1
            self._total += 1
            self._start(self._open())

    def _next_waiter(self) -> asyncio.Future[Link] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _exhausted(self, waiter: asyncio.Future[Link], limit: float) -> None:
        if not waiter.done():
            telemetry.emit("data.pool.exhausted", size=self._size, seconds=limit)
            waiter.set_exception(self._refused(limit))

    def _refused(self, limit: float) -> MainspringError:
        if self._one_writer:
            return writer_busy(limit)
        return PoolExhausted(
            f"no connection became free in {limit:.1f} s: of {self._size},"
            f" {self._opening} were being opened and the others in use",
            fix="shorten what units do while they are open, or raise `pool_size`",
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Connections:
    """The connections of one database: those for reading units and those for writing ones.

    They are the same, except where the database has one writer: then the writers' only
    connection is also their line, and those who stand in it take none from the readers.
    """

    def __init__(self, reading: Pool, writing: Pool) -> None:
        self.reading = reading
        self.writing = writing
        self._all = {reading, writing}

    @property
    def size(self) -> int:
        """How many there may be."""
        return sum(pool.size for pool in self._all)

    @property
    def total(self) -> int:
        """How many there are, those being opened or closed included."""
        return sum(pool.total for pool in self._all)

    @property
    def idle(self) -> int:
        """How many wait to be used."""
        return sum(pool.idle for pool in self._all)

    async def close(self) -> None:
        """Close them all."""
        for pool in self._all:
            await pool.close()
