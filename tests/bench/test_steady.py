from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bench import steady

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_STALL_S = 0.3


def _serve(listener: socket.socket, stall_at: int) -> None:
    with listener, listener.accept()[0] as connection:
        for number in range(10_000):
            if not connection.recv(4096):
                return
            if number == stall_at:
                time.sleep(_STALL_S)
            connection.sendall(_ANSWER)


@pytest.fixture
def stalling() -> Iterator[int]:
    """The port of a server that stands still once, at its twentieth request."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, 20))
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)


def test_a_stall_counts_for_every_request_that_was_due_meanwhile(stalling: int) -> None:
    seen = steady.ask(stalling, _REQUEST, rate=200, seconds=0.5, connections=1)

    # 60 of the 100 requests were due while the server stood still; only one was on its way.
    assert seen.p50_ms > 20
    assert seen.p99_ms > 250


def test_the_offered_rate_is_kept_and_every_request_answered() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, -1))
    thread.start()

    seen = steady.ask(listener.getsockname()[1], _REQUEST, rate=100, seconds=0.3, connections=1)

    thread.join(5)
    assert seen.offered_per_second == 100
    assert seen.answered_per_second <= 110
    assert 0 < seen.p50_ms <= seen.p99_ms <= seen.p999_ms
