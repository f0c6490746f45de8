"""One runner at a time, on each kind of database.

The lock is asked for again and again and never waited for inside the database: a session that
waits there holds a snapshot, and PostgreSQL's `CREATE INDEX CONCURRENTLY` would wait for it.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.util import await_only

from mainspring.migrations._errors import RunnerBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from sqlalchemy.engine import Connection

# "mainspri" in bytes: a number that no application picks by chance.
_POSTGRESQL_KEY = 0x6D61696E73707269
_ASK_AGAIN = (0.05, 0.15)


@contextmanager
def only_runner(connection: Connection, *, wait: timedelta) -> Iterator[None]:
    """Hold the database's migration lock for a block, inside SQLAlchemy's greenlet.

    Raises:
        RunnerBusy: somebody else held it for the whole wait.
    """
    if connection.dialect.name == "sqlite":
        # There the transaction itself is the lock.
        yield
        return
    take, give = _POSTGRESQL if connection.dialect.name == "postgresql" else _mysql(connection)
    with connection.engine.connect() as guard:
        guard.execution_options(isolation_level="AUTOCOMMIT")
        ask_until(lambda: bool(guard.execute(text(take)).scalar()), wait=wait)
        try:
            yield
        finally:
            guard.execute(text(give))


_POSTGRESQL = (
    f"SELECT pg_try_advisory_lock({_POSTGRESQL_KEY})",
    f"SELECT pg_advisory_unlock({_POSTGRESQL_KEY})",
)


def _mysql(connection: Connection) -> tuple[str, str]:
    # The name is the server's, not the database's, and may have 64 characters.
    name = f"mainspring:{connection.engine.url.database}"[:64].replace("'", "")
    return f"SELECT GET_LOCK('{name}', 0)", f"SELECT RELEASE_LOCK('{name}')"


def ask_until(ask: Callable[[], bool], *, wait: timedelta) -> None:
    """Ask, inside SQLAlchemy's greenlet, until granted.

    Raises:
        RunnerBusy: not granted within `wait`.
    """
    until = time.monotonic() + wait.total_seconds()
    while not ask():
        if time.monotonic() >= until:
            raise RunnerBusy(
                f"another process was migrating the database for {wait.total_seconds():.0f} s",
                fix="wait for it to end, or find out what it waits for",
            )
        await_only(asyncio.sleep(random.uniform(*_ASK_AGAIN)))  # noqa: S311  # no secret
