"""PostgreSQL over psycopg, for connections through a pooler such as PgBouncer.

Nothing belongs to a connection here, because a pooler in transaction mode gives each
transaction another one: no prepared statements, no settings of the session.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from psycopg import OperationalError
from psycopg.pq import ConnStatus, TransactionStatus
from sqlalchemy import NullPool, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from mainspring.data._hot import Plans
from mainspring.data._link import Link, from_json, open_link, to_json
from mainspring.data._postgresql_errors import BY_STATE
from mainspring.data._psycopg_driver import PsycopgDriver

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

    from mainspring.data._backend import Backend
    from mainspring.data._retry import Retry

_CONNECT_SECONDS = 5
_CLOSE_SECONDS = 2.0


class PooledPostgreSQL:
    """The PostgreSQL backend behind a pooler: `postgresql+psycopg://…`."""

    pool_size = 10
    one_writer = False
    reads_in_place = False

    def __init__(self, url: str) -> None:
        registry.register("postgresql.mainspring_psycopg", __name__, "PsycopgDialect")
        self._engine = create_async_engine(
            make_url(url).set(drivername="postgresql+mainspring_psycopg"),
            poolclass=NullPool,
            pool_reset_on_return=None,
            json_serializer=to_json,
            json_deserializer=from_json,
            # By place, as the plans of hot statements want them.
            paramstyle="format",
            use_native_hstore=False,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "prepare_threshold": None,
                "application_name": "mainspring",
            },
        ).sync_engine
        self._lent: set[Any] = self._engine.dialect.lent  # type: ignore[attr-defined]
        self.driver = PsycopgDriver()
        self.plans = Plans()

    @property
    def engine(self) -> Engine:
        return self._engine

    async def open(self) -> Link:
        link = await open_link(self._engine)
        self._lent.add(link.raw)
        return link

    def is_open(self, raw: Any) -> bool:
        # libpq learns that the server has gone when it looks at the socket, which does not wait.
        try:
            raw.driver_connection.pgconn.consume_input()
        except OperationalError:
            return False
        return bool(raw.driver_connection.pgconn.status == ConnStatus.OK)

    def is_clean(self, raw: Any) -> bool:
        return bool(raw.driver_connection.info.transaction_status == TransactionStatus.IDLE)

    def begin_now(self, raw: Any, *, write: bool) -> bool:
        # The driver sends BEGIN before the first statement.
        del raw, write
        return True

    async def begin(self, raw: Any, *, write: bool) -> None:
        """Never needed: `begin_now` always begins."""

    async def bury(self, raw: Any) -> None:
        self._lent.discard(raw)
        # The driver has cancelled what was running before it let the cancellation through.
        async with asyncio.timeout(_CLOSE_SECONDS):
            await raw.driver_connection.close()

    def retry(self, error: BaseException) -> Retry | None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return BY_STATE.get(getattr(cause, "sqlstate", None) or "")

    async def close(self) -> None:
        self._engine.dispose()


class PsycopgDialect(PGDialectAsync_psycopg):
    """SQLAlchemy's dialect, which leaves connections of our pool to the pool."""

    driver = "mainspring_psycopg"
    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.lent: set[Any] = set()

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[Any]:
        del url
        return cls

    def do_terminate(self, dbapi_connection: Any) -> None:
        # After a cancelled statement; `bury` does what takes round trips.
        if dbapi_connection not in self.lent:
            super().do_terminate(dbapi_connection)  # type: ignore[no-untyped-call]


if TYPE_CHECKING:
    _fits: type[Backend] = PooledPostgreSQL
