from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from mainspring import telemetry
from mainspring.serve._chunked import Chunks
from mainspring.serve._refusal import Refusal
from tests.serve.conftest import until
from tests.serve.target import events

_HEAD = b"POST /%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n"


async def test_a_body_in_any_pieces_is_the_same_body(serve, connect):
    server = await serve()
    data = bytes(range(256)) * 1000
    sent = _HEAD % (b"upload", b"Content-Length: %d" % len(data)) + data
    for step in (1, 7, 1000, 70_000):
        client = await connect(server)
        for at in range(0, len(sent), step):
            client.writer.write(sent[at : at + step])
            if at < 2000 * step and step < 1000 and at % 64 == 0:
                await asyncio.sleep(0)
        answer = await client.answer()
        assert json.loads(answer.body) == {
            "size": len(data),
            "sha": hashlib.sha256(data).hexdigest(),
        }


async def test_a_chunked_body_in_any_pieces_is_the_same_body(serve, connect):
    server = await serve()
    data = bytes(range(256)) * 300
    body = b"".join(
        b"%x;ext=%d\r\n%b\r\n" % (len(part), n, part)
        for n in range(30)
        if (part := data[n * 2560 : (n + 1) * 2560])
    )
    sent = _HEAD % (b"upload", b"Transfer-Encoding: chunked") + body + b"0\r\nX-Sum: 1\r\n\r\n"
    for step in (1, 3, 1000, 100_000):
        client = await connect(server)
        for at in range(0, len(sent), step):
            client.writer.write(sent[at : at + step])
            if step < 1000 and at % 512 == 0:
                await asyncio.sleep(0)
        answer = await client.answer()
        assert json.loads(answer.body) == {
            "size": len(data),
            "sha": hashlib.sha256(data).hexdigest(),
        }
        assert (await client.get("/")).status == 200


async def test_continue_is_said_when_the_handler_wants_the_body(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(_HEAD % (b"upload", b"Content-Length: 3\r\nExpect: 100-continue"))
    assert (await client.answer()).status == 100
    await client.send(b"abc")
    assert json.loads((await client.answer()).body)["size"] == 3
    assert (await client.get("/")).status == 200


async def test_continue_is_not_said_when_nobody_wants_the_body(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(_HEAD % (b"ignore", b"Content-Length: 3\r\nExpect: 100-continue"))
    answer = await client.answer()
    assert answer.status == 200
    # The client may now send the body or not: nobody knows, so that the connection ends.
    assert answer.headers["connection"] == "close"
    assert await client.rest() == b""


async def test_continue_is_not_said_when_the_body_is_there_already(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(_HEAD % (b"upload", b"Content-Length: 3\r\nExpect: 100-continue") + b"abc")
    assert (await client.answer()).status == 200


async def test_a_small_body_that_nobody_reads_is_skipped(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(_HEAD % (b"ignore", b"Content-Length: 1000") + b"x" * 10)
    assert (await client.answer()).status == 200
    await client.send(b"x" * 990 + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert json.loads((await client.answer()).body) == {"ok": True}


async def test_a_large_body_that_nobody_reads_ends_the_connection(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(_HEAD % (b"ignore", b"Content-Length: 10000000") + b"x" * 10)
    answer = await client.answer()
    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert await client.rest() == b""


async def test_a_sender_is_slowed_down_while_nobody_reads(serve, connect):
    server = await serve()
    client = await connect(server)
    size = 200 * 1024 * 1024
    await client.send(_HEAD % (b"unread", b"Content-Length: %d" % size))
    # What goes out before the kernel's buffers are full; the server takes no more.
    sent = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            while sent < size:
                await client.send(b"x" * 65536)
                sent += 65536
    assert sent < 32 * 1024 * 1024


async def test_a_client_that_leaves_in_its_body_cancels_the_handler(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(_HEAD % (b"upload", b"Content-Length: 1000") + b"x" * 10)
    await until(lambda: any(c.task is not None for c in server.worker.connections))
    client.close()
    await until(lambda: not server.worker.connections)


async def test_a_client_that_leaves_cancels_the_handler_once_and_waits_for_its_clean_up(
    serve, connect
):
    server = await serve()
    client = await connect(server)
    await client.send(b"GET /sleep?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: any(c.task is not None for c in server.worker.connections))
    client.close()
    await until(lambda: not server.worker.connections)
    assert events == ["cancelled", "cleaned up"]


async def test_a_client_that_leaves_closes_the_stream_that_it_was_sent(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(b"GET /stream?count=1000000&pause=0.01 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await client.reader.readuntil(b"3\n")
    client.reset()
    await until(lambda: not server.worker.connections)
    assert events == ["stream closed"]


async def test_a_stream_is_chunked_and_the_connection_goes_on(serve, connect):
    server = await serve()
    client = await connect(server)
    answer = await client.get("/stream?count=100")
    assert answer.body == b"".join(b"%d\n" % n for n in range(100))
    assert answer.headers["transfer-encoding"] == "chunked"
    assert (await client.get("/")).status == 200
    assert events == ["stream closed"]


async def test_a_stream_that_fails_is_cut_and_reported(serve, connect):
    failures = []
    unsubscribe = telemetry.subscribe(failures.append)
    try:
        server = await serve()
        client = await connect(server)
        answer = await client.get("/stream?count=100&fail_at=5")
        assert not answer.whole
        assert await client.rest() == b""
    finally:
        unsubscribe()
    [failed] = [event for event in failures if event.name == "serve.stream"]
    assert str(failed.error) == "the stream broke"


async def test_a_stream_of_http_1_0_ends_with_the_connection(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(b"GET /stream?count=5 HTTP/1.0\r\nHost: localhost\r\n\r\n")
    raw = await client.rest()
    assert raw.endswith(b"\r\n\r\n0\n1\n2\n3\n4\n")
    assert b"transfer-encoding" not in raw


async def test_a_stream_of_http_1_0_that_fails_is_reset(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(
        b"GET /stream?count=9&fail_at=5&pause=0.01 HTTP/1.0\r\nHost: localhost\r\n\r\n"
    )
    with pytest.raises(ConnectionResetError):
        while await client.reader.read(65536):
            pass


async def test_a_stream_waits_for_a_client_that_does_not_read(serve, connect):
    server = await serve()
    client = await connect(server, limit=1024)
    await client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    [connection] = await _connections(server)
    await until(lambda: connection.flow.writes_wait)
    held = connection.transport.get_write_buffer_size()
    assert held < 512 * 1024
    await asyncio.sleep(0.05)
    assert connection.transport.get_write_buffer_size() == held


async def test_requests_behind_a_slow_answer_are_held_only_so_far(serve, connect):
    server = await serve()
    client = await connect(server)
    await client.send(b"GET /sleep?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    [connection] = await _connections(server)
    await until(lambda: connection.task is not None)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            while True:
                await client.send(request * 10_000)
    assert len(connection.buffer) < 1024 * 1024


async def test_a_hundred_thousand_pipelined_requests_are_answered_in_turn(serve, connect):
    server = await serve()
    crowd = await connect(server)
    other = await connect(server)
    count = 100_000
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def send() -> None:
        for _ in range(count // 1000):
            await crowd.send(request * 1000)

    async def read() -> int:
        found, kept = 0, b""
        while found < count:
            fresh = await crowd.reader.read(1 << 20)
            assert fresh, f"closed after {found}"
            data = kept + fresh
            found += data.count(b"HTTP/1.1 200 OK\r\n")
            kept = data[data.rfind(b"\r\n") + 2 :]
        return found

    sending = asyncio.create_task(send())
    reading = asyncio.create_task(read())
    between = 0
    while not reading.done():
        assert (await other.get("/")).status == 200
        between += 1
    assert await reading == count
    await sending
    # The crowd did not have the server for itself.
    assert between > 20


def test_a_million_tiny_chunks_come_out_whole():
    chunks = Chunks(trailer_bytes=100, trailer_count=10, extension_bytes=100)
    data = b"1\r\nx\r\n" * 1_000_000 + b"0\r\n\r\nrest"
    size, rest = 0, None
    for at in range(0, len(data), 65536):
        parts, rest = chunks.feed(data[at : at + 65536])
        size += sum(map(len, parts))
    assert (size, rest) == (1_000_000, b"rest")


def test_a_body_that_was_complete_is_not_changed_by_what_follows():
    chunks = Chunks(trailer_bytes=100, trailer_count=10, extension_bytes=100)
    assert chunks.feed(b"3\r\nabc\r\n0\r\n\r\nGET /") == ([b"abc"], b"GET /")


@pytest.mark.parametrize("at", range(1, 20))
def test_a_broken_chunk_is_refused_wherever_it_is_cut(at):
    data = b"3;a=b\r\nabcX\r\n0\r\n\r\n" + b"x" * 20
    chunks = Chunks(trailer_bytes=100, trailer_count=10, extension_bytes=100)
    with pytest.raises(Refusal):  # either piece may be the one
        chunks.feed(data[:at])
        chunks.feed(data[at:])


async def _connections(server):
    await until(lambda: bool(server.worker.connections))
    return list(server.worker.connections)
