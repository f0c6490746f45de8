"""What ends when it takes too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring import telemetry
from mainspring.serve._refusal import Refusal
from mainspring.serve._state import BODY, HEAD, IDLE, LEAVING, SOCKET

if TYPE_CHECKING:
    from mainspring.serve._protocol import Connection


def expire(connection: Connection, now: float) -> None:
    """The deadline of a connection has passed: end what is late, or set the next one."""
    state = connection.state
    if connection.flow.writes_wait and state is not LEAVING:
        _expire_write(connection, now)
    elif state is BODY and connection.upload is not None:
        connection.upload.expire(now)
    elif connection.socket is not None and state is SOCKET:
        connection.socket.expire(now)
    elif state is HEAD:
        connection.refuse(Refusal(408, "the headers took too long"))
    elif state is IDLE:
        connection.transport.close()
    else:
        connection.transport.abort()


def _expire_write(connection: Connection, now: float) -> None:
    limits = connection.worker.limits
    span = limits.write_stall.total_seconds()
    if connection.flow.taken_bytes() >= limits.body_rate_bytes * span:
        connection.deadline = now + span
    else:
        telemetry.emit("serve.stalled", peer=connection.peer)
        connection.transport.abort()
