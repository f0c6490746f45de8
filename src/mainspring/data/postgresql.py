"""PostgreSQL over asyncpg."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from asyncpg.exceptions import (  # type: ignore[import-untyped]  # it ships none
    InvalidCachedStatementError,
    OutdatedSchemaCacheError,
)
from sqlalchemy import NullPool, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from mainspring.data._effects import Noting, needs_transaction
from mainspring.data._hot import Plans
from mainspring.data._link import Link, from_json, open_link, to_json
from mainspring.data._postgresql_driver import AsyncpgDriver
from mainspring.data._postgresql_errors import BY_STATE
from mainspring.data._retry import Retry

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

    from mainspring.data._backend import Backend

_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_PREPARED_STATEMENTS = 500
# docs/why/timeouts.md says why these are constants of a connection.
SERVER_SETTINGS = {
    "application_name": "mainspring",
    "timezone": "UTC",
    # Compiling a short query costs more than running it.
    "jit": "off",
    "lock_timeout": "30s",
    # Stop working for a process that has died; since PostgreSQL 14.
    "client_connection_check_interval": "5s",
}


_serial = count()


def _new_name() -> str:
    return f"mainspring_{next(_serial)}"


class PostgreSQL:
    """The PostgreSQL backend.

    A connection goes back to the pool without `RESET ALL`, which would cost a round trip per
    unit: settings for one unit belong into `SET LOCAL`. A unit's transaction begins with the
    first statement that does more than read; what was read before it was read in autocommit,
    which at READ COMMITTED is the same, and takes one round trip instead of three.
    """

    pool_size = 10
    one_writer = False
    reads_in_place = False

    def __init__(self, url: str) -> None:
        registry.register("postgresql.mainspring", __name__, "PostgreSQLDialect")
        self._engine = create_async_engine(
            _asyncpg_url(make_url(url)),
            poolclass=NullPool,
            pool_reset_on_return=None,
            json_serializer=to_json,
            json_deserializer=from_json,
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "prepared_statement_cache_size": _PREPARED_STATEMENTS,
                # asyncpg's own cache would hold every statement a second time. Without it only a
                # statement with a name stays prepared; others are planned anew each time.
                "statement_cache_size": 0,
                "prepared_statement_name_func": _new_name,
                "server_settings": SERVER_SETTINGS,
            },
        ).sync_engine
        self._lent: set[Any] = self._engine.dialect.lent  # type: ignore[attr-defined]
        self.driver = AsyncpgDriver(self._engine.dialect)
        self.plans = Plans()

    @property
    def engine(self) -> Engine:
        return self._engine

    async def open(self) -> Link:
        link = await open_link(self._engine)
        self._lent.add(link.raw)
        return link

    def is_open(self, raw: Any) -> bool:
        return not raw.driver_connection.is_closed()

    def is_clean(self, raw: Any) -> bool:
        connection = raw.driver_connection
        return not connection.is_closed() and not connection.is_in_transaction()

    def begin_now(self, raw: Any, *, write: bool) -> bool:
        # The first statement that needs it begins.
        del write
        raw.autocommit = True
        return True

    async def begin(self, raw: Any, *, write: bool) -> None:
        """Never needed: `begin_now` always begins."""

    async def bury(self, raw: Any) -> None:
        self._lent.discard(raw)
        # asyncpg has asked the server to cancel what was running, and close() waits for
        # that; after the limit it cuts the connection.
        try:
            await raw.driver_connection.close(timeout=_CLOSE_SECONDS)
        except TimeoutError:
            return

    def retry(self, error: BaseException) -> Retry | None:
        return retry(error)

    async def close(self) -> None:
        self._engine.dispose()


class _Compiler(Noting, PGDialect_asyncpg.statement_compiler):  # type: ignore[valid-type, misc]
    pass


def retry(error: BaseException) -> Retry | None:
    """Why a unit may be done again; of the driver's errors, and of SQLAlchemy's around them.

    Source: PostgreSQL manual, appendix A, class 40; asyncpg, InvalidCachedStatementError.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    for each in (cause, cause.__cause__ if cause is not None else None):
        if isinstance(each, InvalidCachedStatementError | OutdatedSchemaCacheError):
            return Retry.STALE
        reason = BY_STATE.get(getattr(each, "sqlstate", None) or "")
        if reason is not None:
            return reason
    return None


class PostgreSQLDialect(PGDialect_asyncpg):
    """SQLAlchemy's dialect, which leaves connections of our pool to the pool."""

    statement_compiler = _Compiler

    driver = "mainspring"
    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.lent: set[Any] = set()

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        _begin(cursor, context)
        super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any = None
    ) -> None:
        _begin(cursor, context)
        super().do_executemany(  # type: ignore[no-untyped-call]
            cursor, statement, parameters, context
        )

    def do_terminate(self, dbapi_connection: Any) -> None:
        # After a cancelled statement. Closing takes round trips, and the cancelled task
        # should not wait for them: `bury` does it.
        if dbapi_connection not in self.lent:
            super().do_terminate(dbapi_connection)


def _begin(cursor: Any, context: Any) -> None:
    raw = cursor._adapt_connection  # noqa: SLF001  # the adapter begins when it is not in autocommit
    if raw.autocommit and needs_transaction(context):
        raw.autocommit = False


def _asyncpg_url(url: URL) -> URL:
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+mainspring", query=query)


if TYPE_CHECKING:
    _fits: type[Backend] = PostgreSQL
