"""ASGI applications below a prefix of ours: Starlette, Django, and whatever else speaks ASGI.

Source: ASGI specification 3.0, HTTP & WebSocket message format 2.5, Lifespan 2.0.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from mainspring import telemetry
from mainspring.errors import MainspringError
from mainspring.http._body import BodyTooLarge
from mainspring.http._mount_lifespan import lifespan
from mainspring.http._problem import Forbidden
from mainspring.http._response import Response, check_header
from mainspring.http._transport import NORMAL, SocketClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
    from typing import Self

    from mainspring.http._request import Request
    from mainspring.http._response import Header
    from mainspring.http._websocket import WebSocket

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    AsgiApplication = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
_AHEAD: Final = 4
"""Parts of a body that an application may be ahead of its client."""
_STOP_GRACE_SECONDS: Final = 5.0


class BrokenMount(MainspringError):
    """A mounted application did not answer the way ASGI says."""

    code = "http.broken-mount"


class Mounted:
    """One application that answers for a part of ours.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: AsgiApplication) -> None:
        self.app = app
        self.__qualname__ = self.__name__ = getattr(app, "__qualname__", type(app).__name__)
        self._state: dict[str, Any] = {}
        # What goes on after its answer was sent, such as Starlette's background tasks.
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the application itself."""
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start it, and at the end stop it, as the lifespan protocol says.

        Raises:
            BrokenMount: it says that it cannot start.
        """
        async with lifespan(self.app, self._state) as failure:
            if failure is not None:
                raise BrokenMount(
                    f"the mounted application {self.__name__} did not start: {failure}",
                    fix="see what it has logged",
                )
            try:
                yield
            finally:
                await self._finish()

    async def _finish(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def answer(self, request: Request, prefix: str) -> Response:
        """Its answer, whose body is sent while it is made.

        Raises:
            BodyTooLarge: the request says that it has more than the route takes.
            BrokenMount: it ended without an answer.
        """
        limit = request.route.body_limit_bytes
        declared = request.raw_headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise BodyTooLarge(limit)
        exchange = _Exchange(request)
        scope = self._scope("http", request, prefix) | {"method": request.method}
        task = asyncio.create_task(self(scope, exchange.receive, exchange.send))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        exchange.task = task
        both: set[asyncio.Future[Any]] = {task, exchange.started}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await exchange.aclose()
            raise
        if not exchange.started.done():
            task.result()
            raise BrokenMount(f"the mounted application {self.__name__} did not answer")
        status, headers = exchange.started.result()
        response = Response(exchange, status=status)
        response.headers = headers
        return response

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            telemetry.failed("http.mount", task.exception(), mount=self.__name__)  # type: ignore[arg-type]  # it is not None

    async def talk(self, socket: WebSocket, prefix: str) -> None:
        """Lead a web socket's conversation.

        Raises:
            Forbidden: it refused the socket.
        """
        scope = self._scope("websocket", socket.request, prefix)
        scope["scheme"] = {"http": "ws", "https": "wss"}[socket.request.scheme]
        scope["subprotocols"] = list(socket.subprotocols)
        line = _Line(socket)
        try:
            await self.app(scope, line.receive, line.send)
        except OSError:
            # How ASGI says that the client has left, to an application that goes on sending.
            if socket.closed is None:
                raise
        if not socket.accepted:
            raise Forbidden

    def _scope(self, kind: str, request: Request, prefix: str) -> dict[str, Any]:
        root = request.root_path
        host, _, port = request.raw_headers.get(b"host", b"").decode("latin-1").rpartition(":")
        server = (host, int(port)) if host and port.isdigit() else (request.host, None)
        return {
            "type": kind,
            "asgi": _ASGI,
            "http_version": request.http_version,
            "scheme": request.scheme,
            # Both include the prefix; applications take `root_path` off again.
            "path": root + request.path,
            "raw_path": root.encode() + request.raw_path,
            "root_path": root + prefix,
            "query_string": request.query_string,
            "headers": list(request.raw_headers.items()),
            "client": request.client,
            "server": server,
            "state": self._state.copy(),
            "extensions": {},
        }


class _Exchange:
    """One request and its answer: the callables for the application, the body for the server."""

    task: asyncio.Task[None]

    def __init__(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[tuple[int, list[Header]]] = loop.create_future()
        self._parts_in = request.stream()
        self._whole_in = False
        self._whole_out = False
        self._gone = asyncio.Event()
        self._ready: deque[bytes] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._room = asyncio.Event()

    async def receive(self) -> Message:
        if self._whole_in:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        async for part in self._parts_in:
            return {"type": "http.request", "body": part, "more_body": True}
        self._whole_in = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        if self._gone.is_set():
            raise OSError("the client has left")
        match message["type"]:
            case "http.response.start" if not self.started.done():
                self.started.set_result((message["status"], _headers(message)))
            case "http.response.body" if self.started.done():
                await self._take(message)
            case other:
                raise BrokenMount(f"a mounted application sent {other!r} out of turn")

    async def _take(self, message: Message) -> None:
        part = message.get("body", b"")
        if part:
            self._ready.append(part)
        if not message.get("more_body", False):
            self._whole_out = True
            self._gone.set()
        self._wake()
        while len(self._ready) >= _AHEAD and not self._gone.is_set():
            self._room.clear()
            await self._room.wait()

    def _wake(self, _task: object = None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._whole_out:
                raise StopAsyncIteration
            if self.task.done():
                self.task.result()
                raise BrokenMount("a mounted application ended in the middle of its answer")
            await self._wait()
        part = self._ready.popleft()
        self._room.set()
        return part

    async def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        self.task.add_done_callback(self._wake)
        try:
            await self._waiting
        finally:
            self._waiting = None
            self.task.remove_done_callback(self._wake)

    async def aclose(self) -> None:
        """The server needs no more: the end, if all was sent, or else the client has left."""
        if not self._whole_out:
            self._gone.set()
            self._room.set()
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


def _headers(message: Message) -> list[Header]:
    headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
    for name, value in headers:
        check_header(name, value)
    return headers


class _Line:
    """One web socket, as the callables of the application."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._connected = False

    async def receive(self) -> Message:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        try:
            message = await self._socket.receive_any()
        except SocketClosed as exc:
            return {
                "type": "websocket.disconnect",
                "code": exc.close_code,
                "reason": exc.reason,
            }
        kind = "text" if isinstance(message, str) else "bytes"
        return {"type": "websocket.receive", kind: message}

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except SocketClosed as exc:
            raise OSError(str(exc)) from exc

    async def _send(self, message: Message) -> None:
        socket = self._socket
        match message["type"]:
            case "websocket.accept":
                await socket.accept_with(_headers(message), subprotocol=message.get("subprotocol"))
            case "websocket.send" if socket.accepted:
                text = message.get("text")
                await (
                    socket.send_bytes(message["bytes"]) if text is None else socket.send_text(text)
                )
            case "websocket.close" if socket.accepted:
                await socket.close(message.get("code", NORMAL), message.get("reason") or "")
            case "websocket.close":
                raise Forbidden
            case other:
                raise BrokenMount(f"a mounted application sent {other!r} out of turn")


async def _pass_on(message: Message, socket: WebSocket) -> None:
    text = message.get("text")
    if text is None:
        await socket.send_bytes(message["bytes"])
    else:
        await socket.send_text(text)
