"""Pages by keyset: the five-hundredth costs what the first one does."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

import msgspec

from mainspring.data._cursor import Place
from mainspring.data._errors import BadCursor
from mainspring.data._keyset import (
    beyond,
    fingerprint,
    keys_of,
    ordering,
    parameters,
    restored,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

    from mainspring.data._cursor import Cursors
    from mainspring.data._keyset import Key
    from mainspring.data._queries import Queries

T = TypeVar("T")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which page a request asks for: a handler's parameter of this type reads the query.

    Attributes:
        cursor: `next` or `previous` of another page; empty for the first one.
        limit: the most items.
    """

    cursor: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20

    __source__: ClassVar[str] = "query"


class Paged(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list.

    Attributes:
        items: in the order of the list.
        next: the cursor of the page after it; None at the end.
        previous: the cursor of the page before it; None at the beginning.
    """

    items: list[T]
    next: str | None = None
    previous: str | None = None


async def fetch_page(
    session: Queries, query: Select[Any], page: Page, *, order: Sequence[Any]
) -> Paged[Any]:
    """See `Session.page`."""
    dialect, cursors = session.dialect.name, session.cursors
    keys = keys_of(query, order, dialect)
    place = _place(page, keys, cursors)
    values = restored(keys, place.values) if place.values else []
    found = await session.execute(
        page_query(query, keys, place, page.limit, dialect),
        parameters(values),
        execution_options={"repeats": True},
    )
    width = len(query.column_descriptions)
    frozen = found.unique().freeze()
    items: list[Any] = list(frozen().scalars() if width == 1 else frozen().columns(*range(width)))
    ends = list(frozen().columns(*range(width, width + len(keys))))
    return _cut(items, ends, page, place, cursors)


def page_query(
    query: Select[Any], keys: tuple[Key, ...], place: Place, limit: int, dialect: str
) -> Select[Any]:
    """The query of a page: one row more than it has, and the values of its keys at the end."""
    towards = tuple(key.reversed() for key in keys) if place.backward else keys
    if place.values:
        nulls = tuple(value is None for value in place.values)
        query = query.where(beyond(towards, nulls, inclusive=place.inclusive, dialect=dialect))
    added: Any = query.add_columns(*_labelled(keys))
    ordered: Select[Any] = added.order_by(None).order_by(*ordering(towards, dialect))
    return ordered.limit(limit + 1)


@lru_cache(maxsize=512)
def _labelled(keys: tuple[Key, ...]) -> tuple[Any, ...]:
    return tuple(key.column.label(f"page_key_{at}") for at, key in enumerate(keys))


def _place(page: Page, keys: Sequence[Key], cursors: Cursors) -> Place:
    order = fingerprint(keys)
    if not page.cursor:
        return Place(order, backward=False, inclusive=False, values=[])
    place = cursors.read(page.cursor)
    if place.order != order:
        raise BadCursor(
            "this cursor belongs to a list in another order", fix="begin at the first page"
        )
    return place


def _cut(
    items: list[Any], ends: list[Any], page: Page, place: Place, cursors: Cursors
) -> Paged[Any]:
    more = len(items) > page.limit
    items, ends = items[: page.limit], ends[: page.limit]
    if place.backward:
        items, ends = items[::-1], ends[::-1]
    follows = bool(place.values) if place.backward else more
    precedes = more if place.backward else bool(place.values)

    def cursor(*, backward: bool) -> str:
        if not ends:
            # Nothing is left on this side, so the other begins where this one was to begin.
            turned = place.backward != backward and not place.inclusive
            return cursors.write(Place(place.order, backward, turned, place.values))
        values = list(ends[0] if backward else ends[-1])
        return cursors.write(Place(place.order, backward, inclusive=False, values=values))

    return Paged(
        items=items,
        next=cursor(backward=False) if follows else None,
        previous=cursor(backward=True) if precedes else None,
    )
