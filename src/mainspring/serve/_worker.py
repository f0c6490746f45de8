"""What all connections of one process share: the application, the limits, the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from importlib import import_module
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from mainspring.serve._expiry import expire
from mainspring.serve._grammar import Head, Target, read_head, read_target
from mainspring.serve._heads import Heads
from mainspring.serve._refusal import Refusal

if TYPE_CHECKING:
    from mainspring.http._core import Core
    from mainspring.http._forwarded import Proxies
    from mainspring.http._request import Request
    from mainspring.serve._limits import Limits
    from mainspring.serve._protocol import Connection

_TARGETS_LIMIT: Final = 1024
_TARGET_BYTES: Final = 256
_TICK_SECONDS: Final = 0.5
_TICKS_PER_LIMIT: Final = 4


OpenSocket = Callable[["Connection", "Request"], Coroutine[Any, Any, None]]


def _socket_opener() -> OpenSocket:
    # Half of what the server costs to import, and only for applications that have sockets.
    opener: OpenSocket = import_module("mainspring.serve._socket").lead
    return opener


class Worker:
    """One process's connections, and the clock that bounds them.

    Timers are one per process: every tick looks at each connection's `deadline`, which costs
    60 ns, where arming and cancelling a timer per request costs more than parsing it.

    Attributes:
        now: what deadlines are measured by: seconds in which the loop was running.
        idle_at: when a connection expires that becomes idle now.
        dated: the Date header of this second, and the name of the header that follows it.
        draining: no connection takes more than the request that it has or is about to get.
    """

    def __init__(
        self,
        core: Core,
        *,
        limits: Limits,
        proxies: Proxies,
        secure: bool = False,
        retire: Callable[[], None] | None = None,
    ) -> None:
        self.core = core
        self.limits = limits
        self.proxies = proxies
        self.scheme = "https" if secure else "http"
        self.loop = asyncio.get_running_loop()
        self.heads = Heads()
        self.targets: dict[bytes, Target] = {}
        self.connections: set[Connection] = set()
        self.draining = False
        self.requests_left: float = inf
        self.open_socket = _socket_opener() if core.has_sockets else None
        self._retire = retire
        self._closed: Callable[[], None] | None = None
        spans = (limits.header_deadline, limits.keep_alive, limits.body_grace, limits.write_stall)
        shortest = min(span.total_seconds() for span in spans)
        self._tick_seconds = min(_TICK_SECONDS, shortest / _TICKS_PER_LIMIT)
        self.header_seconds = limits.header_deadline.total_seconds()
        self.idle_seconds = limits.keep_alive.total_seconds()
        self.now = self._ticked = self.idle_at = 0.0
        self.dated = b""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the clock; `stop` ends it."""
        self._ticked = self.now = self.loop.time()
        self._tick()

    def stop(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self.loop.call_later(self._tick_seconds, self._tick)
        at = self.loop.time()
        # Time in which the loop stood still is not the clients': they could not be heard.
        now = self.now = self.now + min(at - self._ticked, 2 * self._tick_seconds)
        self._ticked = at
        self.idle_at = now + self.idle_seconds
        # RFC 9110, section 5.6.7: always GMT, whatever the locale is.
        self.dated = b"date: %b\r\ncontent-length: " % formatdate(usegmt=True).encode("ascii")
        for connection in [c for c in self.connections if c.deadline < now]:
            expire(connection, now)

    def read_target(self, line: bytes) -> Target:
        """The request line; those that repeat are read once.

        Raises:
            Refusal: 400, 414 or 505.
        """
        if len(line) > self.limits.request_line_bytes:
            raise Refusal(414, "the request line is too long")
        target = read_target(line)
        if len(line) <= _TARGET_BYTES:
            if len(self.targets) >= _TARGETS_LIMIT:
                self.targets.clear()
            self.targets[line] = target
        return target

    def read_head(self, block: bytes, size: int) -> Head:
        """The header lines between two line ends; `size` counts the request line too.

        Raises:
            Refusal: 400, 417, 431 or 501.
        """
        limits = self.limits
        if size > limits.header_bytes:
            raise Refusal(431, f"headers of more than {limits.header_bytes} bytes")
        return read_head(block[2:-2], count_limit=limits.header_count)

    def retire(self) -> None:
        """Ask for a successor: this process has answered as many requests as it should."""
        self.requests_left = inf
        if self._retire is not None:
            self._retire()

    def drain(self) -> None:
        """Let the next answer of every connection be its last."""
        self.draining = True
        for connection in self.connections:
            connection.know_nothing()

    def close_idle(self, *, longer_than_seconds: float, at_most: int | None = None) -> None:
        """Close connections on which nothing has happened for so long, the longest idle first."""
        latest = self.now - longer_than_seconds
        idle = [(c.idle_since, c) for c in self.connections if c.idle]
        idle.sort(key=itemgetter(0))
        for since, connection in idle[:at_most]:
            # What has arrived and was not read yet would be lost.
            if since <= latest and not connection.flow.unread():
                connection.leave()

    def end_streams(self) -> None:
        """Bring endless streams to a clean end."""
        for connection in self.connections:
            connection.end_stream()

    def on_closed(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever a connection is gone."""
        self._closed = callback

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self._closed is not None:
            self._closed()
