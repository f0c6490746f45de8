"""Heads that arrive in more than one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.serve._grammar import check_partial
from mainspring.serve._refusal import Refusal
from mainspring.serve._state import HEAD, IDLE

if TYPE_CHECKING:
    from mainspring.serve._protocol import Connection


def keep_head(connection: Connection, rest: bytes) -> None:
    """Wait for the rest of a head.

    Raises:
        Refusal: what is there cannot become one.
    """
    _check(connection, rest, rest)
    connection.buffer = rest
    if rest:
        connection.state = HEAD
        connection.deadline = connection.worker.now + connection.worker.header_seconds


def grow_head(connection: Connection, data: bytes) -> None:
    """Take more of a head, within the time that its first piece was given."""
    before, deadline = connection.buffer, connection.deadline
    connection.buffer = whole = before + data
    try:
        # Only a line end can complete a head, so that a byte at a time costs no parsing.
        if b"\n" not in data or whole.find(b"\r\n\r\n", max(len(before) - 3, 0)) < 0:
            _check(connection, whole, b"\r" + data if before.endswith(b"\r") else data)
            return
    except Refusal as refusal:
        connection.refuse(refusal)
        return
    connection.buffer = b""
    connection.state = IDLE
    connection.advance(whole)
    # Read again: what stood behind the head may be the beginning of another.
    if connection.waits_for_head:
        connection.deadline = deadline


def _check(connection: Connection, rest: bytes, fresh: bytes) -> None:
    limits = connection.worker.limits
    check_partial(rest, fresh, line_bytes=limits.request_line_bytes, head_bytes=limits.header_bytes)
