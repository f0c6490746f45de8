"""One statement of SQLite and its rows, as the DB-API (PEP 249) wants to see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.data._sqlite_errors import FAILURES, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

    from mainspring.data._sqlite_dbapi import Connection

Rows = list[tuple[Any, ...]]
Description = list[tuple[Any, ...]]


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
        except FAILURES as exc:
            translate(exc)

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
        self._connection.check_idle()
        try:
            row: tuple[Any, ...] | None = self._stream.fetchone()
        except FAILURES as exc:
            translate(exc)
        return row

    def close(self) -> None:
        self._rows = []
        if self._stream is not None:
            self._stream.close(force=True)
            self._stream = None

    async def _async_soft_close(self) -> None:
        """SQLAlchemy calls this before rows are read outside its greenlet; they are here."""

    def setinputsizes(self, *_sizes: Any) -> None:
        """SQLite has no use for it."""


def description(cursor: apsw.Cursor) -> Description | None:
    """The columns of a running statement; None if it has none."""
    columns = cursor.description
    return [(name, None, None, None, None, None, None) for name, *_ in columns] or None
