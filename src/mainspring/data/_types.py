"""Python types to column types that keep the same values on every database."""

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
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB, LONGTEXT
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds, whatever the database thinks of time zones.

    PostgreSQL keeps `timestamptz`; MySQL, MariaDB and SQLite keep UTC without a zone. A naive
    datetime is refused, because nobody can say which instant it means.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC) or .astimezone()")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)
        return value.replace(tzinfo=UTC)


def integer() -> TypeEngine[int]:
    """64 bits everywhere; on SQLite the name must be INTEGER for a primary key to count."""
    return BigInteger().with_variant(Integer(), "sqlite")


def text() -> TypeEngine[str]:
    """Text without a limit; MySQL's own TEXT ends at 64 KiB."""
    return Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def decimal_number(precision: int = 18, scale: int = 6) -> TypeEngine[decimal.Decimal]:
    """Exact decimals; the defaults hold a trillion with six places."""
    return Numeric(precision, scale)


def json() -> TypeEngine[Any]:
    """JSON; PostgreSQL's binary kind, which has equality and indices."""
    return JSON().with_variant(JSONB(), "postgresql")


def tracked_dict() -> TypeEngine[Any]:
    """A JSON object that notices when a key is set on it."""
    return MutableDict.as_mutable(json())


def tracked_list() -> TypeEngine[Any]:
    """A JSON array that notices when an item is added, removed or replaced."""
    return MutableList.as_mutable(json())


PYTHON_TYPES: dict[Any, Any] = {
    str: text(),
    int: integer(),
    bool: Boolean(),
    float: Double(),
    datetime: Instant(),
    date: Date(),
    decimal.Decimal: decimal_number(),
    uuid.UUID: Uuid(),
    bytes: LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"),
    dict: tracked_dict(),
    dict[str, Any]: tracked_dict(),
    list: tracked_list(),
    list[Any]: tracked_list(),
    list[str]: tracked_list(),
    list[int]: tracked_list(),
}
