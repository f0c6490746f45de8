"""A web socket as a handler sees it.

Source: RFC 6455.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from mainspring.errors import MainspringError
from mainspring.http._explain import readable, violations
from mainspring.http._problem import BadRequest, Invalid, Problem, Violation
from mainspring.http._response import header
from mainspring.http._transport import NORMAL, REASON_LIMIT_BYTES, SocketClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import Self

    from mainspring.http._request import Request
    from mainspring.http._response import Header
    from mainspring.http._transport import SocketTransport

T = TypeVar("T")

_to_json: Final = msgspec.json.Encoder().encode
# RFC 6455, section 7.4, and the registry that it made: what may be said in a close frame.
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_OWN_CODES: Final = range(3000, 5000)


class SocketMisuse(MainspringError):
    """The application used a web socket in a way that the protocol has no room for."""

    code = "http.socket-misuse"


class UnexpectedMessage(Problem):
    """The client sent text where bytes were expected, or the other way round."""

    def __init__(self, expected: str, sent: str) -> None:
        super().__init__(415, f"{expected} was expected, and {sent} came")


class WebSocket:
    """One conversation with one client.

    It is accepted when it is first used, or by `accept`. To refuse it instead, raise a
    `Problem` before; policies, hosts and origins have been checked already.

    When the client leaves, the next `receive` after what had arrived, and the next `send`,
    raise `SocketClosed`; iteration just ends. A handler that does neither for five seconds is
    cancelled. A `SocketClosed` that a handler does not catch is a normal end.

    Attributes:
        request: what asked for it: headers, cookies, principal, client address.
        accepted: whether the client has been answered.
        subprotocol: the one that was agreed on.
        talk: the handler with its arguments; set when they are bound.
        uses: how often something was received or sent.
    """

    __slots__ = (
        "_accepting",
        "_transport",
        "accepted",
        "request",
        "subprotocol",
        "talk",
        "uses",
    )

    talk: Callable[[], Awaitable[object]]

    def __init__(self, request: Request, transport: SocketTransport) -> None:
        self.request = request
        self.accepted = False
        self.subprotocol: str | None = None
        self._transport = transport
        self._accepting = asyncio.Lock()
        self.uses = 0

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """What the client would speak, best first (RFC 6455, section 1.9)."""
        sent = self.request.headers.get("sec-websocket-protocol", "")
        return tuple(name.strip() for name in sent.split(",") if name.strip())

    @property
    def closed(self) -> SocketClosed | None:
        """How the conversation ended; None while it goes on."""
        ended = self._transport.ended
        return ended.result() if ended.done() else None

    async def accept(
        self, *, subprotocol: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the client, who may send from now on.

        Args:
            subprotocol: one of `subprotocols`.
            headers: of the answer, such as `Set-Cookie`.

        Raises:
            SocketMisuse: it was accepted before, or the client did not offer the subprotocol.
            SocketClosed: the client has left.
        """
        raw = [header(name, value) for name, value in (headers or {}).items()]
        await self.accept_with(raw, subprotocol=subprotocol)

    async def accept_with(self, headers: Sequence[Header], *, subprotocol: str | None) -> None:
        """The same with headers as they go on the wire, checked by the caller."""
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise SocketMisuse(
                f"the client does not speak {subprotocol!r}, but {list(self.subprotocols)}",
                fix="choose one of socket.subprotocols, or none",
            )
        async with self._accepting:
            if self.accepted:
                raise SocketMisuse(
                    "the web socket is accepted already",
                    fix="call accept() before anything else is done with the socket",
                )
            await self._accept(subprotocol, headers)

    async def _accept(self, subprotocol: str | None, headers: Sequence[Header]) -> None:
        await self._transport.accept(
            subprotocol=subprotocol,
            headers=headers,
            limit_bytes=self.request.route.body_limit_bytes,
        )
        self.subprotocol = subprotocol
        self.accepted = True

    async def _open(self) -> None:
        async with self._accepting:
            if not self.accepted:
                await self._accept(None, ())

    async def receive_any(self) -> str | bytes:
        """The next message as it came: text or bytes.

        Raises:
            SocketClosed: there is none, and none will come.
        """
        if not self.accepted:
            await self._open()
        self.uses += 1
        return await self._transport.receive()

    async def receive_text(self) -> str:
        """The next message, which has to be text: `UnexpectedMessage` if it is not."""
        message = await self.receive_any()
        if isinstance(message, str):
            return message
        raise UnexpectedMessage("text", "bytes")

    async def receive_bytes(self) -> bytes:
        """The next message, which has to be bytes: `UnexpectedMessage` if it is not."""
        message = await self.receive_any()
        if isinstance(message, bytes):
            return message
        raise UnexpectedMessage("bytes", "text")

    async def receive_json(self) -> Any:
        """The next message as built-in values: JSON if it is text, MessagePack if bytes."""
        return await self.receive(object)

    async def receive(self, kind: type[T]) -> T:
        """The next message as a `kind`: JSON if it is text, MessagePack if it is bytes.

        Raises:
            Invalid: it is well formed and no `kind`; names every violation.
            BadRequest: it is not well formed. Either one ends the conversation with 1007
                unless the handler catches it.
            SocketClosed: there is none, and none will come.
        """
        return decode(await self.receive_any(), kind)

    async def each(self, kind: type[T]) -> AsyncIterator[T]:
        """Every message as a `kind` until the client leaves; errors as of `receive`."""
        async for message in self:
            yield decode(message, kind)

    def __aiter__(self) -> Self:
        """Every message as it came, until the client leaves."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive_any()
        except SocketClosed:
            raise StopAsyncIteration from None

    async def send_text(self, text: str) -> None:
        """Send text; waits while the client does not take what was sent before.

        Raises:
            SocketClosed: the client has left.
        """
        await self._send(text)

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes; waits and raises as `send_text`."""
        await self._send(data)

    async def send_json(self, value: object) -> None:
        """Send a value, such as a `Struct`, as JSON text; waits and raises as `send_text`."""
        await self._send(_to_json(value).decode())

    async def _send(self, message: str | bytes) -> None:
        if not self.accepted:
            await self._open()
        self.uses += 1
        await self._transport.send(message)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End the conversation; nothing happens if it is over.

        Args:
            code: 1000 to 1003, 1007 to 1014, or your own from 3000 to 4999.
            reason: at most 123 bytes of UTF-8.

        Raises:
            SocketMisuse: code or reason cannot be sent (RFC 6455, section 7.4.2).
        """
        if code not in _SENDABLE and code not in _OWN_CODES:
            raise SocketMisuse(f"{code} is no code to close with", fix="use 1000, or 3000 to 4999")
        if len(reason.encode()) > REASON_LIMIT_BYTES:
            raise SocketMisuse(f"a reason has at most {REASON_LIMIT_BYTES} bytes", fix="shorten it")
        if not self.accepted:
            await self._open()
        await self._transport.close(code, reason)


def decode(message: str | bytes, kind: type[T]) -> T:
    """A message as a `kind`: JSON if it is text, MessagePack if it is bytes."""
    from_json, from_msgpack = _decoders(kind)  # type: ignore[arg-type]  # types can be hashed
    try:
        value = from_json(message) if isinstance(message, str) else from_msgpack(message)
    except msgspec.ValidationError as exc:
        raise Invalid(_explain(message, kind, exc)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise BadRequest(f"the message cannot be read: {readable(exc)}") from None
    return cast("T", value)


@lru_cache(maxsize=256)
def _decoders(kind: Any) -> tuple[Callable[[str], Any], Callable[[bytes], Any]]:
    return msgspec.json.Decoder(kind).decode, msgspec.msgpack.Decoder(kind).decode


def _explain(message: str | bytes, kind: Any, error: Exception) -> list[Violation]:
    plain: Any = msgspec.json.decode if isinstance(message, str) else msgspec.msgpack.decode
    try:
        found = violations(plain(message), kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = []
    return found or [Violation(readable(error), pointer="#")]
