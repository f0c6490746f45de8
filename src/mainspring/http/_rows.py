"""Handlers that return a statement: its rows become the answer, by the shortest way there is."""

from __future__ import annotations

import sys
from functools import reduce
from importlib import import_module
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainspring.http._request import Request
    from mainspring.http._response import Response

    Call = Callable[[Request], Awaitable[Any]]


def without_rows(returns: Any) -> tuple[Any, bool]:
    """`list[Note]` of `list[Note] | Rows`, and whether there were `Rows`."""
    statements = _statements()
    if not statements or get_origin(returns) not in {Union, UnionType}:
        return returns, False
    parts = get_args(returns)
    rest = [part for part in parts if (get_origin(part) or part) not in statements]
    if len(rest) == len(parts):
        return returns, False
    return (reduce(or_, rest) if rest else Any), True


def sending_rows(call: Call, kind: Any) -> Call:
    """The call; a statement that it returns is sent, within the request's unit of work.

    Args:
        call: the handler.
        kind: what it says to return: `list[Note]` is every row, `Note` the only one, and
            `Note | None` the first if there is one.
    """
    statements = _statements()
    verb, into = _reading(kind)

    async def send(request: Request) -> Any:
        result = getattr(request, "asked", None)  # by `at_a_glance`
        if result is None:
            result = await call(request)
        if not isinstance(result, statements):
            return result
        read = getattr(request.unit.session, verb)
        return await (read(result) if hasattr(result, "hot") else read(result, into))

    return send


def at_a_glance(
    glance: Callable[[Any, Any, str], Any], kind: Any, encode: Callable[[Request, Any], Response]
) -> Callable[[Request, Any], Response | None]:
    """What makes the answer of a handler's result at once, if its statement takes no waiting.

    None if it does; the statement is then kept for `sending_rows`, so that the handler is not
    called a second time.

    Args:
        glance: `Database.glance`.
        kind: as for `sending_rows`.
        encode: from rows to the answer.
    """
    statements = _statements()
    not_now = import_module("mainspring.data._glance").NOT_NOW
    verb, into = _reading(kind)

    def show(request: Request, result: Any) -> Response | None:
        if not isinstance(result, statements):
            return encode(request, result)
        found = glance(result, None if hasattr(result, "hot") else into, verb)
        if found is not_now:
            request.asked = result
            return None
        return encode(request, found)

    return show


def _reading(kind: Any) -> tuple[str, Any]:
    if get_origin(kind) is list:
        return "all", _struct(get_args(kind)[0])
    if kind is Any:
        return "all", None
    if get_origin(kind) in {Union, UnionType} and NoneType in get_args(kind):
        rest = [part for part in get_args(kind) if part is not NoneType]
        return "first", _struct(rest[0])
    return "one", _struct(kind)


def _struct(kind: Any) -> Any:
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _statements() -> tuple[type, ...]:
    # Whoever has no data has not imported SQLAlchemy, and should not pay for it.
    data = sys.modules.get("mainspring.data")
    return () if data is None else (data.Bound, sys.modules["sqlalchemy"].Select)
