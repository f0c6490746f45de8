"""R5: a server that is stopped or replaced under load loses no request.

`TEST_STOPS=100` runs as many rounds as the promise says; a few are enough to see
that it holds, and are what the suite runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections import Counter

import pytest

from tests.serve.load import EVERYBODY, Load
from tests.serve.processes import free_port, start, stop

_ROUNDS = int(os.environ.get("TEST_STOPS", "2"))
_LOAD_SECONDS = 0.8
_BOUND_SECONDS = 30

pytestmark = pytest.mark.timeout(60 + 12 * _ROUNDS)


async def test_a_server_that_hands_its_socket_over_loses_nothing():
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]

        def begin():
            return start("mainspring", "--fd", str(fd), port=port, pass_fds=(fd,))

        load = Load(port)
        current = await asyncio.to_thread(begin)
        running = asyncio.create_task(load.run(EVERYBODY))
        longest = 0.0
        try:
            for _ in range(_ROUNDS):
                await asyncio.sleep(_LOAD_SECONDS)
                successor = await asyncio.to_thread(begin)
                longest = max(longest, await _ended(current, signal.SIGTERM))
                stop(current)
                current = successor
            await asyncio.sleep(_LOAD_SECONDS)
        finally:
            load.stopping = True
            await running
            await asyncio.to_thread(stop, current)
    _check(load, longest)


async def test_a_server_that_nobody_follows_loses_nothing():
    port = free_port()
    load = Load(port)
    running = asyncio.create_task(load.run(EVERYBODY))
    longest = 0.0
    try:
        for _ in range(_ROUNDS):
            current = await asyncio.to_thread(start, "mainspring", port=port)
            await asyncio.sleep(_LOAD_SECONDS)
            longest = max(longest, await _ended(current, signal.SIGTERM))
            stop(current)
    finally:
        load.stopping = True
        await running
    _check(load, longest)


async def test_workers_that_are_replaced_one_by_one_lose_nothing():
    current = await asyncio.to_thread(start, "mainspring", "--workers", "2")
    load = Load(current.port)
    running = asyncio.create_task(load.run(EVERYBODY))
    longest = 0.0
    try:
        for n in range(1, _ROUNDS + 1):
            await asyncio.sleep(_LOAD_SECONDS)
            current.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(20):
                while current.stderr().count("takes over") < 2 * n:
                    await asyncio.sleep(0.02)
        longest = await _ended(current, signal.SIGTERM)
    finally:
        load.stopping = True
        await running
        await asyncio.to_thread(stop, current)
    _check(load, longest)


async def test_workers_that_are_worn_out_lose_nothing():
    current = await asyncio.to_thread(
        start, "mainspring", "--workers", "2", "--limit-max-requests", "150",
        "--limit-max-requests-jitter", "50",
    )  # fmt: skip
    load = Load(current.port)
    running = asyncio.create_task(load.run(EVERYBODY))
    try:
        async with asyncio.timeout(50 + 10 * _ROUNDS):
            while current.stderr().count("takes over") < 2 * _ROUNDS:
                await asyncio.sleep(0.05)
    finally:
        load.stopping = True
        await running
        await asyncio.to_thread(stop, current)
    _check(load, 0)


async def _ended(running, number: signal.Signals) -> float:
    """Seconds that the server took to end after the signal."""
    began = time.monotonic()
    running.process.send_signal(number)
    assert await asyncio.to_thread(running.process.wait, _BOUND_SECONDS) == 0, running.stderr()
    return time.monotonic() - began


def _check(load: Load, longest: float) -> None:
    print(f"{sum(load.done.values())} requests {dict(load.done)}, longest stop {longest:.1f} s")
    assert not load.failed, f"{len(load.failed)} of {Counter(load.failed).most_common(10)}"
    assert longest < _BOUND_SECONDS
    assert {"keep-alive", "silent at first", "upload", "download", "once"} <= set(load.done)
