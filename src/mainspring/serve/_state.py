"""What a connection is at."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """What becomes of the bytes that arrive."""

    IDLE = 0
    """They begin a request."""
    HEAD = 1
    """They continue a head that is not complete."""
    BODY = 2
    """They are the body of the current request."""
    BUSY = 3
    """The current request is complete; they belong to the next one."""
    SOCKET = 4
    """They are a web socket's."""
    LEAVING = 5
    """Nobody reads them; the connection ends when the client has seen why."""
    LOST = 6


# A name of a module costs half of what an attribute of an enumeration does.
IDLE, HEAD, BODY, BUSY, SOCKET, LEAVING, LOST = State
