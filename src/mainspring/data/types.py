"""Column types that keep the same values on every database.

Models get them from their annotations; migrations name them.
"""

from __future__ import annotations

import decimal
import uuid
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    Uuid,
)
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

_MYSQL = frozenset({"mysql", "mariadb"})


class Integer64(TypeDecorator[int]):
    """64 bits everywhere; SQLite's INTEGER has them, and must be called so to count up."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Integer() if dialect.name == "sqlite" else BigInteger()


class LongText(TypeDecorator[str]):
    """Text without a limit; MySQL's own TEXT ends at 64 KiB."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in _MYSQL:
            return Text()
        from sqlalchemy.dialects.mysql import LONGTEXT  # noqa: PLC0415  # loaded already if this runs

        return LONGTEXT()


class LongBytes(TypeDecorator[bytes]):
    """Bytes without a limit; MySQL's own BLOB ends at 64 KiB."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in _MYSQL:
            return LargeBinary()
        from sqlalchemy.dialects.mysql import LONGBLOB  # noqa: PLC0415  # loaded already if this runs

        return LONGBLOB()


class Json(TypeDecorator[Any]):
    """JSON; on PostgreSQL the binary kind. None is SQL's NULL, not JSON's."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return JSON(none_as_null=True)
        from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415  # loaded already if this runs

        return JSONB(none_as_null=True)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds, whatever the database thinks of time zones.

    PostgreSQL keeps `timestamptz`; MySQL, MariaDB and SQLite keep UTC without a zone. A naive
    datetime is refused, because nobody can say which instant it means.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in _MYSQL:
            return DateTime(timezone=True)
        from sqlalchemy.dialects.mysql import DATETIME  # noqa: PLC0415  # loaded already if this runs

        return DATETIME(fsp=6)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC) or .astimezone()")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # In place of `process_result_value`, which would be three calls for each value.
        del coltype
        if dialect.name == "sqlite":
            return _of_text
        return _in_utc if dialect.name == "postgresql" else _with_utc


def _of_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text + "+00:00")


def _in_utc(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


def _with_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)


def _object() -> Any:
    # A mutable one notices when a key is set on it; below the first level it does not.
    return MutableDict.as_mutable(Json())


def _array() -> Any:
    return MutableList.as_mutable(Json())


PYTHON_TYPES: dict[Any, Any] = {
    str: LongText(),
    int: Integer64(),
    bool: Boolean(),
    float: Double(),
    datetime: Instant(),
    date: Date(),
    decimal.Decimal: Numeric(18, 6),
    uuid.UUID: Uuid(),
    bytes: LongBytes(),
    dict: _object(),
    dict[str, Any]: _object(),
    list: _array(),
    list[Any]: _array(),
    list[str]: _array(),
    list[int]: _array(),
}
"""What an annotation becomes when `column()` says nothing else."""


def python_type(of: TypeEngine[Any]) -> Any:
    """The type of a column's values; Any where SQLAlchemy does not say."""
    inner = of.impl_instance if isinstance(of, TypeDecorator) else of
    try:
        return inner.python_type
    except NotImplementedError:
        return Any
