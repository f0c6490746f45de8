"""The only file that knows ASGI: how other servers come in.

Source: ASGI specification 3.0, HTTP & WebSocket message format 2.5.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from mainspring.http._asgi_socket import serve_socket
from mainspring.http._body import WholeBody
from mainspring.http._problem import Problem
from mainspring.http._request import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
    from contextlib import AbstractAsyncContextManager

    from mainspring.http._body import Body
    from mainspring.http._core import Core
    from mainspring.http._response import Response

    Message = MutableMapping[str, Any]
    Scope = Message
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


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
    if route.in_place:
        response = await core.answer(request)
    else:
        found = await _answer_or_leave(core, request, receive)
        if found is None:
            return
        response = found
    await _send(response, request, send)


async def _answer_or_leave(core: Core, request: Request, receive: Receive) -> Response | None:
    """The answer, or None if the client left first, which cancels the handler."""
    answering = asyncio.ensure_future(core.answer(request))
    watching = asyncio.ensure_future(_disconnect(request.body, receive))
    try:
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else None
    finally:
        for task in (answering, watching):
            if not task.done():
                task.cancel()
        await asyncio.gather(answering, watching, return_exceptions=True)


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


async def _send(response: Response, request: Request, send: Send) -> None:
    body, status = response.body, response.status
    silent = request.method == "HEAD" or status in _WITHOUT_CONTENT
    start = {"type": "http.response.start", "status": status, "headers": response.headers}
    if not isinstance(body, bytes):
        await send(start)
        await _stream(body, send, silent=silent)
        return
    if status not in _WITHOUT_CONTENT:
        start["headers"] = [*response.headers, (b"content-length", b"%d" % len(body))]
    await send(start)
    await send({"type": "http.response.body", "body": b"" if silent else body})


async def _stream(body: AsyncIterator[bytes], send: Send, *, silent: bool) -> None:
    async with AsyncExitStack() as stack:
        close = getattr(body, "aclose", None)
        if close is not None:
            stack.push_async_callback(close)
        if not silent:
            async for part in body:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


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
