"""What a session can do beyond SQLAlchemy's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import greenlet_spawn

from mainspring.data._peers import load_relations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import QueryableAttribute

T = TypeVar("T")


class Queries(AsyncSession):
    """SQLAlchemy's session, with queries that are not repeated for each row."""

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
