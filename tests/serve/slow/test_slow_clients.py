"""R7: slow clients of every kind and idle sockets take neither time nor memory from the others.

`TEST_SLOW_CLIENTS=1000` runs as many as the promise says, with the limits that a server has by
default; the suite runs a tenth with shorter ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import time
from collections import Counter

import psutil
import pytest

from tests.serve.processes import Running, serving

_SLOW = int(os.environ.get("TEST_SLOW_CLIENTS", "100"))
_FULL = _SLOW >= 1000
_IDLE = 5 * _SLOW
_HEADER_SECONDS = 10.0 if _FULL else 2.0
_GRACE_SECONDS = 5.0 if _FULL else 1.0
_STALL_SECONDS = 30.0 if _FULL else 2.0
_FLAGS = (
    "--limit-header-deadline", str(_HEADER_SECONDS), "--limit-body-grace", str(_GRACE_SECONDS),
    "--limit-write-stall", str(_STALL_SECONDS),
)  # fmt: skip
_MIB = 1024 * 1024
_RSS_LIMIT = 100 * _MIB

pytestmark = pytest.mark.timeout(180 if _FULL else 60)


@pytest.fixture(autouse=True)
def _files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Everybody who takes their time, and how it ended for them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ended: Counter[str] = Counter()
        self.took: dict[str, float] = {}

    async def slow(self, kind: str, first: bytes, drip: bytes) -> None:
        """Send the first bytes, then one more every half second until the server has enough."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.closing(writer):
            writer.write(first)
            began = time.monotonic()
            reading = asyncio.ensure_future(reader.read(200))
            while drip and not reading.done():
                writer.write(drip)
                await asyncio.wait([reading], timeout=0.5)
            await reading
            answer = reading.result().split(b"\r\n", 1)[0].decode()
            self.ended[f"{kind}: {answer or 'closed'}"] += 1
            self.took[kind] = max(self.took.get(kind, 0), time.monotonic() - began)

    async def deaf(self) -> None:
        """Ask for a stream without end and read none of it."""
        sock = socket.socket()
        # What the kernel would take for it is neither the server's memory nor of interest here.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        with contextlib.closing(writer):
            writer.transport.pause_reading()
            writer.write(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            began = time.monotonic()
            await asyncio.sleep(_STALL_SECONDS * 2 + 2)
            writer.transport.resume_reading()
            try:
                while await reader.read(1 << 20):
                    pass
            except ConnectionError:
                pass
            self.ended["slow read: cut off"] += 1
            self.took["slow read"] = time.monotonic() - began

    async def everybody(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_SLOW // 3):
                group.create_task(self.slow("slow headers", b"GET / HTTP/1.1\r\nA: ", b"a"))
                group.create_task(
                    self.slow(
                        "slow body",
                        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n",
                        b"a",
                    )
                )
                group.create_task(self.deaf())
            for _ in range(_IDLE):
                group.create_task(self.slow("idle", b"", b""))


async def _good(port: int, stop: asyncio.Event) -> list[float]:
    """Seconds that each request of a well-behaved client took; every one is answered."""
    took = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        while not stop.is_set():
            began = time.perf_counter()
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(len(b'{"ok":true}'))
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
    return took


async def _latencies(port: int, until: asyncio.Future) -> list[float]:
    stop = asyncio.Event()
    clients = [asyncio.create_task(_good(port, stop)) for _ in range(5)]
    await asyncio.wait([until])
    stop.set()
    return sorted(t for took in await asyncio.gather(*clients) for t in took)


async def test_slow_clients_and_idle_sockets_take_nothing_from_the_others():
    context = serving("mainspring", *_FLAGS)
    running: Running = await asyncio.to_thread(context.__enter__)
    try:
        process = psutil.Process(running.process.pid)
        alone = await _latencies(running.port, asyncio.ensure_future(asyncio.sleep(2)))
        before = process.memory_info().rss
        crowd = Crowd(running.port)
        coming = asyncio.create_task(crowd.everybody())
        highest = asyncio.create_task(_highest(process, coming))
        among = await _latencies(running.port, coming)
        await coming
        rss = await highest
        # All of it is given back: nobody is left but whoever asks.
        async with asyncio.timeout(10):
            while len(process.net_connections("tcp")) > 2:
                await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)
    p99 = [took[int(len(took) * 0.99)] * 1000 for took in (alone, among)]
    print(
        f"p99 alone {p99[0]:.1f} ms, among them {p99[1]:.1f} ms;"
        f" memory +{(rss - before) / _MIB:.0f} MiB; {dict(crowd.ended)}; {crowd.took}"
    )
    each = _SLOW // 3
    assert crowd.ended["slow headers: HTTP/1.1 408 Request Timeout"] == each
    assert crowd.ended["slow body: HTTP/1.1 408 Request Timeout"] == each
    assert crowd.ended["slow read: cut off"] == each
    assert crowd.ended["idle: closed"] == _IDLE
    assert rss - before < _RSS_LIMIT
    assert len(among) > 100


async def _highest(process: psutil.Process, until: asyncio.Task) -> int:
    highest = 0
    while not until.done():
        highest = max(highest, process.memory_info().rss)
        await asyncio.wait([until], timeout=0.2)
    return highest
