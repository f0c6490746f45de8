from __future__ import annotations

import asyncio
import json
import resource
from datetime import timedelta

import pytest

from mainspring.errors import ConfigError
from mainspring.serve import Limits
from tests.serve.conftest import until

SHORT = timedelta(milliseconds=200)
_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_headers_that_trickle_end_at_the_deadline(serve, connect):
    server = await serve(header_deadline=SHORT)
    client = await connect(server)
    reading = asyncio.create_task(client.answer())
    await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ")
    while not reading.done():
        client.writer.write(b"a")
        await asyncio.sleep(0.01)
    assert (await reading).status == 408
    assert await client.rest() == b""


async def test_a_connection_that_never_speaks_is_closed(serve, connect):
    server = await serve(header_deadline=SHORT)
    client = await connect(server)
    assert await client.rest() == b""


async def test_an_idle_connection_is_closed_without_a_word(serve, connect):
    server = await serve(keep_alive=SHORT)
    client = await connect(server)
    assert (await client.get("/")).status == 200
    assert await client.rest() == b""


async def test_a_request_that_takes_longer_than_the_idle_time_is_answered(serve, connect):
    server = await serve(keep_alive=SHORT, header_deadline=SHORT)
    client = await connect(server)
    assert (await client.get("/sleep?seconds=1")).status == 200


async def test_a_body_that_stops_is_answered_with_408(serve, connect):
    server = await serve(body_grace=SHORT, body_rate_bytes=1000)
    client = await connect(server)
    await client.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc")
    answer = await client.answer()
    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["type"] == "serve.body-lost"


async def test_a_body_that_trickles_is_answered_with_408(serve, connect):
    server = await serve(body_grace=SHORT, body_rate_bytes=1000)
    client = await connect(server)
    await client.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n")
    reading = asyncio.create_task(client.answer())
    while not reading.done():
        client.writer.write(b"x")
        await asyncio.sleep(0.01)
    assert (await reading).status == 408


async def test_a_body_that_keeps_the_rate_may_take_long(serve, connect):
    server = await serve(body_grace=SHORT, body_rate_bytes=1000)
    client = await connect(server)
    await client.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n")
    for _ in range(10):
        await client.send(b"x" * 300)
        await asyncio.sleep(0.1)
    assert (await client.answer()).status == 200


async def test_a_client_that_is_made_to_wait_is_not_called_slow(serve, connect):
    server = await serve(body_grace=SHORT, body_rate_bytes=1000, held_bytes=1000)
    client = await connect(server)
    # Nobody reads for three seconds, and all that may be held is held after a moment.
    await client.send(b"POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n")
    await client.send(b"x" * 5000)
    assert (await client.answer()).status == 200


async def test_a_client_that_does_not_read_is_cut_off(serve, connect):
    server = await serve(write_stall=SHORT)
    client = await connect(server, limit=1024)
    await client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: bool(server.worker.connections))
    await until(lambda: not server.worker.connections)


async def test_a_large_answer_that_nobody_reads_is_cut_off_too(serve, connect):
    server = await serve(write_stall=SHORT)
    client = await connect(server, limit=1024)
    await client.send(b"GET /large?size=50000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: bool(server.worker.connections))
    await until(lambda: not server.worker.connections)


async def test_a_large_answer_is_sent_as_fast_as_it_is_read(serve, connect):
    server = await serve(write_stall=SHORT)
    client = await connect(server)
    await client.send(b"GET /large?size=20000000 HTTP/1.1\r\nHost: localhost\r\n\r\n" + _GET)
    await client.reader.readuntil(b"\r\n\r\n")
    assert await client.reader.readexactly(20_000_000) == b"x" * 20_000_000
    assert (await client.answer()).status == 200


async def test_more_connections_than_allowed_wait_until_there_is_room(serve, connect):
    server = await serve(connections=2)
    first, second = await connect(server), await connect(server)
    for client in (first, second):
        await client.send(b"GET /sleep?seconds=0.5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    third = await connect(server)
    await third.send(_GET)
    assert (await first.answer()).status == 200
    assert len(server.worker.connections) == 2
    first.close()
    assert (await third.answer()).status == 200
    assert (await second.answer()).status == 200


async def test_idle_connections_make_room_for_new_ones(serve, connect):
    server = await serve(connections=5)
    idle = [await connect(server) for _ in range(5)]
    for client in idle:
        assert (await client.get("/")).status == 200
    newcomer = await connect(server)
    assert (await newcomer.get("/")).status == 200


@pytest.mark.parametrize("silent", [True, False])
async def test_no_file_descriptor_left_is_survived(serve, connect, silent):
    server = await serve(header_deadline=timedelta(seconds=2))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    crowd = []
    try:
        probe = await connect(server)
        used = probe.writer.get_extra_info("socket").fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, before[1]))
        # Client and server are one process here, so that half of what is left is each one's.
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                crowd.append(await connect(server))
        if not silent:
            for client in crowd:
                client.writer.write(_GET)
        assert (await probe.get("/")).status == 200
        for client in crowd:
            client.reset()
        await until(lambda: len(server.worker.connections) == 1)
        newcomer = await connect(server)
        assert (await newcomer.get("/")).status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    "limits",
    [
        {"header_deadline": timedelta(0)},
        {"header_count": 0},
        {"body_rate_bytes": -1},
        {"request_line_bytes": 2000, "header_bytes": 1000},
    ],
)
def test_limits_that_make_no_sense_stop_the_start(limits):
    with pytest.raises(ConfigError):
        Limits(**limits)
