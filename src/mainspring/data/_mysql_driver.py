"""Hot statements on MySQL and MariaDB: asyncmy's cursor, without the adapter around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmy.cursors import SSCursor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mainspring.data._driver import Answer, Driver
    from mainspring.data._plan import Plan


class AsyncmyDriver:
    """Begins a transaction by its own statement: the connection is in autocommit."""

    def __init__(self, cut: set[Any]) -> None:
        self._cut = cut

    def send_now(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer | None:
        del raw, plan, sql, arguments

    async def send(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer:
        connection = raw.driver_connection
        try:
            async with raw._execute_mutex:  # noqa: SLF001  # the adapter's own order of statements
                if not plan.only_reads:
                    await begin(connection)
                async with connection.cursor() as cursor:
                    await cursor.execute(sql, arguments)
                    rows = cursor.fetchall() if plan.gives_rows else ()
                    _learn(plan, cursor)
                    return await rows if plan.gives_rows else (), cursor.rowcount
        except Exception as exc:  # noqa: BLE001  # the adapter knows which are the DB-API's
            raw._handle_exception(exc)  # noqa: SLF001  # and translates them
            raise

    async def chunks(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...], *, size: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        try:
            async with raw.driver_connection.cursor(SSCursor) as cursor:
                await cursor.execute(sql, arguments)
                _learn(plan, cursor)
                while rows := await cursor.fetchmany(size):
                    yield rows
        except Exception as exc:  # noqa: BLE001  # as above
            raw._handle_exception(exc)  # noqa: SLF001  # as above
            raise

    def cut(self, raw: Any) -> None:
        self._cut.add(raw)

    async def commit(self, raw: Any) -> None:
        if raw.driver_connection.get_transaction_status():
            await raw.driver_connection.commit()

    async def rollback(self, raw: Any) -> None:
        if raw.driver_connection.get_transaction_status():
            await raw.driver_connection.rollback()


async def begin(connection: Any) -> None:
    """Begin a transaction, unless there is one."""
    if connection.get_autocommit() and not connection.get_transaction_status():
        await connection.begin()


def _learn(plan: Plan[Any], cursor: Any) -> None:
    if not plan.knows_rows:
        plan.decoder([column[1] for column in cursor.description or ()])


if TYPE_CHECKING:
    _fits: type[Driver] = AsyncmyDriver
