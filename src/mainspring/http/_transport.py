"""The seam between a server and web sockets: what a server offers, and what it may count on.

A server that sees a request for an upgrade (RFC 6455, section 4.2.1) makes a `Request` of it
as of any other, and a `SocketTransport`, and awaits `Core.socket(request, transport)` in a
task. A `Response` that comes back is the refusal: nothing was accepted, and the response goes
out as the answer to the plain request. None says that the conversation is over and closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.http._response import Header

# RFC 6455, section 7.4.1.
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
INVALID_DATA: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
REASON_LIMIT_BYTES: Final = 123
"""What a close frame has room for beside its code (RFC 6455, section 5.5)."""


class SocketClosed(MainspringError):
    """The connection is over, and nothing more can be received or sent.

    Attributes:
        close_code: as in RFC 6455, section 7.4: 1000 and 1001 were said politely, 1005 is a
            close without a code, 1006 a connection that just ended.
        reason: what the peer, or this side, gave as the reason.
    """

    code = "http.socket-closed"

    def __init__(self, close_code: int = ABNORMAL, reason: str = "") -> None:
        said = f": {reason}" if reason else ""
        super().__init__(f"the web socket was closed with code {close_code}{said}")
        self.close_code = close_code
        self.reason = reason


class SocketTransport(Protocol):
    """One connection that may become a web socket.

    Promises (checked by the contract tests on every server):

    - Nothing is sent before `accept`. If the peer leaves before it, `accept` raises
      `SocketClosed`.
    - Messages arrive whole and in order. Fragments, masks, UTF-8, compression, pings and
      pongs are the transport's own affair; what breaks the protocol ends the connection with
      the code of RFC 6455, section 7.4.1.
    - A message of more than `limit_bytes` (after decompression) is never held whole: it ends
      the connection with 1009.
    - What has arrived and was not taken is bounded (see `Inbox`); beyond the bound nothing
      more is read from the peer, which slows it down.
    - `send` waits while the peer does not take what was sent before. Sends of several tasks
      come out one after the other.
    - After the end `receive` first gives what had arrived, then raises `SocketClosed`, again
      and again; `send` raises it at once; `close` does nothing.
    - `ended` is done when the connection is over, whoever ended it, even if nobody receives.
      It is a future and not a verb, so that watching a quiet socket costs no task.
    - Each verb may be cancelled, and a cancelled `receive` has taken nothing.
    - A server that stops closes its sockets with 1001.
    """

    @property
    def ended(self) -> asyncio.Future[SocketClosed]:
        """How the connection ended; nobody else may cancel it."""
        ...

    async def accept(
        self, *, subprotocol: str | None, headers: Sequence[Header], limit_bytes: int
    ) -> None:
        """Answer 101 and become a web socket."""
        ...

    async def receive(self) -> str | bytes:
        """The next message: text or bytes. For one task at a time."""
        ...

    async def send(self, message: str | bytes) -> None: ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye, wait for the peer's for a bounded time, and end the connection."""
        ...


class Inbox:
    """Messages that have arrived and were not taken yet: the bounded part of a transport.

    Args:
        resume: called when there is room again after `put` had returned False.
        messages: so many are held, and then no more is read.
        size_bytes: the same for the sum of their lengths; the last one may pass it.

    Attributes:
        ended: done when nothing more will arrive, with the reason; a transport's `ended`.
    """

    def __init__(
        self, resume: Callable[[], object], *, messages: int = 32, size_bytes: int = 256 * 1024
    ) -> None:
        self._resume = resume
        self._messages = messages
        self._size_bytes = size_bytes
        self._held: deque[str | bytes] = deque()
        self._size = 0
        self._paused = False
        self._waiting: asyncio.Future[None] | None = None
        self.ended: asyncio.Future[SocketClosed] = asyncio.get_running_loop().create_future()

    def put(self, message: str | bytes) -> bool:
        """Add a message; False when nothing more should be read until `resume` is called."""
        self._held.append(message)
        self._size += len(message)
        self._wake()
        self._paused = len(self._held) >= self._messages or self._size >= self._size_bytes
        return not self._paused

    def end(self, closed: SocketClosed) -> None:
        """Say that nothing more will arrive. The first end is the one that counts."""
        if not self.ended.done():
            self.ended.set_result(closed)
            self._wake()

    async def take(self) -> str | bytes:
        """The oldest message; waits for one.

        Raises:
            SocketClosed: there is none, and none will come.
        """
        while not self._held:
            if self.ended.done():
                closed = self.ended.result()
                raise SocketClosed(closed.close_code, closed.reason)
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        message = self._held.popleft()
        self._size -= len(message)
        if self._paused and self._size < self._size_bytes:
            self._paused = False
            self._resume()
        return message

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
