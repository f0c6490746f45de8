"""A model as a resource: list, create, read, update and delete, by rules in one place.

What may be written, filtered and sorted by is named; nothing else can be. Who may see and
change which rows is a condition that the database decides, the same for lists and single rows.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from sqlalchemy import and_, literal, select, true

from mainspring.auth import Principal
from mainspring.data import Page, Paged, Session
from mainspring.data.types import python_type
from mainspring.http._changes import changes
from mainspring.http._conditional import check_match, has_match
from mainspring.http._problem import Forbidden, NotFound
from mainspring.http._request import Request
from mainspring.http._resource_types import (
    changes_struct,
    columns_of,
    list_struct,
    nested,
    new_struct,
)
from mainspring.http._response import Answer, Created, Response
from mainspring.http._routing import CONVERTERS, RouteError
from mainspring.http._row_policy import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OPERATIONS: Final = ("list", "create", "read", "update", "delete")


@dataclass(kw_only=True)
class Resource:
    """What the operations of a resource have in common; see `Router.resource`."""

    model: Any
    out: type[msgspec.Struct]
    write: Sequence[str] | type[msgspec.Struct]
    filters: Sequence[str]
    sorts: Sequence[str]
    rows: Rows | None
    given: Callable[[Principal], Mapping[str, Any]] | None
    page: type[Page]
    require_match: bool

    def __post_init__(self) -> None:
        keys = self.model.__mapper__.primary_key
        if len(keys) != 1 or python_type(keys[0].type) not in CONVERTERS:
            raise RouteError(
                f"{self.model.__name__} cannot be a resource: its key does not fit into a path",
                fix="give it one key of int, str, UUID or date",
            )
        self.key_name: str = self.model.__mapper__.get_property_by_column(keys[0]).key
        self.key: Any = getattr(self.model, self.key_name)
        self.key_type = python_type(keys[0].type)
        self.new = new_struct(self.model, self.write)
        self.changed = changes_struct(self.model, self.new)
        self.listed = list_struct(self.model, self.filters, self.sorts, self.page)
        self.noun = self.model.__name__
        self.policy = self.rows or Rows()

    @cached_property
    def shown(self) -> list[Any]:
        """The relations that the output shows; known when all models are."""
        return nested(self.model, self.out)

    # Each operation is a handler like any other: its annotations say what it takes and gives.

    def list_handler(self) -> Callable[..., Any]:
        """The handler of the list."""
        names = tuple(columns_of(self.model, self.filters))

        async def handle(request: Any, db: Any, asked: Any, who: Any = None) -> Any:
            where = [self._condition(self.policy.see, who)]
            for name in names:
                value = getattr(asked, name)
                if value is not None:
                    where.append(getattr(self.model, name) == value)
            query = select(self.model).where(*where)
            page = await db.page(query, asked, order=self._order(getattr(asked, "sort", "")))
            await db.load(page.items, *self.shown)
            return Answer(page, **_links(request, page))

        returns = Answer[Paged[self.out]]  # type: ignore[name-defined]
        return self._as_handler(handle, "list", f"The {self.noun}s.", returns, asked=self.listed)

    def create_handler(self) -> Callable[..., Any]:
        """The handler that makes a row."""

        async def handle(request: Any, db: Any, new: Any, who: Any = None) -> Any:
            given = dict(self.given(who)) if self.given is not None else {}
            made = self.model(**{**changes(new), **given})
            db.add(made)
            await db.flush()
            await self._check_changeable(db, made, who)
            shown = await self._show(db, made)
            location = (
                f"{request.root_path}{request.path.rstrip('/')}/{getattr(made, self.key_name)}"
            )
            return Created(shown, location=location, etag=self._etag(made, shown))

        returns = Created[self.out]  # type: ignore[name-defined]
        return self._as_handler(handle, "create", f"Make a {self.noun}.", returns, new=self.new)

    def read_handler(self) -> Callable[..., Any]:
        """The handler of a single row."""

        async def handle(request: Any, db: Any, id: Any, who: Any = None) -> Any:  # noqa: A002  # as in the path
            found = await self._find(db, id, who)
            shown = await self._show(db, found)
            etag = self._etag(found, shown)
            if has_match(request, etag):
                return Response(status=304, headers={"etag": etag})
            return Answer(shown, etag=etag)

        returns = Answer[self.out] | Response  # type: ignore[name-defined]
        return self._as_handler(handle, "read", f"One {self.noun}.", returns, id=self.key_type)

    def update_handler(self) -> Callable[..., Any]:
        """The handler that changes the fields that are sent."""

        async def handle(request: Any, db: Any, id: Any, sent: Any, who: Any = None) -> Any:  # noqa: A002  # as in the path
            found = await self._find(db, id, who, to_change=True)
            etag = self._etag(found, await self._show(db, found))
            check_match(request, etag, required=self.require_match)
            for name, value in changes(sent).items():
                setattr(found, name, value)
            await db.flush()
            await self._check_changeable(db, found, who)
            await db.refresh(found)
            shown = await self._show(db, found)
            return Answer(shown, etag=self._etag(found, shown))

        returns = Answer[self.out]  # type: ignore[name-defined]
        return self._as_handler(
            handle, "update", f"Change a {self.noun}.", returns, id=self.key_type, sent=self.changed
        )

    def delete_handler(self) -> Callable[..., Any]:
        """The handler that deletes a row."""

        async def handle(request: Any, db: Any, id: Any, who: Any = None) -> None:  # noqa: A002  # as in the path
            found = await self._find(db, id, who, to_change=True)
            etag = self._etag(found, await self._show(db, found))
            check_match(request, etag, required=self.require_match)
            await db.delete(found)
            await db.flush()

        return self._as_handler(handle, "delete", f"Delete a {self.noun}.", None, id=self.key_type)

    def _as_handler(
        self, handle: Callable[..., Any], verb: str, doc: str, returns: Any, **kinds: Any
    ) -> Callable[..., Any]:
        """The function with the annotations that it is bound by."""
        asks = self.rows is not None or (verb == "create" and self.given is not None)
        hints = {"request": Request, "db": Session, **kinds}
        if asks:
            hints["who"] = Principal | None
        signature = inspect.signature(handle)
        kept = [signature.parameters[name] for name in signature.parameters if name in hints]
        handle.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        handle.__annotations__ = {**hints, "return": returns}
        noun = self.model.__tablename__ if verb == "list" else self.noun.lower()
        handle.__name__ = handle.__qualname__ = f"{verb}_{noun}"
        handle.__doc__ = doc
        return handle

    async def _find(self, db: Session, key: Any, who: Any, *, to_change: bool = False) -> Any:
        may = self._condition(self.policy.change, who) if to_change else true()
        query = select(self.model, may.label("may")).where(
            self.key == key, self._condition(self.policy.see, who)
        )
        if to_change:
            # Two requests with the same If-Match: the second waits, and sees what the first did.
            query = query.with_for_update().execution_options(populate_existing=True)
        row = (await db.execute(query)).one_or_none()
        if row is None:
            raise NotFound(f"there is no {self.noun.lower()} {key}")
        if not row.may:
            raise Forbidden(f"you may not change this {self.noun.lower()}")
        return row[0]

    async def _check_changeable(self, db: Session, row: Any, who: Any) -> None:
        """Refuse what would make a row that one may not have made so."""
        condition = self._condition(self.policy.change, who)
        key = getattr(row, self.key_name)
        if not await db.scalar(select(and_(condition, literal(value=True))).where(self.key == key)):
            raise Forbidden(f"you may not make a {self.noun.lower()} like this")

    async def _show(self, db: Session, row: Any) -> Any:
        await db.load([row], *self.shown)
        return msgspec.convert(row, self.out, from_attributes=True)

    def _condition(self, rule: Callable[[Any], Any], who: Any) -> Any:
        found = rule(who)
        return literal(found) if isinstance(found, bool) else found

    def _order(self, sort: str) -> list[Any]:
        if not sort:
            return []
        attribute = getattr(self.model, sort.removeprefix("-"))
        return [attribute.desc() if sort.startswith("-") else attribute]

    def _etag(self, row: Any, shown: Any) -> str:
        version = getattr(row, "version", None)
        if self.model.__mapper__.version_id_col is not None and version is not None:
            return f'"{version}"'
        content = msgspec.json.encode(shown)
        return f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'


def _links(request: Request, page: Paged[Any]) -> dict[str, str]:
    """`Link` to the neighbours of a page (RFC 8288); empty for one without."""
    sent = dict(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True))
    path = request.root_path + request.path
    found = [
        f'<{path}?{urlencode({**sent, "cursor": cursor})}>; rel="{name}"'
        for name, cursor in (("next", page.next), ("prev", page.previous))
        if cursor is not None
    ]
    return {"link": ", ".join(found)} if found else {}
