"""Web sockets over ASGI.

Source: ASGI specification 3.0, HTTP & WebSocket message format 2.5, with the extension
"WebSocket Denial Response".
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mainspring.http._transport import ABNORMAL, NO_STATUS, TOO_BIG, Inbox, SocketClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from mainspring.http._core import Core
    from mainspring.http._request import Request
    from mainspring.http._response import Header, Response

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_FORBIDDEN_CODE: Final = 1008
_CLOSE_SECONDS: Final = 5.0


class AsgiTransport:
    """A `SocketTransport` over ASGI.

    The server in between decides how large a message may grow before it is seen here, and
    closes sockets with a code of its own when it stops.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._room = asyncio.Event()
        self._inbox = Inbox(self._room.set)
        self._reading: asyncio.Task[None] | None = None
        self._limit_bytes = 0

    @property
    def ended(self) -> asyncio.Future[SocketClosed]:
        return self._inbox.ended

    async def accept(
        self, *, subprotocol: str | None, headers: Sequence[Header], limit_bytes: int
    ) -> None:
        self._limit_bytes = limit_bytes
        await self._out(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": list(headers)}
        )
        # ASGI tells of the end only to who receives, so somebody has to.
        self._reading = asyncio.create_task(self._read(), name="websocket reader")

    async def receive(self) -> str | bytes:
        return await self._inbox.take()

    async def send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._out({"type": "websocket.send", kind: message})

    async def close(self, code: int, reason: str) -> None:
        if not self.ended.done():
            # Granian closes only when nobody is receiving.
            await self.release()
            # A server may wait for a client that takes nothing any more.
            with suppress(SocketClosed, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._out({"type": "websocket.close", "code": code, "reason": reason})
            self._inbox.end(SocketClosed(code, reason))

    async def release(self) -> None:
        """End the reading."""
        reading = self._reading
        if reading is not None and reading is not asyncio.current_task():
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _out(self, message: Message) -> None:
        if self.ended.done():
            closed = self.ended.result()
            raise SocketClosed(closed.close_code, closed.reason)
        try:
            await self._send(message)
        except (OSError, RuntimeError) as exc:
            # OSError is what the specification names; RuntimeError is what servers raised before.
            self._inbox.end(SocketClosed(ABNORMAL, str(exc)))
            raise SocketClosed(ABNORMAL, str(exc)) from exc

    async def _read(self) -> None:
        while not self.ended.done():
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or NO_STATUS
                self._inbox.end(SocketClosed(code, message.get("reason") or ""))
                return
            text = message.get("text")
            data = message["bytes"] if text is None else text
            if _size(data) > self._limit_bytes:
                await self.close(TOO_BIG, f"at most {self._limit_bytes} bytes a message")
                return
            self._room.clear()
            if not self._inbox.put(data):
                await self._room.wait()


def _size(message: str | bytes) -> int:
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode())


async def serve_socket(
    core: Core, request: Request, scope: Message, receive: Receive, send: Send
) -> None:
    """Lead one ASGI connection of the type `websocket`."""
    if (await receive())["type"] != "websocket.connect":
        return
    transport = AsgiTransport(receive, send)
    try:
        refusal = await core.socket(request, transport)
    finally:
        await transport.release()
    if refusal is not None:
        await _refuse(refusal, scope, send)


async def _refuse(response: Response, scope: Message, send: Send) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        # Without the extension all that can be said is no, which servers answer with 403.
        await send({"type": "websocket.close", "code": _FORBIDDEN_CODE})
        return
    body = response.body
    assert isinstance(body, bytes)  # problems are not streamed
    await send(
        {
            "type": "websocket.http.response.start",
            "status": response.status,
            "headers": [*response.headers, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "websocket.http.response.body", "body": body})


if TYPE_CHECKING:
    from mainspring.http._transport import SocketTransport

    _fits: type[SocketTransport] = AsgiTransport
