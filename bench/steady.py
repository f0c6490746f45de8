"""Latency under a constant rate, free of coordinated omission.

Requests are due at fixed instants whether or not earlier ones were answered, and a latency is
counted from the instant at which its request was due. A server that stalls for 100 ms therefore
shows every request of those 100 ms, not one. Source: Gil Tene, "How NOT to Measure Latency".
"""

from __future__ import annotations

import gc
import os
import select
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.machine import GENERATOR_CORE
from bench.measures import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Steady:
    """Latencies of one constant-rate run, in milliseconds."""

    offered_per_second: float
    answered_per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @classmethod
    def of(cls, latencies_ns: Sequence[int], *, offered: float, took_s: float) -> Steady:
        """The summary of one run's latencies, in any order."""
        ordered = sorted(latencies_ns)
        p50, p99, p999 = (percentile(ordered, share) / 1e6 for share in (0.5, 0.99, 0.999))
        return cls(offered, len(ordered) / took_s, p50, p99, p999)


def ask(port: int, request: bytes, *, rate: float, seconds: float, connections: int = 64) -> Steady:
    """Send `request` `rate` times a second for `seconds` over keep-alive connections.

    The generator polls its sockets without sleeping, because a timer's millisecond would be
    most of what is measured; it must have a core of its own.

    Raises:
        TimeoutError: answers were still missing five seconds after the last request was due.
    """
    with ExitStack() as stack:
        stack.enter_context(_alone())
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(connections)
        ]
        body_bytes = _body_length(sockets[0], request)
        for each in sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.setblocking(False)  # the socket's own signature
        begun = time.perf_counter()
        latencies = _run(sockets, request, body_bytes, gap_ns=1e9 / rate, total=int(rate * seconds))
        return Steady.of(latencies, offered=rate, took_s=time.perf_counter() - begun)


def _run(
    sockets: list[socket.socket], request: bytes, body_bytes: int, *, gap_ns: float, total: int
) -> list[int]:
    clock = time.perf_counter_ns
    poll = select.epoll()
    by_number = {each.fileno(): each for each in sockets}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    free, due, partial = list(sockets), dict.fromkeys(by_number, 0), dict.fromkeys(by_number, b"")
    latencies: list[int] = []
    sent = 0
    start = clock()
    last = start + int(total * gap_ns + _GRACE_S * 1e9)
    while len(latencies) < total:
        now = clock()
        if now > last:
            raise TimeoutError(f"{total - len(latencies)} of {total} answers are missing")
        while free and sent < total and start + sent * gap_ns <= now:
            each = free.pop()
            due[each.fileno()] = start + int(sent * gap_ns)
            each.send(request)
            sent += 1
        for number, _ in poll.poll(0):
            answer = partial[number] + by_number[number].recv(65536)
            head = answer.find(b"\r\n\r\n")
            if head < 0 or len(answer) < head + 4 + body_bytes:
                partial[number] = answer
                continue
            partial[number] = b""
            latencies.append(clock() - due[number])
            free.append(by_number[number])
    poll.close()
    return latencies


def _body_length(connection: socket.socket, request: bytes) -> int:
    """Length of the body of the answer, which is the same for every request of a run."""
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    names = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    length = int(names[b"content-length"])
    while len(body) < length:
        body += connection.recv(65536)
    return length


@contextmanager
def _alone() -> Iterator[None]:
    """This process on the generator's core, without pauses for the collector."""
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, {GENERATOR_CORE})
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setaffinity(0, before)
