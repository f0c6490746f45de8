"""Hot statements on PostgreSQL: asyncpg's prepared statements, one round trip each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mainspring.data._driver import Answer, Driver
    from mainspring.data._plan import Plan


class AsyncpgDriver:
    """Shares the adapter's transaction and its prepared statements."""

    def __init__(self, dialect: Any) -> None:
        self._dialect = dialect

    def send_now(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer | None:
        del raw, plan, sql, arguments
        return None

    async def send(self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]) -> Answer:
        try:
            async with raw._execute_mutex:  # noqa: SLF001  # the adapter's own order of statements
                prepared = await self._prepared(raw, plan, sql, transaction=not plan.only_reads)
                rows = await prepared.fetch(*arguments)
                if plan.gives_rows:
                    return rows, 0
                return rows, int(prepared.get_statusmsg().rpartition(" ")[2])
        except Exception as exc:  # the adapter knows which are the DB-API's
            self._refuse(raw, exc)
            raise

    async def chunks(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...], *, size: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        try:
            # A cursor lives in a transaction.
            prepared = await self._prepared(raw, plan, sql, transaction=True)
            cursor = await prepared.cursor(*arguments)
            while rows := await cursor.fetch(size):
                yield rows
        except Exception as exc:  # as above
            self._refuse(raw, exc)
            raise

    def cut(self, raw: Any) -> None:
        """Nothing to do: asyncpg asks the server to stop by itself."""

    async def commit(self, raw: Any) -> None:
        await self._end(raw, raw._transaction and raw._transaction.commit)  # noqa: SLF001  # the adapter's

    async def rollback(self, raw: Any) -> None:
        await self._end(raw, raw._transaction and raw._transaction.rollback)  # noqa: SLF001  # the adapter's

    async def _end(self, raw: Any, end: Any) -> None:
        if end is None:
            return
        try:
            await raw._call_and_discard(end)  # noqa: SLF001  # what its own commit does, in a greenlet
        except Exception as exc:  # as above
            self._refuse(raw, exc)
            raise

    async def _prepared(self, raw: Any, plan: Plan[Any], sql: str, *, transaction: bool) -> Any:
        if raw._transaction is None:  # noqa: SLF001  # the adapter's
            if transaction:
                raw.autocommit = False
            await raw._start_transaction()  # noqa: SLF001  # which does nothing in autocommit
        prepared, columns = await raw._prepare(  # noqa: SLF001  # its cache is shared
            sql,
            self._dialect._invalidate_schema_cache_asof,  # noqa: SLF001  # after a migration
        )
        if not plan.knows_rows:
            plan.decoder([column.type.oid for column in columns])
        return prepared

    def _refuse(self, raw: Any, exc: Exception) -> None:
        dbapi = self._dialect.loaded_dbapi
        try:
            raw._handle_exception(exc)  # noqa: SLF001  # the adapter's translation
        except (dbapi.InvalidCachedStatementError, dbapi.InternalServerError):
            self._dialect._invalidate_schema_cache()  # noqa: SLF001  # what SQLAlchemy does then
            raise


if TYPE_CHECKING:
    _fits: type[Driver] = AsyncpgDriver
