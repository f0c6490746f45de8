"""SQLite for SQLAlchemy, in place: a DB-API face (PEP 249) over apsw without any thread.

A call runs on the event loop's own thread and ends there. Only waiting for the writer lock and
statements that take long suspend, and they suspend through SQLAlchemy's greenlet bridge.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apsw
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util import await_only

from mainspring.data._sqlite_attempt import Attempt, granted, insist, outdated
from mainspring.data._sqlite_checkpoint import BACKSTOP_PAGES
from mainspring.data._sqlite_cursor import Cursor, description
from mainspring.data._sqlite_errors import (
    FAILURES,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004  # PEP 249 prescribes the name
    snapshot_is_history,
    translate,
)
from mainspring.data._sqlite_lane import bound
from mainspring.data._sqlite_slices import STEPS, Slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.data._sqlite_cursor import Description
    from mainspring.data._sqlite_lane import WriterLane
    from mainspring.data._sqlite_turn import Turn

__all__ = [
    "Binary",
    "Connection",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"
sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(int(part) for part in sqlite_version.split("."))
Binary = bytes


# Statements that need the writer lock, by their first word.
_WRITES = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|REINDEX)\b", re.IGNORECASE
)
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)

# Names of the columns of statements that gave no row, by their text.
_MAX_REMEMBERED = 1000


class Connection(AdaptedConnection):
    """One connection; `writes` says how the next transaction begins."""

    __slots__ = (
        "_committed",
        "_descriptions",
        "_durable",
        "_holds_lane",
        "_lane",
        "_slices",
        "_turn",
        "writes",
    )

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        lane: WriterLane,
        turn: Turn,
        committed: Callable[[], None],
        durable: bool,
    ) -> None:
        self._connection: Any = connection
        self._lane = lane
        self._turn = turn
        self._slices = Slices(turn)
        connection.set_progress_handler(self._slices, STEPS)
        self._committed = committed
        self._durable = durable
        self._holds_lane = False
        self._descriptions: dict[str, Description | None] = {}
        self.writes = False

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return self._connection is not None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection is not None and self._connection.in_transaction

    @property
    def holds_lane(self) -> bool:
        """Whether other writers wait for it."""
        return self._holds_lane

    def begin_now(self) -> bool:
        """Begin if that takes no waiting."""
        if not self.writes:
            self._connection.execute("BEGIN")
            return True
        if self._lane.take_now() and granted(self._ask, self._lane):
            self._enter_lane()
        return self._holds_lane

    async def begin_in_line(self) -> None:
        """Begin a writing transaction when it is this unit's turn.

        Raises:
            WriterBusy: see `WriterLane.begin`.
        """
        await self._lane.begin(self._ask)
        self._enter_lane()

    def begin(self) -> None:
        """Begin, waiting inside SQLAlchemy's greenlet if need be."""
        try:
            if not self.in_transaction and not self.begin_now():
                await_only(self.begin_in_line())
        except FAILURES as exc:
            translate(exc)

    def _ask(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        return True

    def commit(self) -> None:
        """End the transaction."""
        self.check_idle()
        try:
            if self._connection.in_transaction:
                if self._durable and self._holds_lane:
                    # The commit waits for the disk, so this one does not stay on the loop.
                    await_only(asyncio.to_thread(self._connection.execute, "COMMIT"))
                else:
                    self._connection.execute("COMMIT")
        except FAILURES as exc:
            translate(exc)
        if self._holds_lane:
            self._leave_lane()
            self._committed()

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        self.check_idle()
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except FAILURES as exc:
            translate(exc)
        finally:
            self._leave_lane()

    def close(self) -> None:
        """Close; an open transaction is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._slices.close(connection)
        self._leave_lane()

    def check_idle(self) -> None:
        """Raise if a statement is in the middle of its work."""
        if self._slices.suspended:
            raise ProgrammingError("a statement of this unit is still running: await it first")

    def _enter_lane(self) -> None:
        self._holds_lane = self._slices.urgent = True

    def _leave_lane(self) -> None:
        if self._holds_lane:
            self._holds_lane = self._slices.urgent = False
            self._lane.give()

    def cursor(self, *, server_side: bool = False) -> Cursor:
        """A cursor; a server-side one reads rows as they are asked for."""
        return Cursor(self, streams=server_side)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        """A cursor that has run the statement."""
        cursor = self.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def create_function(self, name: str, arguments: int, function: Any, **options: Any) -> None:
        """Make a Python function callable from SQL."""
        self._connection.create_scalar_function(name, function, arguments, **options)

    def run(self, sql: str, parameters: Sequence[Any]) -> apsw.Cursor:
        """Execute in place; waits only for other processes' locks, and to be fair to the loop."""
        connection = self._connection
        if connection is None:
            raise ProgrammingError("the connection is closed")
        if self._slices.suspended:
            self.check_idle()
        if self._turn.is_long():
            await_only(asyncio.sleep(0))
        if not self._holds_lane and _WRITES.match(sql) and connection.in_transaction:
            return self._run_write(sql, parameters)
        try:
            return connection.execute(sql, parameters)  # type: ignore[no-any-return]
        except apsw.BusyError as exc:
            if snapshot_is_history(exc):
                raise outdated() from exc
        # Another process opens, closes or recovers the file: over in a moment.
        attempt = Attempt(connection, sql, parameters)
        until = time.monotonic() + (limit := bound(self._lane.limit))
        return insist(attempt, until=until, limit=limit)

    def read_now(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]] | None:
        """The rows of a statement that only reads, outside of SQLAlchemy's greenlet.

        None if it would have to wait, or is too long to hold the loop: then it has to be run
        in the greenlet, where it can.
        """
        slices = self._slices
        slices.cuts = True
        try:
            return self.run(sql, parameters).fetchall()
        except (MissingGreenlet, apsw.InterruptError):
            return None
        finally:
            slices.cuts = False

    def _run_write(self, sql: str, parameters: Sequence[Any]) -> apsw.Cursor:
        """The first write of a transaction that began as a reading one."""
        attempt = Attempt(self._connection, sql, parameters)
        if self._connection.txn_state() != apsw.SQLITE_TXN_NONE:
            # It has a snapshot. Whoever holds the lane or the lock is about to make that
            # snapshot history, so there is nothing to wait for.
            if not self._lane.take_now():
                raise outdated()
            self._enter_lane()
            if not attempt():
                raise outdated()
        elif self._lane.take_now() and granted(attempt, self._lane):
            self._enter_lane()
        else:
            self._insist_in_line(attempt)
        return attempt.result

    def _insist_in_line(self, attempt: Attempt) -> None:
        until = time.monotonic() + (limit := bound(self._lane.limit))
        await_only(self._lane.take(limit))
        self._enter_lane()
        try:
            insist(attempt, until=until, limit=limit)
        except BaseException:
            self._leave_lane()
            raise

    def describe(
        self, cursor: apsw.Cursor, sql: str, parameters: Sequence[Any]
    ) -> Description | None:
        """What the columns are called; None for a statement that has none."""
        try:
            return description(cursor)
        except apsw.ExecutionCompleteError:
            # apsw forgets the names with the last row. They follow from the text alone
            # unless it says `*`.
            if _WRITES.match(sql) and not _RETURNING.search(sql):
                return None
            if sql not in self._descriptions or "*" in sql:
                self._remember(sql, parameters)
            return self._descriptions[sql]

    def _remember(self, sql: str, parameters: Sequence[Any]) -> None:
        seen: list[Description | None] = []

        def look(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            seen.append(description(cursor))
            return False  # prepared is enough: the statement does not run

        cursor = self._connection.cursor()
        cursor.exec_trace = look
        with suppress(apsw.ExecTraceAbort):
            cursor.execute(sql, parameters)
        if len(self._descriptions) >= _MAX_REMEMBERED:
            self._descriptions.clear()
        self._descriptions[sql] = seen[0] if seen else None


def connect(
    path: str,
    *,
    lane: WriterLane,
    turn: Turn,
    committed: Callable[[], None],
    synchronous: str,
    cache_bytes: int,
) -> Connection:
    """Open the file with the settings that a server needs; every one is per connection.

    `mmap_size` stays 0: with memory-mapped files an I/O error becomes a crash, and the
    corruptions that became known needed it.
    """
    try:
        connection = apsw.Connection(path)
        connection.set_busy_timeout(0)
        for pragma in (
            "journal_mode = WAL",
            "foreign_keys = ON",
            f"synchronous = {synchronous}",
            f"cache_size = -{cache_bytes // 1024}",
            f"wal_autocheckpoint = {BACKSTOP_PAGES}",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except apsw.Error as exc:
        translate(exc)
    durable = synchronous == "full"
    return Connection(connection, lane=lane, turn=turn, committed=committed, durable=durable)
