"""What a supervisor and its worker tell each other.

They share a socket pair. The parent writes one `Order`; the child answers `READY`, and later
perhaps `RETIRE`. When the pair ends the parent is gone, and the child stops too.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec

from mainspring.serve._config import Config

if TYPE_CHECKING:
    import socket

READY: Final = b"ready\n"
RETIRE: Final = b"retire\n"


class Order(msgspec.Struct, frozen=True):
    """What a worker is told at its start.

    Attributes:
        app: `module:attribute`.
        sockets: inherited file descriptors that it accepts from.
        requests: after so many it asks for a successor; 0 for never.
    """

    app: str
    config: Config
    sockets: list[int]
    requests: int


def order(app: str, config: Config, sockets: list[socket.socket]) -> bytes:
    """The line that a parent writes."""
    jitter = random.SystemRandom().randint(0, config.limits.requests_jitter)
    requests = config.limits.requests + jitter if config.limits.requests else 0
    told = Order(app, config, [sock.fileno() for sock in sockets], requests)
    return msgspec.json.encode(told) + b"\n"
