"""Hot statements on psycopg: its own cursor, without the adapter around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mainspring.data._driver import Answer, Driver
    from mainspring.data._plan import Plan


class PsycopgDriver:
    """The connection begins by itself, so every statement belongs to its transaction."""

    def send_now(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer | None:
        del raw, plan, sql, arguments
        return None

    async def send(self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]) -> Answer:
        async with raw.driver_connection.cursor() as cursor:
            await cursor.execute(sql, arguments)
            _learn(plan, cursor)
            return await cursor.fetchall() if plan.gives_rows else (), cursor.rowcount

    async def chunks(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...], *, size: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        async with raw.driver_connection.cursor("mainspring") as cursor:
            await cursor.execute(sql, arguments)
            _learn(plan, cursor)
            while rows := await cursor.fetchmany(size):
                yield rows

    def cut(self, raw: Any) -> None:
        """Psycopg asks the server to stop by itself."""

    async def commit(self, raw: Any) -> None:
        if raw.driver_connection.info.transaction_status != TransactionStatus.IDLE:
            await raw.driver_connection.commit()

    async def rollback(self, raw: Any) -> None:
        if raw.driver_connection.info.transaction_status != TransactionStatus.IDLE:
            await raw.driver_connection.rollback()


def _learn(plan: Plan[Any], cursor: Any) -> None:
    if not plan.knows_rows:
        plan.decoder([column.type_code for column in cursor.description or ()])


if TYPE_CHECKING:
    _fits: type[Driver] = PsycopgDriver
