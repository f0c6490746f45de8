"""Long statements of SQLite in slices, with the event loop turning in between.

SQLite calls its progress handler from within a running statement. SQLAlchemy runs the
statement in a greenlet, and a greenlet may be left from there too: its part of the C stack,
SQLite's frames included, is put away and comes back unchanged. So a statement can await like
a coroutine, be cancelled like one, and go on where it was; no thread, and nothing done twice.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

if TYPE_CHECKING:
    import apsw

    from mainspring.data._sqlite_turn import Turn

# Steps of SQLite's virtual machine between two looks at the clock: 40 to 200 microseconds.
STEPS = 2_000
# docs/why/sqlite-in-place.md has the figures behind the others, all in seconds.
_IN_PLACE = 0.001
_SLICE = 0.000_25
# A turn of the loop without anybody else's work takes a third of this.
_BUSY = 0.000_03
_PAUSE = 0.001


class Slices:
    """The progress handler of one connection.

    Attributes:
        cuts: a statement that is too long and cannot be suspended is ended, since whoever
            sent it will send it again where it can be.
        suspended: a statement waits for its next slice. Until it ends nothing else may be
            done with the connection.
        urgent: others wait for the statement's transaction, so it does not step back for them.
    """

    __slots__ = ("_left", "_resumed", "_turn", "cuts", "suspended", "urgent")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._resumed = 0.0
        self._left: apsw.Connection | None = None
        self.cuts = False
        self.suspended = False
        self.urgent = False

    def __call__(self) -> bool:
        """Let the loop turn if the slice is over; True ends the statement."""
        began, limit = self._turn.statement_began, _IN_PLACE
        if self._resumed > began:  # nothing else has begun since, so it is the same statement
            began, limit = self._resumed, _SLICE
        now = time.monotonic()
        if now - began < limit:
            return False
        if not in_greenlet():
            return self.cuts
        self._suspend(now)
        return self._left is not None

    def close(self, connection: apsw.Connection) -> None:
        """Close the connection, now or when the suspended statement has ended for it."""
        if self.suspended:
            self._left = connection
        else:
            connection.close(force=True)

    def _suspend(self, now: float) -> None:
        self.suspended = True
        try:
            await_only(asyncio.sleep(0))
            if not self.urgent and time.monotonic() - now > _BUSY:
                await_only(asyncio.sleep(_PAUSE))
        finally:
            self.suspended = False
            self._resumed = time.monotonic()
            if self._left is not None:
                # SQLite is still in the middle of it; in the next turn it is not.
                asyncio.get_running_loop().call_soon(self._left.close, True)  # noqa: FBT003  # apsw's
