"""A web socket from the upgrade request to its end: who may, who talks, how it is closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from mainspring import telemetry
from mainspring.http._problem import Problem
from mainspring.http._transport import (
    INTERNAL_ERROR,
    INVALID_DATA,
    POLICY,
    REASON_LIMIT_BYTES,
    TOO_BIG,
    UNSUPPORTED_DATA,
    SocketClosed,
)
from mainspring.http._websocket import WebSocket

if TYPE_CHECKING:
    from mainspring.http._request import Request
    from mainspring.http._response import Response
    from mainspring.http._routing import Route
    from mainspring.http._transport import SocketTransport

LEAVING_GRACE_SECONDS: Final = 5.0
"""How long a handler may go on without receiving or sending after its client has left."""

SWITCHING: Final = 101
_CLIENT_GONE: Final = 499
_SERVER_ERROR: Final = 500
_CLOSE_CODES: Final = {
    400: INVALID_DATA,
    413: TOO_BIG,
    415: UNSUPPORTED_DATA,
    422: INVALID_DATA,
}


class Host(Protocol):
    """What a conversation needs of the application; `Core` is one."""

    def route_socket(self, request: Request) -> Route: ...
    def problem(self, error: Exception, request: Request) -> Response: ...
    def finish(self, request: Request, status: int) -> None: ...


async def converse(host: Host, request: Request, transport: SocketTransport) -> Response | None:
    """Lead one conversation from its request to its end.

    Returns:
        The refusal if nothing was accepted, else None, and the socket is closed.
    """
    token = telemetry.current.set(request)
    socket = request.socket = WebSocket(request, transport)
    request.route = host.route_socket(request)
    status, refusal = SWITCHING, None
    try:
        # Binding happens inside of the route's steps, the conversation after them: it holds
        # no transaction and has no deadline.
        await request.route.answer(request)
        await _talk(socket, transport)
    except SocketClosed:
        if not socket.accepted:
            status = _CLIENT_GONE
    except Exception as exc:  # noqa: BLE001  # the one place where errors become answers
        refusal = host.problem(exc, request)
        status = refusal.status
        if socket.accepted:
            await transport.close(*farewell(exc, status))
    except asyncio.CancelledError:
        status = _CLIENT_GONE
        raise
    finally:
        host.finish(request, status)
        telemetry.current.reset(token)
    return None if socket.accepted else refusal


async def _talk(socket: WebSocket, transport: SocketTransport) -> None:
    task = asyncio.current_task()
    assert task is not None  # a promise of whoever calls Core.socket
    watch = Watch(socket, transport.ended, task)
    try:
        await socket.talk()
    except asyncio.CancelledError:
        # Somebody else's cancellation (the server stops) goes on its way.
        if not watch.expired or task.uncancel() > 0:
            raise
        return
    finally:
        watch.stop()
    await socket.close()


def farewell(error: Exception, status: int) -> tuple[int, str]:
    """The close code and reason for an error that a handler let through."""
    default = INTERNAL_ERROR if status >= _SERVER_ERROR else POLICY
    code = _CLOSE_CODES.get(status, default)
    said = error.detail if isinstance(error, Problem) and code != INTERNAL_ERROR else ""
    return code, said.encode()[:REASON_LIMIT_BYTES].decode(errors="ignore")


class Watch:
    """Cancels a handler that goes on for too long after its client has left.

    Not at once: what arrived before may still be worth finishing, and a handler that uses the
    socket learns of the end by itself.
    """

    def __init__(
        self, socket: WebSocket, ended: asyncio.Future[SocketClosed], task: asyncio.Task[Any]
    ) -> None:
        self.expired = False
        self._socket = socket
        self._ended = ended
        self._task = task
        self._timer: asyncio.TimerHandle | None = None
        ended.add_done_callback(self._start)

    def _start(self, _ended: asyncio.Future[SocketClosed]) -> None:
        loop = self._task.get_loop()
        self._timer = loop.call_later(LEAVING_GRACE_SECONDS, self._check, self._socket.uses)

    def _check(self, uses: int) -> None:
        if self._socket.uses != uses:
            self._start(self._ended)
            return
        self.expired = True
        self._task.cancel()

    def stop(self) -> None:
        """The handler has ended by itself."""
        self._ended.remove_done_callback(self._start)
        if self._timer is not None:
            self._timer.cancel()
