"""What one client may take: sizes, counts and spans, all of them bounded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from mainspring.errors import ConfigError

_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of every connection.

    Attributes:
        header_deadline: from the first byte of a request to the end of its headers; also how
            long a new connection may stay silent, and a TLS handshake may take.
        keep_alive: how long a connection may stay idle after an answer. More than the 60 s
            after which load balancers drop their end, so that it is not us who closes a
            connection just as a request comes in.
        body_grace: how long a body may be slower than `body_rate_bytes`.
        body_rate_bytes: a body that is wanted must bring so many bytes a second.
        write_stall: how long an answer may wait for its reader without any progress.
        header_bytes: request line and headers together; beyond it 431.
        header_count: header lines; beyond it 431.
        request_line_bytes: beyond it 414.
        trailer_bytes: trailer section of a chunked body; beyond it 431.
        chunk_extension_bytes: extensions of all chunks of a body together; beyond it 400.
        held_bytes: what is read ahead of whoever takes it, per connection: a body that its
            handler has not read, or requests behind the one that is being answered.
        turn: so many pipelined requests are answered before other connections get their turn.
        ping_interval: a web socket on which nothing happens is pinged after so long; 0 for never.
        ping_timeout: how long the answer may take.
        half_close: how long a request goes on after its client has said that it sends no
            more. Zero: such a client is gone, as almost all of them are.
        connections: open at once; further ones wait in the kernel's queue. 0 for as many as
            the process may have files open, less a reserve.
        requests: after so many a supervised worker is replaced; 0 for never.
        requests_jitter: up to so many more, chosen per worker, so that they do not all go at once.
        drain: how long a stop may take before running requests are cancelled.
        drain_idle: how long a stop waits for connections on which nothing happens: requests
            may be on their way.
    """

    header_deadline: timedelta = timedelta(seconds=10)
    keep_alive: timedelta = timedelta(seconds=75)
    body_grace: timedelta = timedelta(seconds=5)
    body_rate_bytes: int = 240
    write_stall: timedelta = timedelta(seconds=30)
    header_bytes: int = 32 * _KIB
    header_count: int = 128
    request_line_bytes: int = 8 * _KIB
    trailer_bytes: int = 8 * _KIB
    chunk_extension_bytes: int = 4 * _KIB
    held_bytes: int = 64 * _KIB
    turn: int = 32
    ping_interval: timedelta = timedelta(seconds=20)
    ping_timeout: timedelta = timedelta(seconds=20)
    half_close: timedelta = timedelta(0)
    connections: int = 0
    requests: int = 0
    requests_jitter: int = 0
    drain: timedelta = timedelta(seconds=30)
    drain_idle: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            zero: Any = timedelta(0) if isinstance(value, timedelta) else 0
            if value < zero or (value == zero and field.name not in _MAY_BE_ZERO):
                raise ConfigError(
                    f"the server's limit {field.name} is {value}",
                    fix="give more than zero",
                )
        if self.request_line_bytes > self.header_bytes:
            raise ConfigError(
                f"request_line_bytes ({self.request_line_bytes}) is more than header_bytes"
                f" ({self.header_bytes}), which contains it",
                fix="raise header_bytes",
            )


_MAY_BE_ZERO = frozenset(
    {
        "ping_interval",
        "half_close",
        "connections",
        "requests",
        "requests_jitter",
        "drain",
        "drain_idle",
    }
)
