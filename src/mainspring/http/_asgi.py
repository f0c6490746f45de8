"""The only file that knows ASGI: how other servers come in.

Source: ASGI specification 3.0, HTTP & WebSocket message format 2.5.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from mainspring import telemetry
from mainspring.http._asgi_socket import serve_socket
from mainspring.http._body import WholeBody
from mainspring.http._problem import Problem
from mainspring.http._request import arrived
from mainspring.http._sse import close

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterable,
        MutableMapping,
    )
    from contextlib import AbstractAsyncContextManager

    from mainspring.http._body import Body
    from mainspring.http._core import Core
    from mainspring.http._request import Request
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

    __slots__ = ("_first", "_receive", "declared_bytes", "ended", "on_end")

    def __init__(self, receive: Receive, declared_bytes: int | None = None) -> None:
        self._receive = receive
        self.declared_bytes = declared_bytes
        self.ended = False
        self.on_end: Callable[[], None] | None = None
        self._first: bytes | None = None

    async def begin(self) -> None:
        """Take the first message, which of most bodies is the only one."""
        self._first = await self.chunk()

    def ready(self) -> bytes | None:
        return self._first if self.ended else None

    async def chunk(self) -> bytes:
        if self._first:
            first, self._first = self._first, None
            return first
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


async def connect(app: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one ASGI connection that is not a plain request.

    Raises:
        ValueError: a kind of connection that there is nothing for.
    """
    match scope["type"]:
        case "websocket":
            request = _request({**scope, "method": "GET"}, receive)
            await serve_socket(app.core, request, scope, receive, send)
        case "lifespan":
            await _lifespan(app, receive, send)
        case other:
            raise ValueError(f"cannot serve an ASGI connection of type {other!r}")


async def answer(core: Core, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    request = _request(scope, receive)
    if not core.route(request).in_place:
        await _watched(core, request, None, receive, send)
        return
    body = request.body
    if isinstance(body, ReceivedBody):
        with suppress(ClientGone):  # the reader of the body is told
            await body.begin()
    here = body.ready() is not None
    response = core.answer_now(request) if here else await core.answer(request)
    if response is None or type(response.body) is not bytes:
        await _watched(core, request, response, receive, send)
        return
    for message in _messages(response, response.body, request):
        await send(message)


async def _watched(
    core: Core, request: Request, response: Response | None, receive: Receive, send: Send
) -> None:
    """Answer, or send the answer that there is, unless the client leaves meanwhile."""
    # One for all of it: once its receive was cancelled, Granian takes every client for gone.
    watching = asyncio.ensure_future(_disconnect(request.body, receive))
    try:
        if response is None:
            response = await _unless(watching, core.answer(request))
        if response is None:
            return
        if isinstance(response.body, bytes):
            for message in _messages(response, response.body, request):
                await send(message)
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
    sent = scope["headers"]
    headers: dict[bytes, bytes] = dict(sent)
    if len(headers) != len(sent):
        headers = _joined(sent)
    version: str = scope["http_version"]
    path: str = scope["path"]
    body: Body = _NO_BODY
    length = headers.get(b"content-length")
    if length is not None or b"transfer-encoding" in headers or version == "2":
        body = ReceivedBody(receive, int(length) if length and length.isdigit() else None)
    return arrived(
        scope["method"],
        path,
        scope.get("raw_path") or path.encode(),
        scope["query_string"],
        headers,
        body,
        scope.get("client"),
        _SCHEMES[scope["scheme"]],
        version,
    )


def _joined(sent: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers of which some come more than once (RFC 9110, section 5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in sent:
        if name in headers:
            headers[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            headers[name] = value
    return headers


# RFC 9110, section 8.6: what has no content has no length to tell either.
_WITHOUT_CONTENT: Final = frozenset({204, 304})


def _messages(response: Response, body: bytes, request: Request) -> tuple[Message, Message]:
    status, headers = response.status, response.headers
    silent = request.method == "HEAD"
    if status in _WITHOUT_CONTENT:
        silent = True
    else:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": b"" if silent else body}


async def _stream(
    response: Response, body: AsyncIterator[bytes], request: Request, send: Send
) -> None:
    telemetry.current.set(request)
    try:
        status, headers = response.status, response.headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
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
