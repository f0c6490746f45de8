"""Answers that are sent while they are made: bytes, text, JSON lines, server-sent events."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

import msgspec

from mainspring.http._response import Response, header_pairs
from mainspring.http._routing import RouteError
from mainspring.http._sse import Event, EventBody, close

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.http._request import Request
    from mainspring.http._response import Header

    Encode = Callable[[Request, Any], Response]

JSON_LINES: Final = "application/jsonl"
EVENTS: Final = "text/event-stream"
_KINDS: Final = frozenset({AsyncGenerator, AsyncIterable, AsyncIterator})
_to_json: Final = msgspec.json.Encoder().encode


class Stream(Response):
    """A body that is sent while it is made.

    It starts after the unit of work has been committed, and has no deadline. The generator is
    closed when the client has left.

    Args:
        source: gives the bytes.
        media_type: value of `Content-Type`.
        status: the HTTP status.
        headers: names and values.
    """

    __slots__ = ()

    def __init__(
        self,
        source: AsyncIterator[bytes],
        *,
        media_type: str = "application/octet-stream",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(source, media_type=media_type, status=status, headers=headers)


def streamed(returns: Any) -> Any:
    """What a handler with such an annotation sends piece by piece; None if it does not."""
    return (get_args(returns) or (Any,))[0] if get_origin(returns) in _KINDS else None


def is_events(item: Any) -> bool:
    """Whether the pieces are server-sent events."""
    parts = get_args(item) if get_origin(item) in {Union, UnionType} else (item,)
    return any(part is Event or get_origin(part) is Event for part in parts)


def media_type_of(item: Any) -> str:
    """The `Content-Type` of a stream of such pieces."""
    if is_events(item):
        return EVENTS
    if item is bytes:
        return "application/octet-stream"
    return "text/plain; charset=utf-8" if item is str else JSON_LINES


def compile_stream(item: Any, *, status: int | None, common: tuple[Header, ...]) -> Encode:
    """How the generators of a route become responses.

    Args:
        item: what they yield.
        status: of the response.
        common: headers that every answer carries.
    """
    plain = [("content-type", media_type_of(item))]
    body: Callable[[Any], AsyncIterator[bytes]] = _as_it_is
    if is_events(item):
        # The second is how nginx is told not to collect the answer first.
        plain += [("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        body = EventBody
    elif item is not bytes:
        encode_item = str.encode if item is str else _line
        body = lambda source: _encoded(source, encode_item)  # noqa: E731  # as the others above
    headers = (*header_pairs(plain), *common)

    def encode(_request: Request, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        return Response(body(result), status=status or 200, frozen_headers=headers)

    return encode


def _as_it_is(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    return source


def _line(item: object) -> bytes:
    return _to_json(item) + b"\n"


async def _encoded(
    source: AsyncIterator[Any], encode_item: Callable[[Any], bytes]
) -> AsyncIterator[bytes]:
    try:
        async for item in source:
            yield encode_item(item)
    finally:
        await close(source)


def as_coroutine(endpoint: Callable[..., Any], returns: Any, title: str) -> Callable[..., Any]:
    """A handler that is an asynchronous generator, as one that returns it; others as they are.

    Raises:
        RouteError: it does not say what it yields, or is no coroutine.
    """
    if inspect.isgeneratorfunction(endpoint):
        raise RouteError(f"{title}: a handler that yields is a coroutine", fix="use `async def`")
    if not inspect.isasyncgenfunction(endpoint):
        return endpoint
    if streamed(returns) is None:
        raise RouteError(
            f"{title}: the handler yields, and does not say what",
            fix="annotate it with EventStream[…], AsyncIterator[bytes] or AsyncIterator[…]",
        )

    async def start(*arguments: Any, **named: Any) -> Any:
        return endpoint(*arguments, **named)

    return start
