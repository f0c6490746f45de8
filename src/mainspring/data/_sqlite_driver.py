"""Hot statements on SQLite: apsw in place, without a greenlet unless something waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util import greenlet_spawn

from mainspring.data._sqlite_errors import FAILURES, translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mainspring.data._driver import Answer, Driver
    from mainspring.data._plan import Plan
    from mainspring.data._sqlite_dbapi import Connection


class SqliteDriver:
    """Runs statements through the connection's own `run`, which is fair to the loop."""

    def send_now(
        self, raw: Connection, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer | None:
        if not plan.only_reads:
            # Cut short, a write would take its whole transaction with it.
            return None
        if not plan.knows_rows:
            plan.decoder(None)
        try:
            rows = raw.read_now(sql, arguments)
        except FAILURES as exc:
            translate(exc)
        return None if rows is None else (rows, 0)

    async def send(
        self, raw: Connection, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer:
        return await greenlet_spawn(_run, raw, plan, sql, arguments)

    async def chunks(
        self, raw: Connection, plan: Plan[Any], sql: str, arguments: tuple[Any, ...], *, size: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        if not plan.knows_rows:
            plan.decoder(None)
        cursor = raw.cursor(server_side=True)
        await greenlet_spawn(cursor.execute, sql, arguments)
        try:
            while rows := await greenlet_spawn(cursor.fetchmany, size):
                yield rows
        finally:
            cursor.close()

    def cut(self, raw: Connection) -> None:
        """Nothing goes on without the caller."""

    async def commit(self, raw: Connection) -> None:
        try:
            raw.commit()
        except MissingGreenlet:
            await greenlet_spawn(raw.commit)

    async def rollback(self, raw: Connection) -> None:
        raw.rollback()


def _run(raw: Connection, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]) -> Answer:
    if not plan.knows_rows:
        plan.decoder(None)
    try:
        found = raw.run(sql, arguments)
        if plan.gives_rows:
            return found.fetchall(), 0
        found.fetchall()
        return (), raw.driver_connection.changes()
    except FAILURES as exc:
        translate(exc)


if TYPE_CHECKING:
    _fits: type[Driver] = SqliteDriver
