"""Moving SQLite's write-ahead log into the file, off the event loop and by one connection.

SQLite would do it inside whichever commit makes the log 1,000 pages long, and that commit
would wait for the disk twice on the event loop's thread. Here a thread does it a second
after the first commit, which is also what bounds the loss of a power cut to that second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import apsw

from mainspring import telemetry

if TYPE_CHECKING:
    from datetime import timedelta

# A log of this many pages (of 4 KiB) means that readers kept it from starting anew.
_RESTART_PAGES = 16_384
# What SQLite does itself if the thread never comes to it.
BACKSTOP_PAGES = 4 * _RESTART_PAGES


class Checkpoint:
    """Runs at most one checkpoint at a time, `delay` after the first commit since the last."""

    def __init__(self, path: str, *, delay: timedelta) -> None:
        self._path = path
        self._delay = delay.total_seconds()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._connection: apsw.Connection | None = None
        self._closed = False

    def committed(self) -> None:
        """Something was written."""
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._start)

    async def close(self) -> None:
        """Stop; the last connection to close brings the log home by itself."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._connection is not None:
            self._connection.close(force=True)

    def _start(self) -> None:
        self._timer = None
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        else:
            self.committed()

    async def _run(self) -> None:
        try:
            await asyncio.to_thread(self._checkpoint)
        except apsw.Error as exc:
            telemetry.failed("data.sqlite.checkpoint", exc)

    def _checkpoint(self) -> None:
        if self._connection is None:
            self._connection = apsw.Connection(self._path)
            # In its own thread it may wait; writers meanwhile wait without blocking the loop.
            self._connection.set_busy_timeout(100)
            # A connection that has not read anything does not know that there is a log.
            self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
        try:
            pages, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages > _RESTART_PAGES:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            return  # another process is at it
        telemetry.emit("data.sqlite.checkpoint", pages=pages, moved=moved)
