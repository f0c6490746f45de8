"""The only file that knows ASGI: how other servers come in.

Source: ASGI specification 3.0, HTTP & WebSocket message format 2.5.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from mainspring import telemetry
from mainspring.http._asgi_socket import serve_socket
from mainspring.http._body import WholeBody
from mainspring.http._problem import Problem
from mainspring.http._request import Request
from mainspring.http._sse import close

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
    from contextlib import AbstractAsyncContextManager

    from mainspring.http._body import Body
    from mainspring.http._core import Core
    from mainspring.http._response import Response

    Message = MutableMapping[str, Any]
    Scope = Message
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


T = TypeVar("T")


class Application(Protocol):
    """What this file runs."""

    @property
    def core(self) -> Core: ...
    def running(self) -> AbstractAsyncContextManager[Core]: ...


_NO_BODY: Final = WholeBody()
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class ClientGone(Problem):
    """The client went away in the middle of its body."""

    def __init__(self) -> None:
        super().__init__(400, "the client went away")


class ReceivedBody:
    """A body that is asked for message by message."""

    __slots__ = ("_receive", "declared_bytes", "ended", "on_end")

    def __init__(self, receive: Receive, declared_bytes: int | None = None) -> None:
        self._receive = receive
        self.declared_bytes = declared_bytes
        self.ended = False
        self.on_end: Callable[[], None] | None = None

    def ready(self) -> bytes | None:
        return None

    async def chunk(self) -> bytes:
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self.ended = not message.get("more_body", False)
            if self.ended and self.on_end is not None:
                self.on_end()
            data: bytes = message.get("body", b"")
            if data:
                return data
        return b""


async def answer(app: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one ASGI connection.

    Raises:
        ValueError: a kind of connection that there is nothing for.
    """
    match scope["type"]:
        case "http":
            await _http(app.core, scope, receive, send)
        case "websocket":
            request = _request({**scope, "method": "GET"}, receive)
            await serve_socket(app.core, request, scope, receive, send)
        case "lifespan":
            await _lifespan(app, receive, send)
        case other:
            raise ValueError(f"cannot serve an ASGI connection of type {other!r}")


async def _http(core: Core, scope: Scope, receive: Receive, send: Send) -> None:
    request = _request(scope, receive)
    route = core.route(request)
    response = await core.answer(request) if route.in_place else None
    if response is not None and isinstance(response.body, bytes):
        await _send(response, response.body, request, send)
        return
    # One for all of it: once its receive was cancelled, Granian takes every client for gone.
    watching = asyncio.ensure_future(_disconnect(request.body, receive))
    try:
        if response is None:
            response = await _unless(watching, core.answer(request))
        if response is None:
            return
        if isinstance(response.body, bytes):
            await _send(response, response.body, request, send)
        else:
            # Servers do not agree on whether sending to nobody is an error.
            await _unless(watching, _stream(response, response.body, request, send))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _unless(gone: asyncio.Future[None], work: Coroutine[Any, Any, T]) -> T | None:
    """What the work gives; None if the client leaves first, which cancels it."""
    working = asyncio.ensure_future(work)
    both: set[asyncio.Future[Any]] = {working, gone}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def _disconnect(body: Body, receive: Receive) -> None:
    """End when the client is gone. A body that still arrives is its reader's to await."""
    if isinstance(body, ReceivedBody) and not body.ended:
        ended = asyncio.Event()
        body.on_end = ended.set
        await ended.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(scope: Scope, receive: Receive) -> Request:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in headers:
            headers[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            headers[name] = value
    length = headers.get(b"content-length")
    framed = length is not None or b"transfer-encoding" in headers
    declared = int(length) if length and length.isdigit() else None
    body = ReceivedBody(receive, declared) if framed or scope["http_version"] == "2" else _NO_BODY
    return Request(
        scope["method"],
        scope["path"],
        raw_path=scope.get("raw_path") or scope["path"].encode(),
        query_string=scope["query_string"],
        headers=headers,
        body=body,
        client=scope.get("client"),
        scheme=_SCHEMES[scope["scheme"]],
        http_version=scope["http_version"],
    )


# RFC 9110, section 8.6: what has no content has no length to tell either.
_WITHOUT_CONTENT: Final = frozenset({204, 304})


def _start(response: Response) -> Message:
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": response.headers,
    }


async def _send(response: Response, body: bytes, request: Request, send: Send) -> None:
    if response.status in _WITHOUT_CONTENT:
        await send(_start(response))
        await send({"type": "http.response.body", "body": b""})
        return
    length = (b"content-length", b"%d" % len(body))
    await send({**_start(response), "headers": [*response.headers, length]})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def _stream(
    response: Response, body: AsyncIterator[bytes], request: Request, send: Send
) -> None:
    telemetry.current.set(request)
    try:
        await send(_start(response))
        if request.method != "HEAD" and response.status not in _WITHOUT_CONTENT:
            async for part in body:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await close(body)


async def _lifespan(app: Application, receive: Receive, send: Send) -> None:
    await receive()
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(app.running())
        except Exception as exc:
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
