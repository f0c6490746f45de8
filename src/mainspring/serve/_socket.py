"""Web sockets: the framing is that of the `websockets` library, the rest is a connection's.

Source: RFC 6455; RFC 7692 for compression.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from math import inf
from typing import TYPE_CHECKING, Final, cast

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from mainspring.http._core import refusal
from mainspring.http._response import check_header
from mainspring.http._transport import (
    ABNORMAL,
    GOING_AWAY,
    INVALID_DATA,
    Inbox,
    SocketClosed,
)
from mainspring.serve._reply import respond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.http._request import Request
    from mainspring.http._response import Header, Response
    from mainspring.http._routing import Route
    from mainspring.http._transport import SocketTransport
    from mainspring.serve._protocol import Connection

_CLOSE_SECONDS: Final = 5.0
_VERSION: Final = b"13"
_KEY_BYTES: Final = 16
_logger: Final = logging.getLogger("mainspring.serve")
# 12 bits are a window of 4 KiB: a sixteenth of the memory of the default, and most of its gain.
_DEFLATE: Final = ServerPerMessageDeflateFactory(
    server_max_window_bits=12,
    client_max_window_bits=12,
    compress_settings={"memLevel": 5},
)


async def lead(connection: Connection, request: Request) -> None:
    """Lead the conversation that a request asks for."""
    core = connection.worker.core
    try:
        bad = bad_handshake(request)
        if bad is not None:
            request.route = bad
            response: Response | None = await core.answer(request)
        else:
            response = await core.socket(request, Socket(connection, request))
        if response is not None and not connection.lost:
            respond(connection, request, response)
    finally:
        connection.socket_done()


def bad_handshake(request: Request) -> Route | None:
    """What refuses a request that is no handshake of a web socket: 400, or 426.

    Source: RFC 6455, sections 4.2.1 and 4.4.
    """
    headers = request.raw_headers
    if headers.get(b"sec-websocket-version") != _VERSION:
        return refusal(
            426,
            "web sockets are spoken here in version 13",
            {"sec-websocket-version": "13", "upgrade": "websocket"},
        )
    try:
        key = base64.b64decode(headers.get(b"sec-websocket-key", b""), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        return refusal(400, "Sec-WebSocket-Key is not a key")
    return None


class Socket:
    """A `SocketTransport` on a connection."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._inbox = Inbox(self._room)
        self._frames: ServerProtocol
        self._open = False
        self._full = False
        self._parts: list[bytes] = []
        self._text = False
        self._heard = True
        self._closing = False
        limits = connection.worker.limits
        self._ping_seconds = limits.ping_interval.total_seconds()
        self._pong_seconds = limits.ping_timeout.total_seconds()

    # for the handler

    @property
    def ended(self) -> asyncio.Future[SocketClosed]:
        return self._inbox.ended

    async def accept(
        self, *, subprotocol: str | None, headers: Sequence[Header], limit_bytes: int
    ) -> None:
        """Satisfy `SocketTransport`."""
        if self._connection.lost:
            self._inbox.end(SocketClosed(ABNORMAL))
        self._check_open()
        self._frames = ServerProtocol(
            state=OPEN, max_size=limit_bytes, extensions=[_DEFLATE], logger=_logger
        )
        self._open = True
        self._connection.become_socket(self, self._switching(subprotocol, headers))
        self._wait_for_ping()

    async def receive(self) -> str | bytes:
        """Satisfy `SocketTransport`."""
        return await self._inbox.take()

    async def send(self, message: str | bytes) -> None:
        """Satisfy `SocketTransport`."""
        self._check_open()
        if isinstance(message, str):
            self._frames.send_text(message.encode())
        else:
            self._frames.send_binary(message)
        self._flush()
        if self._connection.flow.writes_wait:
            await self._connection.flow.writable()
            self._check_open()

    async def close(self, code: int, reason: str) -> None:
        """Satisfy `SocketTransport`."""
        if self.ended.done():
            return
        self._say_goodbye(code, reason)
        await asyncio.wait([self.ended], timeout=_CLOSE_SECONDS)
        self._inbox.end(SocketClosed(code, reason))
        self._connection.leave()

    # for the connection

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.ended.done():
            return
        self._heard = True
        frames = self._frames
        frames.receive_data(data)
        try:
            for event in frames.events_received():
                self._take(cast("Frame", event))
        except UnicodeDecodeError:
            frames.fail(INVALID_DATA, "the text is not UTF-8")
        self._flush()
        if frames.close_sent is not None or frames.close_rcvd is not None:
            self._closed()
        if self._connection.flow.writes_wait:
            # Whoever does not read the answers to its pings sends no more of them.
            self._connection.flow.pause_reading()

    def resume_writing(self) -> None:
        """What was written is mostly sent."""
        if not self._full:
            self._connection.flow.resume_reading()
        if self._open and not self._closing:
            self._wait_for_ping()

    def connection_lost(self) -> None:
        """The connection is gone."""
        self._inbox.end(SocketClosed(ABNORMAL))

    def go_away(self) -> None:
        """Say goodbye because the server stops."""
        if self._open and not self._closing and not self.ended.done():
            self._say_goodbye(GOING_AWAY, "the server stops")

    def expire(self, now: float) -> None:
        """Ask a silent peer whether it is still there; end one that does not answer."""
        if self._closing or not (self._heard or self.ended.done()):
            self._inbox.end(SocketClosed(ABNORMAL, "the peer did not answer"))
            self._connection.transport.abort()
            return
        self._heard = False
        self._frames.send_ping(b"")
        self._flush()
        self._connection.deadline = now + self._pong_seconds

    def _switching(self, subprotocol: str | None, headers: Sequence[Header]) -> bytes:
        """The answer that ends HTTP on this connection (RFC 6455, section 4.2.2)."""
        asked = self._request.raw_headers
        key = accept_key(asked[b"sec-websocket-key"].decode("ascii"))
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "upgrade: websocket",
            "connection: upgrade",
            f"sec-websocket-accept: {key}",
        ]
        offered = asked.get(b"sec-websocket-extensions", b"").decode("latin-1")
        try:
            agreed, self._frames.extensions = self._frames.process_extensions(
                Headers([("Sec-WebSocket-Extensions", offered)] if offered else [])
            )
        except InvalidHandshake:
            agreed = None  # what cannot be read is not agreed on
        if agreed is not None:
            lines.append(f"sec-websocket-extensions: {agreed}")
        if subprotocol is not None:
            headers = [*headers, (b"sec-websocket-protocol", subprotocol.encode("ascii"))]
        for name, value in headers:
            check_header(name, value)
            lines.append(f"{name.decode('ascii')}: {value.decode('latin-1')}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _take(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            if frame.opcode is not Opcode.CONT:
                self._text = frame.opcode is Opcode.TEXT
            if frame.data:
                self._parts.append(bytes(frame.data))
            if frame.fin:
                data, self._parts = b"".join(self._parts), []
                self._put(data.decode() if self._text else data)

    def _put(self, message: str | bytes) -> None:
        if not self._inbox.put(message):
            self._full = True
            self._connection.flow.pause_reading()

    def _room(self) -> None:
        self._full = False
        if not self._connection.flow.writes_wait:
            self._connection.flow.resume_reading()

    def _check_open(self) -> None:
        if self.ended.done():
            closed = self.ended.result()
            raise SocketClosed(closed.close_code, closed.reason)
        if self._closing:
            raise SocketClosed(GOING_AWAY, "the server stops")

    def _flush(self) -> None:
        for data in self._frames.data_to_send():
            if data:  # an empty one asks for the end of the connection, which `_closed` sees to
                self._connection.write(data)

    def _say_goodbye(self, code: int, reason: str) -> None:
        self._closing = True
        if self._frames.close_sent is None:
            self._frames.send_close(code, reason)
            self._flush()
        self._connection.deadline = self._connection.worker.now + _CLOSE_SECONDS

    def _closed(self) -> None:
        """End if both sides have said goodbye, or one of them broke the rules."""
        frames = self._frames
        said = frames.close_rcvd or (frames.close_sent if frames.parser_exc else None)
        if said is None:
            return
        self._inbox.end(SocketClosed(int(said.code), said.reason))
        self._connection.leave()

    def _wait_for_ping(self) -> None:
        connection = self._connection
        connection.deadline = (
            connection.worker.now + self._ping_seconds if self._ping_seconds else inf
        )


if TYPE_CHECKING:
    _fits: type[SocketTransport] = Socket
