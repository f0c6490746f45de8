"""SQLAlchemy's SQLite dialect over our in-place driver, as strict as the other databases."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, cast

import apsw
from sqlalchemy import Enum, Float, Numeric, String, Text
from sqlalchemy.dialects.sqlite.base import (
    SQLiteDDLCompiler,
    SQLiteDialect,
    SQLiteExecutionContext,
    SQLiteIdentifierPreparer,
)

from mainspring.data import _sqlite_dbapi as dbapi
from mainspring.data._effects import Noting

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import URL, Dialect
    from sqlalchemy.engine.interfaces import DBAPIModule, PoolProxiedConnection

# A double holds 15 decimal digits exactly; with more a Decimal would come back changed.
_EXACT_DIGITS = 15


class BoundedString(String):
    """Text that is refused beyond its length, as PostgreSQL and MySQL refuse it."""

    def bind_processor(self, dialect: Dialect) -> Any:
        del dialect
        length = self.length
        if length is None:
            return None

        def process(value: Any) -> Any:
            if value is not None and len(value) > length:
                raise dbapi.DataError(f"value too long: {len(value)} characters, not {length}")
            return value

        return process


class ExactNumeric(Numeric[Any]):
    """Decimals kept as numbers, so that SQL compares and adds them; refused if inexact."""

    def bind_processor(self, dialect: Dialect) -> Any:
        del dialect
        places = Decimal(1).scaleb(-(self.scale or 0))
        digits = min(self.precision or _EXACT_DIGITS, _EXACT_DIGITS)

        def process(value: Any) -> Any:
            if value is None:
                return None
            exact = Decimal(value).quantize(places, ROUND_HALF_UP)
            if len(exact.as_tuple().digits) > digits:
                raise dbapi.DataError(f"{value} has more than {digits} digits")
            return float(exact)

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        del dialect, coltype
        if not self.asdecimal:
            return None
        form = f"%.{self.scale or 0}f"
        return lambda value: None if value is None else Decimal(form % value)


class _Context(SQLiteExecutionContext):
    def create_server_side_cursor(self) -> Any:
        return cast("Any", self._dbapi_connection).cursor(server_side=True)


class _Tables(SQLiteDDLCompiler):
    def visit_create_table(self, create: Any, **options: Any) -> str:
        # Without it SQLite gives the id of a deleted row to a new one, and whatever still
        # names the old row (a link, a token, a cache) would mean a stranger's.
        table = create.element
        if table.autoincrement_column is not None:
            table.dialect_options["sqlite"]["autoincrement"] = True
        text: str = super().visit_create_table(  # type: ignore[no-untyped-call]
            create, **options
        )
        return text


class _Compiler(Noting, SQLiteDialect.statement_compiler):  # type: ignore[valid-type, misc]
    pass


class _Names(SQLiteIdentifierPreparer):
    # SQLAlchemy's list lacks what newer versions added, such as NOTHING and GENERATED.
    reserved_words = SQLiteIdentifierPreparer.reserved_words | {
        word.lower() for word in apsw.keywords
    }


class SqliteDialect(SQLiteDialect):
    """Begins transactions itself, so that schema changes and savepoints belong to them."""

    driver = "mainspring"
    is_async = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    returns_native_bytes = True
    default_paramstyle = "qmark"
    execution_ctx_cls = _Context
    statement_compiler = _Compiler
    ddl_compiler = _Tables
    preparer = _Names
    colspecs = {  # noqa: RUF012  # SQLAlchemy's own attribute, read only
        **SQLiteDialect.colspecs,
        String: BoundedString,
        Text: Text,
        Enum: Enum,
        Numeric: ExactNumeric,
        Float: Float,
    }

    @classmethod
    def import_dbapi(cls) -> DBAPIModule:
        return cast("DBAPIModule", dbapi)

    def create_connect_args(self, url: URL) -> tuple[tuple[str, ...], dict[str, Any]]:
        del url
        return (), {}

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        del connection
        return dbapi.sqlite_version_info

    def on_connect(self) -> Callable[[Any], None]:
        return _add_functions

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        _ours(dbapi_connection).begin()

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.close()

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        del connection, cursor
        return isinstance(e, dbapi.ProgrammingError) and "closed" in str(e)

    def get_driver_connection(self, connection: Any) -> Any:
        return connection.driver_connection


def _ours(connection: PoolProxiedConnection) -> dbapi.Connection:
    return cast("dbapi.Connection", connection.dbapi_connection)


def _add_functions(connection: dbapi.Connection) -> None:
    connection.create_function("regexp", 2, _regexp, deterministic=True)


def _regexp(pattern: str, text: str | None) -> bool | None:
    return None if text is None else re.search(pattern, text) is not None
