"""The transaction around a run of migrations, and what SQLite needs besides."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from mainspring import deadline
from mainspring.data import WriterBusy
from mainspring.migrations._errors import MigrationError
from mainspring.migrations._lock import ask_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sqlalchemy.engine import Connection


def changes_roll_back(connection: Connection) -> bool:
    """Whether schema changes belong to the transaction."""
    return connection.dialect.name in {"sqlite", "postgresql"}


@contextmanager
def all_or_nothing(connection: Connection, *, wait: timedelta) -> Iterator[None]:
    """A transaction around the block, where the database has them for schema changes."""
    if connection.dialect.name == "sqlite":
        with _sqlite(connection, wait=wait):
            yield
    elif changes_roll_back(connection):
        with connection.begin():
            yield
    else:
        # Alembic commits after each migration.
        yield


@contextmanager
def _sqlite(connection: Connection, *, wait: timedelta) -> Iterator[None]:
    # Most changes rebuild the table: copy, drop, rename. With foreign keys on, dropping the
    # old one would delete the rows that refer to it, so they are off and checked at the end.
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA foreign_keys = OFF")
    _begin_alone(raw, wait=wait)
    with connection.begin():
        counters = _counters(connection)
        yield
        _keep_counters(connection, counters)
        _check_references(connection)


def _begin_alone(raw: Any, *, wait: timedelta) -> None:
    def ask() -> bool:
        try:
            raw.begin()
        except WriterBusy:
            return False
        return True

    raw.writes = True
    with deadline.within(wait):
        ask_until(ask, wait=wait)


def _counters(connection: Connection) -> dict[str, int]:
    if not connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")):
        return {}
    rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
    return {row.name: row.seq for row in rows}


def _keep_counters(connection: Connection, counters: dict[str, int]) -> None:
    """A rebuilt table counts on from its largest id; ids of deleted rows must not come back."""
    for name, last in counters.items():
        connection.execute(
            text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name AND seq < :last"),
            {"name": name, "last": last},
        )


def _check_references(connection: Connection) -> None:
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        tables = sorted({row[0] for row in broken})
        raise MigrationError(
            f"{len(broken)} rows of {', '.join(tables)} would refer to rows that are not there;"
            " nothing was changed",
            fix="correct or delete them in the migration, before the change",
        )
