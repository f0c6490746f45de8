"""Statements that take long, and what a server is busy with."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainspring.data import Database

SLOW = {
    "postgresql": "SELECT pg_sleep({seconds})",
    "mysql": "SELECT SLEEP({seconds})",
    # A tenth of a microsecond a row, or somewhat more.
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
    " WHERE x < {seconds} * 10000000) SELECT count(*) FROM c",
}


def slow(database: Database, seconds: float) -> Any:
    return text(SLOW[database.engine.dialect.name].format(seconds=seconds))


async def until(condition: Callable[[], Awaitable[bool] | bool], *, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < end, "the condition never came true"
        await asyncio.sleep(0.01)


async def busy_connections(database: Database) -> int:
    """Connections of this database that the server has in a transaction or a statement."""
    if database.engine.dialect.name == "sqlite":
        return 0
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state IN ('active', 'idle in transaction',"
        " 'idle in transaction (aborted)')"
        if database.engine.dialect.name == "postgresql"
        else "SELECT count(*) FROM information_schema.innodb_trx t JOIN"
        " information_schema.processlist p ON p.id = t.trx_mysql_thread_id"
        " WHERE p.db = database() AND p.id <> connection_id()"
    )
    if database.engine.dialect.name == "mysql":
        await asyncio.sleep(0.15)  # InnoDB renews the list only when nobody looked for 100 ms
    return int(await database.on_connection(lambda c: c.execute(text(sql)).scalar_one()))
