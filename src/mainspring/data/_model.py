"""Models: declarative classes whose tables behave alike on SQLite, PostgreSQL and MySQL."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sqlalchemy import ForeignKey, MetaData, Numeric, String, Text, UniqueConstraint
from sqlalchemy import inspect as mapping_of
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column
from sqlalchemy.orm.attributes import QueryableAttribute

from mainspring.data._errors import ModelError
from mainspring.data._peers import watch_models
from mainspring.data.types import PYTHON_TYPES, Integer64, LongText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Column, Table
    from sqlalchemy.types import TypeEngine

OnDelete = Literal["cascade", "restrict", "set null"]

# Named by rule, so that a later migration can find every constraint again.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# InnoDB indexes at most 3072 bytes, and a character of utf8mb4 may take four of them.
_MAX_INDEXED_LENGTH = 768


def table_name(class_name: str) -> str:
    """`ArticleTag` to `article_tags`: snake case, plural by the regular rules."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()
    if re.search(r"[^aeiou]y$", words):
        return words[:-1] + "ies"
    return words + ("es" if re.search(r"(s|x|z|ch|sh)$", words) else "s")


def utc_now() -> datetime:
    """The present instant, aware and in UTC."""
    return datetime.now(UTC)


class Model(AsyncAttrs, DeclarativeBase):
    """The base of every model.

    A class gets a table named after it (`ArticleTag`: `article_tags`; `__tablename__`
    overrides) and, unless it declares a primary key, an integer `id` that is never reused.

    Raises:
        ModelError: a text column is unique, indexed or a key and has no `max_length`, so that
            MySQL could not build the table.
    """

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = PYTHON_TYPES

    if TYPE_CHECKING:
        id: Mapped[int]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if not cls.__dict__.get("__abstract__", False) and not _has_mapped_parent(cls):
            _name_table(cls)
            _give_id(cls)
        super().__init_subclass__(**kwargs)
        table: Table | None = cls.__dict__.get("__table__")
        if table is not None:
            _check_indexed_text(cls.__name__, table)


watch_models(Model)


def _has_mapped_parent(cls: type) -> bool:
    return any("__mapper__" in vars(base) for base in cls.__mro__[1:])


def _name_table(cls: type) -> None:
    if not hasattr(cls, "__tablename__") and "__table__" not in vars(cls):
        cls.__tablename__ = table_name(cls.__name__)  # type: ignore[attr-defined]


def _give_id(cls: type) -> None:
    if "__table__" in vars(cls) or any(_is_key(value) for value in _declared(cls)):
        return
    cls.id = mapped_column(Integer64(), primary_key=True, autoincrement=True, sort_order=-100)  # type: ignore[attr-defined]


def _declared(cls: type) -> Iterator[object]:
    for base in cls.__mro__:
        if base is not Model and base is not DeclarativeBase:
            yield from vars(base).values()
    yield from getattr(cls, "__table_args__", ())


def _is_key(value: object) -> bool:
    column = value.column if isinstance(value, MappedColumn) else value
    return bool(getattr(column, "primary_key", False))


def _check_indexed_text(model: str, table: Table) -> None:
    indexed: set[Column[Any]] = set(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            indexed.update(constraint.columns)
    for index in table.indexes:
        # An index with options of one database (a GIN index, a prefix) knows what it does.
        if not index.dialect_kwargs:
            indexed.update(index.columns)
    for column in indexed:
        _check_length(model, column)


def _check_length(model: str, column: Column[Any]) -> None:
    if not isinstance(column.type, (String, LongText)):
        return
    bounded = isinstance(column.type, String) and not isinstance(column.type, Text)
    length = column.type.length if bounded else None
    if length is None or length > _MAX_INDEXED_LENGTH:
        raise ModelError(
            f"{model}.{column.key} is a key, unique or indexed, and its length is "
            f"{'not limited' if length is None else length}, which MySQL cannot index",
            fix=f"declare it with column(max_length=…) of at most {_MAX_INDEXED_LENGTH}",
        )


def column(  # noqa: PLR0913  # a column has that many sides, and all are named
    *,
    max_length: int | None = None,
    precision: int | None = None,
    scale: int = 2,
    default: Any = None,
    on_update: Callable[[], Any] | None = None,
    server_default: Any = None,
    primary_key: bool = False,
    unique: bool = False,
    index: bool = False,
    nullable: bool | None = None,
    name: str | None = None,
    type_: TypeEngine[Any] | None = None,
    deferred: bool = False,
) -> MappedColumn[Any]:
    """The sides of a column that its annotation does not tell.

    `title: Mapped[str] = column(max_length=200)`

    Args:
        max_length: characters of a `str`; required where the column is unique or indexed.
        precision: digits of a `Decimal` in all, `scale` of them behind the point.
        scale: see `precision`.
        default: value, or function without arguments, for a row that is made without one.
        on_update: function that gives the value of every update that does not set it.
        server_default: SQL default, needed to add a required column to a table with rows.
        primary_key: this column is the key, or part of it; no `id` is added then.
        unique: no two rows with the same value.
        index: the database keeps an index.
        nullable: overrides what the annotation says (`Mapped[int | None]`).
        name: the column's name where it is not the attribute's.
        type_: a SQLAlchemy type instead of the one that the annotation gives.
        deferred: read from the database only when the attribute is used.
    """
    options: dict[str, Any] = {}
    if default is not None:
        options["default"] = default
    if nullable is not None:
        options["nullable"] = nullable
    if deferred:
        options["deferred"] = True
    return mapped_column(
        *_named(name),
        *_given_type(type_, max_length, precision, scale),
        onupdate=on_update,
        server_default=server_default,
        primary_key=primary_key,
        unique=unique or None,
        index=index or None,
        **options,
    )


def _named(name: str | None) -> list[Any]:
    # SQLAlchemy takes name and type by position, and both may be left out.
    return [name] if name else []


def _typed_like(other: Column[Any] | None) -> list[Any]:
    return [] if other is None else [other.type]


def _given_type(
    type_: TypeEngine[Any] | None, max_length: int | None, precision: int | None, scale: int
) -> list[Any]:
    if type_ is not None:
        return [type_]
    if max_length is not None:
        return [String(max_length)]
    return [Numeric(precision, scale)] if precision is not None else []


def foreign_key(
    target: QueryableAttribute[Any] | Mapped[Any] | str,
    *,
    on_delete: OnDelete = "restrict",
    index: bool = True,
    unique: bool = False,
    primary_key: bool = False,
    name: str | None = None,
) -> MappedColumn[Any]:
    """The reference to another model's column.

    `author_id: Mapped[int] = foreign_key(User.id)`

    Args:
        target: the other model's attribute, or `"table.column"` for one that is declared later.
        on_delete: what deleting the other row does: delete this one, refuse, or set NULL.
        index: keep an index; without one every delete of the other row reads this whole table.
        unique: at most one row refers to each.
        primary_key: part of this table's key.
        name: the column's name where it is not the attribute's.
    """
    target_column = None if isinstance(target, str) else _column_of(target)
    reference = ForeignKey(
        target if target_column is None else target_column, ondelete=on_delete.upper()
    )
    return mapped_column(
        *_named(name),
        *_typed_like(target_column),
        reference,
        index=(index and not unique and not primary_key) or None,
        unique=unique or None,
        primary_key=primary_key,
        # A key that refers to another table takes its value from there.
        autoincrement=False if primary_key else "auto",
    )


def _column_of(target: QueryableAttribute[Any] | Mapped[Any]) -> Column[Any]:
    if not isinstance(target, QueryableAttribute):
        raise ModelError(
            f"foreign_key() got {target!r}, which is not a column of a model",
            fix="pass Model.attribute, or 'table.column' for a model that is declared later",
        )
    found: Column[Any] = mapping_of(target.class_).columns[target.key]
    return found


class Timestamped:
    """A mixin: when the row was made and when it was last changed, in UTC."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=101)
