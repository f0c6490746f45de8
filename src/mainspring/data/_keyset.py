"""The place of a row in an ordered list, as a condition that the database decides.

Nothing here compares values: text is ordered by the collation of its column, and only the
database knows that. NULLs have their place: where the order says, or where the database puts
them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Column, ColumnElement, and_, bindparam, false, or_, tuple_
from sqlalchemy.orm.attributes import QueryableAttribute
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from mainspring.data._errors import BadCursor, PageError
from mainspring.data.types import python_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import Mapper

_SMALLEST: Final = frozenset({"sqlite", "mysql", "mariadb"})
"""Databases that order NULL before every value; PostgreSQL orders it after."""
_NAME: Final = "page_key_is_{}"
_MYSQL: Final = frozenset({"mysql", "mariadb"})
_MODIFIERS: Final = frozenset({
    operators.asc_op, operators.desc_op, operators.nulls_first_op, operators.nulls_last_op,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that a list is ordered by.

    Attributes:
        column: its value.
        descending: the largest first.
        nullable: the value may be NULL.
        nulls_first: where the NULLs are.
        said: the order says where, and does not leave it to the database.
    """

    column: ColumnElement[Any]
    descending: bool
    nullable: bool
    nulls_first: bool
    said: bool = False

    def reversed(self) -> Key:
        """The same the other way round."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)


def keys_of(query: Select[Any], order: Sequence[Any], dialect: str) -> tuple[Key, ...]:
    """The keys of an order; the primary key is added, so that no two rows are equal.

    Raises:
        PageError: the query reads no model, so that it is not known what tells rows apart.
    """
    mapper = _mapper(query)
    keys = [_key(each, mapper, dialect) for each in order]
    have = {_bare(key.column) for key in keys}
    descending = keys[-1].descending if keys else False
    keys += [
        _key(attribute.desc() if descending else attribute, mapper, dialect)
        for column in mapper.primary_key
        if column not in have
        for attribute in [getattr(mapper.class_, mapper.get_property_by_column(column).key)]
    ]
    return tuple(keys)


@lru_cache(maxsize=512)
def ordering(keys: tuple[Key, ...], dialect: str) -> tuple[Any, ...]:
    """The terms of ORDER BY."""
    terms: list[Any] = []
    for key in keys:
        term: Any = key.column.desc() if key.descending else key.column
        if key.said and dialect in _MYSQL:
            null = key.column.is_(None)
            terms.append(null.desc() if key.nulls_first else null)
        elif key.said:
            term = term.nulls_first() if key.nulls_first else term.nulls_last()
        terms.append(term)
    return tuple(terms)


@lru_cache(maxsize=512)
def beyond(
    keys: tuple[Key, ...], nulls: tuple[bool, ...], *, inclusive: bool, dialect: str
) -> ColumnElement[bool]:
    """Whether a row comes after the one with the `parameters` of a place, or is it.

    To make it takes a tenth of a millisecond, so that the same one is used again.

    Args:
        keys: of the order.
        nulls: which of the values are NULL.
        inclusive: the row with these very values counts too.
        dialect: the database's.
    """
    values = [
        None if null else bindparam(_NAME.format(at), type_=key.column.type)
        for at, (key, null) in enumerate(zip(keys, nulls, strict=True))
    ]
    plain = not any(key.nullable for key in keys)
    alike = len({key.descending for key in keys}) == 1
    if plain and alike and dialect not in _MYSQL:
        return _as_one(keys, values, inclusive=inclusive)
    found = _stepwise(keys, values, inclusive=inclusive)
    first: Any = keys[0].column
    if dialect in _MYSQL or len(keys) == 1 or keys[0].nullable:
        # MySQL makes ranges of an index out of the alternatives by itself.
        return found
    bound = first <= values[0] if keys[0].descending else first >= values[0]
    return and_(bound, found)


def parameters(values: Sequence[Any]) -> dict[str, Any]:
    """The values of a place, for the statement with `beyond` in it."""
    return {_NAME.format(at): value for at, value in enumerate(values) if value is not None}


def fingerprint(keys: Iterable[Key]) -> bytes:
    """The order in a few bytes."""
    text = ",".join(f"{_name(key.column)} {key.descending:d}{key.nulls_first:d}" for key in keys)
    return hashlib.blake2b(text.encode(), digest_size=6).digest()


def restored(keys: Sequence[Key], values: Sequence[Any]) -> list[Any]:
    """Values of a cursor as the columns have them.

    Raises:
        BadCursor: they are of other types, because the model has changed.
    """
    try:
        return [_as_type(key, value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, msgspec.ValidationError):
        raise BadCursor(
            "this cursor was given out before the list changed", fix="begin at the first page"
        ) from None


def _as_type(key: Key, value: Any) -> Any:
    if value is None:
        return None
    return msgspec.convert(value, python_type(key.column.type), strict=False)


def _as_one(keys: Sequence[Key], values: Sequence[Any], *, inclusive: bool) -> ColumnElement[bool]:
    """A comparison of rows, which is one range of an index."""
    columns: Any = [key.column for key in keys]
    left: Any = tuple_(*columns) if len(columns) > 1 else columns[0]
    right: Any = tuple_(*values) if len(values) > 1 else values[0]
    compare = {
        (False, False): operators.gt,
        (False, True): operators.ge,
        (True, False): operators.lt,
        (True, True): operators.le,
    }[keys[0].descending, inclusive]
    found: Any = compare(left, right)
    return found  # type: ignore[no-any-return]  # an operator of columns is a condition


def _stepwise(
    keys: Sequence[Key], values: Sequence[Any], *, inclusive: bool
) -> ColumnElement[bool]:
    """Beyond in the first key, or equal in it and beyond in the rest."""
    key, value = keys[0], values[0]
    rest: ColumnElement[bool] | None = None
    if len(keys) > 1:
        rest = and_(_equal(key, value), _stepwise(keys[1:], values[1:], inclusive=inclusive))
    elif inclusive:
        rest = _equal(key, value)
    further = _further(key, value)
    return further if rest is None else or_(further, rest)


def _further(key: Key, value: Any) -> ColumnElement[bool]:
    column: Any = key.column
    if value is None:
        return column.is_not(None) if key.nulls_first else false()
    found = column < value if key.descending else column > value
    nulls_follow = key.nullable and not key.nulls_first
    return or_(found, column.is_(None)) if nulls_follow else found


def _equal(key: Key, value: Any) -> ColumnElement[bool]:
    return key.column.is_(None) if value is None else key.column == value


def _mapper(query: Select[Any]) -> Mapper[Any]:
    for described in query.column_descriptions:
        mapper = getattr(described.get("entity"), "__mapper__", None)
        if mapper is not None:
            found: Mapper[Any] = mapper
            return found
    raise PageError(
        "a page needs a query of a model, whose primary key tells its rows apart",
        fix="select the model, or columns of it, as in select(Book.id, Book.title)",
    )


def _key(element: Any, mapper: Mapper[Any], dialect: str) -> Key:
    descending, nulls_first = False, None
    if isinstance(element, QueryableAttribute):
        element = element.expression
    while isinstance(element, UnaryExpression) and element.modifier in _MODIFIERS:
        match element.modifier:
            case operators.desc_op:
                descending = True
            case operators.nulls_first_op:
                nulls_first = True
            case operators.nulls_last_op:
                nulls_first = False
        element = element.element
    native = descending != (dialect in _SMALLEST)
    said = nulls_first is not None and nulls_first != native
    column = _bare(element)
    certain = isinstance(column, Column) and not column.nullable and column.table in mapper.tables
    return Key(
        element, descending, not certain, native if nulls_first is None else nulls_first, said
    )


def _bare(element: Any) -> Any:
    """The table's own column, without what the mapping says of it."""
    return getattr(element, "_deannotate", lambda: element)()


def _name(element: ColumnElement[Any]) -> str:
    table = getattr(element, "table", None)
    return str(element) if table is None else f"{getattr(table, 'name', '')}.{element.key}"
