"""What a session can do beyond SQLAlchemy's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import greenlet_spawn

from mainspring.data._bulk import insert_many, upsert
from mainspring.data._cursor import Cursors
from mainspring.data._page import Page, Paged, fetch_page
from mainspring.data._peers import load_relations

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Mapping, Sequence

    from sqlalchemy import Dialect, Select
    from sqlalchemy.orm import QueryableAttribute

    from mainspring.data._link import Link
    from mainspring.data._unit import UnitOfWork

T = TypeVar("T")

_UNKEYED: Final = Cursors()


class Queries(AsyncSession):
    """SQLAlchemy's session, with queries that are not repeated for each row."""

    _unit: UnitOfWork

    @property
    def cursors(self) -> Cursors:
        """What signs the cursors of pages."""
        return self._unit.cursors or _UNKEYED

    @property
    def dialect(self) -> Dialect:
        """Which kind of database it is; known without a connection."""
        return self._unit.backend.engine.dialect

    async def load(self, objects: Iterable[T], *relations: QueryableAttribute[Any]) -> list[T]:
        """The objects, with these relations loaded: `await db.load(books, Book.author)`.

        Each takes one statement for all objects, and none for those that have it already.
        A relation of what an earlier one leads to is named after it: `Book.author, Author.city`.

        Raises:
            ModelError: one of them is no relation.
            RelationNotLoaded: an object belongs to another session, or to none.
        """
        listed = list(objects)
        await greenlet_spawn(load_relations, self.sync_session, listed, relations)
        return listed

    async def page(self, query: Select[T], page: Page, *, order: Sequence[Any] = ()) -> Paged[T]:
        """One page of what a query finds, by keyset: no rows are counted off.

        `await db.page(select(Book), page, order=[Book.year.desc(), Book.title])`

        Args:
            query: of a model or of columns of one; its own ORDER BY is replaced.
            page: which one.
            order: columns or expressions of the query, with `.desc()`, `.nulls_last()` and so
                on; the primary key comes last by itself. An index on all of them makes every
                page cost the same.

        Raises:
            BadCursor: the cursor is not one of this list; answers with 422.
            PageError: the query reads no model.
        """
        return await fetch_page(self, query, page, order=order)

    async def insert_many(
        self, kind: type[Any], rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]
    ) -> int:
        """How many rows were inserted; all of them, or it raises.

        With asyncpg they go by COPY, elsewhere a thousand at a time. The next are asked
        for when those before have been written. No objects are made.

        Args:
            kind: the model.
            rows: attributes and values; all rows have the same attributes.

        Raises:
            ModelError: a row has other attributes than the first, or one that there is not.
        """
        await self.flush()
        return await insert_many(self, kind, rows)

    async def upsert(
        self,
        kind: type[Any],
        rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        key: Sequence[Any],
        update: Sequence[Any] = (),
    ) -> int:
        """How many rows were given; each is inserted, or updates the one that is there.

        Args:
            kind: the model.
            rows: attributes and values; all rows have the same attributes.
            key: the columns of the unique constraint, or the primary key, that tells which row
                it is. MySQL and MariaDB take any unique constraint that is met.
            update: columns that take the new value; without any the old row stays as it is.

        Raises:
            ModelError: a row has other attributes than the first, or one that there is not.
        """
        await self.flush()
        return await upsert(self, kind, rows, key=key, update=update)

    def unit_link(self) -> Link | None:
        """The connection, once a statement was sent; for statements of the driver's own."""
        return self._unit.link
