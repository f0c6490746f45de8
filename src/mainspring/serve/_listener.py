"""Accepts connections: as many as there is room for, and not one that would be lost."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, Final

from mainspring import telemetry
from mainspring.serve._protocol import Connection

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Sequence

    from mainspring.serve._worker import Worker

# One per wake-up shares connections among the workers of a socket; more than one costs less
# per connection. Sixteen keeps both within a few percent (docs/why/server.md).
_ACCEPTS: Final = 16
_RETRY_SECONDS: Final = 0.1
_IDLE_SECONDS_UNDER_PRESSURE: Final = 1.0
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# The client gave up while it waited in the queue.
_GONE: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EINTR})


class Listener:
    """Takes connections from listening sockets and hands them to a worker.

    The event loop's own server accepts whatever comes, and ends when the process has no file
    descriptor left; here a full process leaves connections in the kernel's queue.

    Args:
        sockets: listening and non-blocking; closed by `close`.
        connections: so many at once.
        tls: what HTTPS needs, if it is spoken.
    """

    def __init__(
        self,
        worker: Worker,
        sockets: Sequence[socket.socket],
        *,
        connections: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.sockets = list(sockets)
        self._worker = worker
        self._limit = connections
        self._tls = tls
        self._loop = worker.loop
        self._opening: set[asyncio.Task[Any]] = set()
        self._listening = False
        self._waiting = False
        self._open = False

    @property
    def opening(self) -> int:
        """Connections that were accepted and have no protocol yet (TLS handshakes)."""
        return len(self._opening)

    def start(self) -> None:
        """Begin to accept."""
        self._open = True
        self._worker.on_closed(self._closed)
        self._listen()

    def drain_queue(self) -> None:
        """Accept everything that is in the kernel's queue."""
        for sock in self.sockets:
            while self._accept_one(sock):
                pass

    def close(self) -> None:
        """Accept no more, and close the sockets."""
        self._open = False
        self._worker.on_closed(None)
        self._unlisten()
        for sock in self.sockets:
            sock.close()
        self.sockets = []

    def _listen(self) -> None:
        if self._open and not self._listening:
            self._listening = True
            for sock in self.sockets:
                self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _unlisten(self) -> None:
        if self._listening:
            self._listening = False
            for sock in self.sockets:
                self._loop.remove_reader(sock.fileno())

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            if len(self._worker.connections) + self.opening >= self._limit:
                self._full("connections")
                return
            if not self._accept_one(sock):
                return

    def _accept_one(self, sock: socket.socket) -> bool:
        """Whether there was a connection to accept."""
        try:
            accepted, _ = sock.accept()
        except BlockingIOError:
            return False
        except OSError as exc:
            if exc.errno in _FULL:
                self._full(errno.errorcode[exc.errno])
                return False
            if exc.errno in _GONE:
                return True
            telemetry.failed("serve.accept", exc)
            return False
        accepted.setblocking(False)  # noqa: FBT003  # the socket API's own form
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._open_connection(accepted))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _open_connection(self, accepted: socket.socket) -> None:
        try:
            options: dict[str, Any] = {}
            if self._tls is not None:
                options["ssl"] = self._tls
                options["ssl_handshake_timeout"] = self._worker.header_seconds
            await self._loop.connect_accepted_socket(
                lambda: Connection(self._worker), accepted, **options
            )
        except OSError as exc:  # a TLS handshake that failed is an OSError too
            telemetry.emit("serve.not-opened", reason=str(exc))
            accepted.close()

    def _full(self, reason: str) -> None:
        """Stop accepting until there is room; make some by closing what is idle."""
        telemetry.emit("serve.full", reason=reason, connections=len(self._worker.connections))
        self._unlisten()
        self._worker.close_idle(longer_than_seconds=_IDLE_SECONDS_UNDER_PRESSURE, at_most=_ACCEPTS)
        if not self._waiting:
            self._waiting = True
            self._loop.call_later(_RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._waiting = False
        self._listen()

    def _closed(self) -> None:
        if not self._listening and len(self._worker.connections) < self._limit:
            self._listen()
