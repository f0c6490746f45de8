"""MySQL and MariaDB over asyncmy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import NullPool, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.ext.asyncio import create_async_engine

from mainspring.data._link import from_json, to_json

_CONNECT_SECONDS = 5

# The same isolation as PostgreSQL's default. InnoDB's own default, REPEATABLE READ, locks
# the gaps between rows for every range that it updates, which is where deadlocks come from.
# Strict mode makes a value that does not fit an error instead of a cut value.
_ON_CONNECT = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED,"
    " time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')"
)


class MySQL:
    """The MySQL and MariaDB backend."""

    pool_size = 10

    def __init__(self, url: str) -> None:
        registry.register("mysql.mainspring", __name__, "MySQLDialect")
        registry.register("mariadb.mainspring", __name__, "MariaDBDialect")
        parsed = make_url(url)
        self._engine = create_async_engine(
            parsed.set(drivername=f"{parsed.drivername}+mainspring"),
            poolclass=NullPool,
            pool_reset_on_return=None,
            json_serializer=to_json,
            json_deserializer=from_json,
            connect_args={
                "charset": "utf8mb4",
                "connect_timeout": _CONNECT_SECONDS,
                "init_command": _ON_CONNECT,
            },
        ).sync_engine
        self._lent: set[Any] = self._engine.dialect.lent  # type: ignore[attr-defined]
