"""SQLite for SQLAlchemy, in place: a DB-API face (PEP 249) over apsw without any thread.

A call runs on the event loop's own thread and ends there. Only waiting for the writer lock
suspends, and it suspends through SQLAlchemy's greenlet bridge.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, NoReturn

import apsw
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.util import await_only

from mainspring.data._errors import SnapshotOutdated
from mainspring.data._sqlite_checkpoint import BACKSTOP_PAGES
from mainspring.data._sqlite_lane import ask_until, bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mainspring.data._sqlite_checkpoint import BACKSTOP_PAGES
from mainspring.data._sqlite_lane import WriterLane

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"
sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(int(part) for part in sqlite_version.split("."))
Binary = bytes

Rows = list[tuple[Any, ...]]
Description = list[tuple[Any, ...]]


class Warning(Exception):  # noqa: A001  # PEP 249 prescribes the names
    """Never raised; the DB-API asks for the name."""


class Error(Exception):
    """The root of what the database reports."""


class InterfaceError(Error):
    """The driver was used in a way that it does not support."""


class DatabaseError(Error):
    """Anything that SQLite itself refused."""


class DataError(DatabaseError):
    """A value does not fit."""


class OperationalError(DatabaseError):
    """The statement could not run: no such table, disk full, interrupted."""


class IntegrityError(DatabaseError):
    """A constraint was violated."""


class InternalError(DatabaseError):
    """The file is damaged."""


class ProgrammingError(DatabaseError):
    """The connection or its parameters were used wrongly."""


class NotSupportedError(DatabaseError):
    """The DB-API names it and SQLite can do it not."""


_KINDS: tuple[tuple[type[BaseException], type[Error]], ...] = (
    (apsw.ConstraintError, IntegrityError),
    (apsw.MismatchError, DataError),
    (apsw.TooBigError, DataError),
    (apsw.CorruptError, InternalError),
    (apsw.NotADBError, InternalError),
    (apsw.BindingsError, ProgrammingError),
    (apsw.ConnectionClosedError, ProgrammingError),
    (apsw.CursorClosedError, ProgrammingError),
    (apsw.MisuseError, ProgrammingError),
    (apsw.Error, OperationalError),
    (OverflowError, DataError),
    (TypeError, InterfaceError),
)
_FAILURES = (apsw.Error, OverflowError, TypeError)

# Statements that need the writer lock, by their first word.
_WRITES = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|REINDEX)\b", re.IGNORECASE
)

# Names of the columns of statements that gave no row, by their text.
_MAX_REMEMBERED = 1000


def _translate(exc: BaseException) -> NoReturn:
    kind = next(ours for theirs, ours in _KINDS if isinstance(exc, theirs))
    raise kind(str(exc).removeprefix(f"{type(exc).__name__}: ")) from exc


class Connection(AdaptedConnection):
    """One connection; `writes` says how the next transaction begins."""

    __slots__ = ("_committed", "_descriptions", "_durable", "_holds_lane", "_lane", "writes")

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        lane: WriterLane,
        committed: Callable[[], None],
        durable: bool,
    ) -> None:
        self._connection: Any = connection
        self._lane = lane
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

    def begin_now(self) -> bool:
        """Begin if that takes no waiting."""
        if not self.writes:
            self._connection.execute("BEGIN")
            return True
        self._holds_lane = self._lane.take_now() and _granted(self._ask, self._lane)
        return self._holds_lane

    async def begin_in_line(self) -> None:
        """Begin a writing transaction when it is this unit's turn.

        Raises:
            WriterBusy: see `WriterLane.begin`.
        """
        await self._lane.begin(self._ask)
        self._holds_lane = True

    def begin(self) -> None:
        """Begin, waiting inside SQLAlchemy's greenlet if need be."""
        try:
            if not self.in_transaction and not self.begin_now():
                await_only(self.begin_in_line())
        except _FAILURES as exc:
            _translate(exc)

    def _ask(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        return True

    def commit(self) -> None:
        """End the transaction."""
        try:
            if self._connection.in_transaction:
                if self._durable and self._holds_lane:
                    # The commit waits for the disk, so this one does not stay on the loop.
                    await_only(asyncio.to_thread(self._connection.execute, "COMMIT"))
                else:
                    self._connection.execute("COMMIT")
        except _FAILURES as exc:
            _translate(exc)
        if self._holds_lane:
            self._leave_lane()
            self._committed()

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except _FAILURES as exc:
            _translate(exc)
        finally:
            self._leave_lane()

    def close(self) -> None:
        """Close; an open transaction is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(True)
        self._leave_lane()

    def _leave_lane(self) -> None:
        if self._holds_lane:
            self._holds_lane = False
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
        """Execute in place; only a lock that another process holds makes it wait."""
        connection = self._connection
        if connection is None:
            raise ProgrammingError("the connection is closed")
        if not self._holds_lane and _WRITES.match(sql) and connection.in_transaction:
            return self._run_write(sql, parameters)
        try:
            return connection.execute(sql, parameters)  # type: ignore[no-any-return]
        except apsw.BusyError as exc:
            if exc.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT:
                raise _outdated() from exc
        # Another process opens, closes or recovers the file: over in a moment.
        attempt = _Attempt(connection, sql, parameters)
        until = time.monotonic() + (limit := bound(self._lane.limit))
        await_only(ask_until(attempt, until=until, limit=limit))
        return attempt.result

    def _run_write(self, sql: str, parameters: Sequence[Any]) -> apsw.Cursor:
        """The first write of a transaction that began as a reading one."""
        attempt = _Attempt(self._connection, sql, parameters)
        if self._connection.txn_state() != apsw.SQLITE_TXN_NONE:
            # It has a snapshot. Whoever holds the lane or the lock is about to make that
            # snapshot history, so there is nothing to wait for.
            if not self._lane.take_now():
                raise _outdated()
            self._holds_lane = True
            if not attempt():
                raise _outdated()
        elif self._lane.take_now() and _granted(attempt, self._lane):
            self._holds_lane = True
        else:
            await_only(self._lane.begin(attempt))
            self._holds_lane = True
        return attempt.result

    def describe(
        self, cursor: apsw.Cursor, sql: str, parameters: Sequence[Any]
    ) -> Description | None:
        """What the columns are called; None for a statement that has none."""
        try:
            return _description(cursor)
        except apsw.ExecutionCompleteError:
            # apsw forgets the names with the last row. They follow from the text alone
            # unless it says `*`.
            if sql not in self._descriptions or "*" in sql:
                self._remember(sql, parameters)
            return self._descriptions[sql]

    def _remember(self, sql: str, parameters: Sequence[Any]) -> None:
        seen: list[Description | None] = []

        def look(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            seen.append(_description(cursor))
            return False  # prepared is enough: the statement does not run

        cursor = self._connection.cursor()
        cursor.exec_trace = look
        try:
            cursor.execute(sql, parameters)
        except apsw.ExecTraceAbort:
            pass
        if len(self._descriptions) >= _MAX_REMEMBERED:
            self._descriptions.clear()
        self._descriptions[sql] = seen[0] if seen else None


class _Attempt:
    """A statement that may find the file locked; called again until it does not."""

    __slots__ = ("_connection", "_parameters", "_sql", "result")

    result: apsw.Cursor

    def __init__(self, connection: Any, sql: str, parameters: Sequence[Any]) -> None:
        self._connection = connection
        self._sql = sql
        self._parameters = parameters

    def __call__(self) -> bool:
        try:
            self.result = self._connection.execute(self._sql, self._parameters)
        except apsw.BusyError as exc:
            if exc.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT:
                raise _outdated() from exc
            return False
        return True


def _granted(ask: Callable[[], bool], lane: WriterLane) -> bool:
    """Ask once with the lane taken, and leave the lane if the answer is no."""
    granted = False
    try:
        granted = ask()
    finally:
        if not granted:
            lane.give()
    return granted


def _description(cursor: apsw.Cursor) -> Description | None:
    columns = cursor.description
    return [(name, None, None, None, None, None, None) for name, *_ in columns] or None


def _outdated() -> SnapshotOutdated:
    return SnapshotOutdated(
        "this unit read the database, somebody else wrote to it, and now this unit writes",
        fix="open units that write with write=True, or write before the first read",
    )


class Cursor:
    """One statement and its rows."""

    __slots__ = (
        "_at",
        "_connection",
        "_rows",
        "_stream",
        "_streams",
        "arraysize",
        "description",
        "lastrowid",
        "rowcount",
    )  # fmt: skip

    def __init__(self, connection: Connection, *, streams: bool) -> None:
        self._connection = connection
        self._streams = streams
        self._stream: apsw.Cursor | None = None
        self._rows: Rows = []
        self._at = 0
        self.arraysize = 1
        self.description: Description | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        connection = self._connection
        try:
            found = connection.run(sql, parameters)
            self.description = connection.describe(found, sql, parameters)
            if self._streams:
                self._stream = found
            else:
                self._rows = found.fetchall()
                self._at = 0
            self.rowcount = connection.driver_connection.changes()
            self.lastrowid = connection.driver_connection.last_insert_rowid()
        except _FAILURES as exc:
            _translate(exc)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        total = 0
        for row in rows:
            self.execute(sql, row)
            total += self.rowcount
        self.rowcount = total

    def fetchone(self) -> tuple[Any, ...] | None:
        if self._stream is not None:
            return self._next()
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchmany(self, size: int | None = None) -> Rows:
        wanted = self.arraysize if size is None else size
        if self._stream is not None:
            return [row for _ in range(wanted) if (row := self._next()) is not None]
        rows = self._rows[self._at : self._at + wanted]
        self._at += len(rows)
        return rows

    def fetchall(self) -> Rows:
        if self._stream is not None:
            return list(iter(self._next, None))
        rows = self._rows[self._at :] if self._at else self._rows
        self._rows = []
        self._at = 0
        return rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchone, None)

    def _next(self) -> tuple[Any, ...] | None:
        assert self._stream is not None
        try:
            row: tuple[Any, ...] | None = self._stream.fetchone()
        except _FAILURES as exc:
            _translate(exc)
        return row

    def close(self) -> None:
        self._rows = []
        if self._stream is not None:
            self._stream.close(True)
            self._stream = None

    async def _async_soft_close(self) -> None:
        """SQLAlchemy calls this before rows are read outside its greenlet; they are here."""

    def setinputsizes(self, *_sizes: Any) -> None:
        """SQLite has no use for it."""


def connect(
    path: str,
    *,
    lane: WriterLane,
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
        _translate(exc)
    durable = synchronous == "full"
    return Connection(connection, lane=lane, committed=committed, durable=durable)
