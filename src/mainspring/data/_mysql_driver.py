"""Hot statements on MySQL and MariaDB: asyncmy's cursor, without the adapter around it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from asyncmy.cursors import SSCursor
from asyncmy.errors import ProgrammingError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mainspring.data._driver import Answer, Driver
    from mainspring.data._plan import Plan


_WINDOW_BYTES = 256 * 1024


class AsyncmyDriver:
    """Begins a transaction by its own statement: the connection is in autocommit."""

    def __init__(self, cut: set[Any]) -> None:
        self._cut = cut

    def send_now(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer | None:
        del raw, plan, sql, arguments
        return None

    async def send(self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]) -> Answer:
        connection = raw.driver_connection
        try:
            check_idle(connection)
            async with raw._execute_mutex:  # noqa: SLF001  # the adapter's own order of statements
                if not plan.only_reads:
                    await begin(connection)
                async with connection.cursor() as cursor:
                    await cursor.execute(sql, arguments)
                    _learn(plan, cursor)
                    rows = await cursor.fetchall() if plan.gives_rows else ()
                    return rows, cursor.rowcount
        except Exception as exc:  # the adapter knows which are the DB-API's
            raw._handle_exception(exc)  # noqa: SLF001  # and translates them
            raise

    async def chunks(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...], *, size: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        connection = raw.driver_connection
        try:
            _narrow(connection)
            async with connection.cursor(SSCursor) as cursor:
                await cursor.execute(sql, arguments)
                _learn(plan, cursor)
                transport = connection._transport  # noqa: SLF001  # it has no other face
                try:
                    while rows := await cursor.fetchmany(size):
                        transport.pause_reading()
                        yield rows
                        transport.resume_reading()
                finally:
                    if not transport.is_reading():
                        transport.resume_reading()
        except Exception as exc:  # the adapter knows which are the DB-API's
            raw._handle_exception(exc)  # noqa: SLF001  # and translates them
            raise

    def cut(self, raw: Any) -> None:
        self._cut.add(raw)

    async def commit(self, raw: Any) -> None:
        if raw.driver_connection.get_transaction_status():
            await raw.driver_connection.commit()

    async def rollback(self, raw: Any) -> None:
        if raw.driver_connection.get_transaction_status():
            await raw.driver_connection.rollback()


def check_idle(connection: Any) -> None:
    """Raise if rows of an earlier statement are still to come.

    asyncmy would throw them away, and the iteration would end as if there were no more.
    """
    result = connection._result  # noqa: SLF001  # it has no other face
    if result is not None and result.unbuffered_active:
        raise ProgrammingError(
            "rows of this unit are still being read: end that iteration first,"
            " or read them in a unit of its own"
        )


async def begin(connection: Any) -> None:
    """Begin a transaction, unless there is one."""
    if connection.get_autocommit() and not connection.get_transaction_status():
        await connection.begin()


def _narrow(connection: Any) -> None:
    # The server sends all rows at once and asyncmy keeps all that has arrived, so that what
    # may arrive has to be bounded: by pauses between chunks, and in the kernel.
    found = connection._transport.get_extra_info("socket")  # noqa: SLF001  # it has no other face
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)


def _learn(plan: Plan[Any], cursor: Any) -> None:
    if not plan.knows_rows:
        plan.decoder([column[1] for column in cursor.description or ()])


if TYPE_CHECKING:
    _fits: type[Driver] = AsyncmyDriver
