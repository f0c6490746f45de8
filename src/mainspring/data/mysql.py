"""MySQL and MariaDB over asyncmy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncmy
from sqlalchemy import NullPool, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect as _SqlalchemyMariaDBDialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from mainspring.data._effects import Noting, needs_transaction
from mainspring.data._hot import Plans
from mainspring.data._link import Link, from_json, open_link, to_json
from mainspring.data._mysql_driver import AsyncmyDriver, begin, check_idle
from mainspring.data._retry import Retry

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Engine

    from mainspring.data._backend import Backend

_CONNECT_SECONDS = 5
_BURY_SECONDS = 2.0

# The same as PostgreSQL's default. InnoDB's own, REPEATABLE READ, locks the gaps between
# rows for every range that it updates, which is where deadlocks come from.
_ISOLATION = "READ COMMITTED"

# Strict mode makes a value that does not fit an error instead of a cut value. The ceilings of
# the waits for rows and tables are in seconds; docs/why/timeouts.md says why they are constants.
_ON_CONNECT = (
    "SET time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'),"
    " innodb_lock_wait_timeout = 30, lock_wait_timeout = 30"
)

_NO_SAVEPOINT = 1305
_BY_NUMBER: dict[object, Retry] = {
    1213: Retry.DEADLOCK,
    1020: Retry.CONFLICT,  # MariaDB with innodb_snapshot_isolation: the row has changed
    1412: Retry.STALE,  # the table has another definition than when the transaction began
    1615: Retry.STALE,
}

# Text compares by code point, as on SQLite, and not as the server happens to be set up.
_TABLE_OPTIONS = (("ENGINE", "InnoDB"), ("CHARSET", "utf8mb4"), ("COLLATE", "utf8mb4_bin"))


class MySQL:
    """The MySQL and MariaDB backend.

    A unit's transaction begins with the first statement that does more than read, by a BEGIN
    of its own; a unit that only reads takes one round trip for each statement and no other.
    """

    pool_size = 10
    one_writer = False
    reads_in_place = False

    def __init__(self, url: str) -> None:
        registry.register("mysql.mainspring", __name__, "MySQLDialect")
        registry.register("mariadb.mainspring", __name__, "MariaDBDialect")
        parsed = make_url(url)
        self._engine = create_async_engine(
            parsed.set(drivername=f"{parsed.drivername}+mainspring"),
            poolclass=NullPool,
            pool_reset_on_return=None,
            isolation_level=_ISOLATION,
            json_serializer=to_json,
            json_deserializer=from_json,
            connect_args={
                "charset": "utf8mb4",
                "connect_timeout": _CONNECT_SECONDS,
                "init_command": _ON_CONNECT,
            },
        ).sync_engine
        self._lent: set[Any] = self._engine.dialect.lent  # type: ignore[attr-defined]
        self._cut: set[Any] = self._engine.dialect.cut  # type: ignore[attr-defined]
        self.driver = AsyncmyDriver(self._cut)
        self.plans = Plans()

    @property
    def engine(self) -> Engine:
        return self._engine

    async def open(self) -> Link:
        link = await open_link(self._engine)
        await link.raw.driver_connection.autocommit(True)  # noqa: FBT003  # asyncmy's own signature
        self._lent.add(link.raw)
        return link

    def is_open(self, raw: Any) -> bool:
        connection = raw.driver_connection
        return bool(connection.connected) and not connection._stream_broken  # noqa: SLF001

    def is_clean(self, raw: Any) -> bool:
        return self.is_open(raw) and not raw.driver_connection.get_transaction_status()

    def begin_now(self, raw: Any, *, write: bool) -> bool:
        # The first statement that needs it begins.
        del raw, write
        return True

    async def begin(self, raw: Any, *, write: bool) -> None:
        """Never needed: `begin_now` always begins."""

    async def bury(self, raw: Any) -> None:
        self._lent.discard(raw)
        connection = raw.driver_connection
        async with asyncio.timeout(_BURY_SECONDS):
            if raw in self._cut:
                self._cut.discard(raw)
                await self._kill(connection.thread_id())
            await connection.ensure_closed()

    async def _kill(self, thread_id: int) -> None:
        # The server goes on with a statement although the client has left, and keeps its
        # locks; only another connection can stop it.
        _, options = self._engine.dialect.create_connect_args(self._engine.url)
        killer = await asyncmy.connect(**options, connect_timeout=_CONNECT_SECONDS)
        try:
            async with killer.cursor() as cursor:
                await cursor.execute(f"KILL CONNECTION {int(thread_id)}")
        except asyncmy.errors.OperationalError:
            return  # it has ended by itself
        finally:
            killer.close()

    def retry(self, error: BaseException) -> Retry | None:
        return retry(error)

    async def close(self) -> None:
        self._engine.dispose()


def retry(error: BaseException | None) -> Retry | None:
    """Why a unit may be done again; of the driver's errors, and of SQLAlchemy's around them.

    Source: MariaDB, "Error Codes"; MySQL, "Server Error Message Reference".
    """
    # A deadlock has undone the transaction with its savepoints, and going back to one of them
    # is what failed on the way out.
    while (number := _number(error)) == _NO_SAVEPOINT and error is not None:
        error = error.__context__
    return _BY_NUMBER.get(number)


def _number(error: BaseException | None) -> object:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause.args[0] if isinstance(cause, asyncmy.errors.MySQLError) and cause.args else None


class _Tables(MySQLDDLCompiler):
    def visit_primary_key_constraint(self, constraint: Any, **options: Any) -> str:
        # MySQL ignores the name of a primary key and warns about it each time.
        text: str = super().visit_primary_key_constraint(constraint, **options)
        return text[max(text.find("PRIMARY KEY"), 0) :]

    def post_create_table(self, table: Table) -> str:
        given = super().post_create_table(table)
        missing = [f" {name}={value}" for name, value in _TABLE_OPTIONS if name not in given]
        return given + "".join(missing)


class _Compiler(Noting, MySQLDialect_asyncmy.statement_compiler):  # type: ignore[valid-type, misc]
    pass


class MySQLDialect(MySQLDialect_asyncmy):
    """SQLAlchemy's dialect, which leaves connections of our pool to the pool."""

    statement_compiler = _Compiler

    ddl_compiler = _Tables
    driver = "mainspring"
    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lent: set[Any] = set()
        self.cut: set[Any] = set()

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        try:
            _begin(cursor, context)
            super().do_execute(  # type: ignore[no-untyped-call]
                cursor, statement, parameters, context
            )
        except asyncio.CancelledError:
            self._remember(context)
            raise

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any = None
    ) -> None:
        try:
            _begin(cursor, context)
            super().do_executemany(cursor, statement, parameters, context)
        except asyncio.CancelledError:
            self._remember(context)
            raise

    def do_commit(self, dbapi_connection: Any) -> None:
        if self._has_transaction(dbapi_connection):
            super().do_commit(dbapi_connection)  # type: ignore[no-untyped-call]

    def do_rollback(self, dbapi_connection: Any) -> None:
        if self._has_transaction(dbapi_connection):
            super().do_rollback(dbapi_connection)  # type: ignore[no-untyped-call]

    def _has_transaction(self, dbapi_connection: Any) -> bool:
        # In autocommit there is often none, and ending it would be a round trip for nothing.
        raw = getattr(dbapi_connection, "dbapi_connection", dbapi_connection)
        return raw not in self.lent or bool(raw.driver_connection.get_transaction_status())

    def _remember(self, context: Any) -> None:
        if context is not None:
            raw = context.root_connection.connection.dbapi_connection
            if raw in self.lent:
                self.cut.add(raw)

    def do_terminate(self, dbapi_connection: Any) -> None:
        # After a cancelled statement; `bury` does what takes round trips.
        if dbapi_connection not in self.lent:
            super().do_terminate(dbapi_connection)


class _MariaDBCompiler(Noting, _SqlalchemyMariaDBDialect.statement_compiler):  # type: ignore[valid-type, misc]
    pass


class MariaDBDialect(_SqlalchemyMariaDBDialect, MySQLDialect):
    """The same with MariaDB's own types."""

    statement_compiler = _MariaDBCompiler
    supports_statement_cache = True


def _begin(cursor: Any, context: Any) -> None:
    check_idle(cursor._connection)  # noqa: SLF001  # the driver's, below the adapter
    if needs_transaction(context):
        await_only(begin(cursor._connection))  # noqa: SLF001  # the driver's, below the adapter


if TYPE_CHECKING:
    _fits: type[Backend] = MySQL
