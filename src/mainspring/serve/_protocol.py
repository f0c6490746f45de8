"""One connection: requests in, answers out, one at a time and in order.

The fast path is `_advance`: a request that is all there and whose route never waits is read,
answered and written in one call, without a task, a queue or a timer.
"""

from __future__ import annotations

import asyncio
import sys
from enum import IntEnum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast

from mainspring import telemetry
from mainspring.http._body import WholeBody
from mainspring.http._request import Request
from mainspring.serve._body import ArrivingBody, BodyLost
from mainspring.serve._chunked import Chunks
from mainspring.serve._grammar import CHUNKED, Head, Target, broken_lines, check_together, read_head
from mainspring.serve._refusal import Refusal, refusal_bytes
from mainspring.serve._reply import respond, stream

if TYPE_CHECKING:
    from mainspring.http._body import Body
    from mainspring.http._response import Response
    from mainspring.serve._worker import Worker


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
    LEAVING = 4
    """Nobody reads them; the connection ends when the client has seen why."""
    LOST = 5


# A name of the module costs half of what an attribute of an enumeration does.
_IDLE, _HEAD, _BODY, _BUSY, _LEAVING, _LOST = State
_NEVER_A_BLOCK: Final = b"\0"
_KEPT_BLOCK_BYTES: Final = 2048
_EMPTY: Final = WholeBody()
_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 1024 * 1024

# A task that runs at once until it first waits (3.12) saves the turn of the loop.
if sys.version_info >= (3, 12):
    _Task = partial(asyncio.Task, eager_start=True)
else:
    _Task = asyncio.Task


class Connection(asyncio.Protocol):
    """What the event loop calls when something happens on a socket.

    Attributes:
        state: what becomes of arriving bytes.
        deadline: the loop's time at which `expire` is due.
        task: runs the handler, unless the route never waits.
        plain: the current request is an ordinary one of HTTP/1.1, and so is its answer.
        old: the current request is of HTTP/1.0.
        keep: another request may follow the current one.
        bodiless: the current request is a HEAD.
        expects: its client waits for `100 Continue`.
        writes_wait: the client does not take what was written; wait for `writable`.
        endless: the answer that is being written is an event stream.
        ending: it shall come to a clean end.
        used: something has arrived on this connection.
    """

    __slots__ = (
        "_arriving",
        "_block",
        "_buffer",
        "_chunks",
        "_client",
        "_drained",
        "_eof",
        "_head",
        "_inside",
        "_left",
        "_paused",
        "_peer",
        "_scheme",
        "_since",
        "_stuck",
        "bodiless",
        "deadline",
        "ending",
        "endless",
        "expects",
        "keep",
        "old",
        "plain",
        "state",
        "task",
        "transport",
        "used",
        "worker",
        "write",
        "writes_wait",
    )  # fmt: skip

    transport: asyncio.Transport
    _head: Head
    _peer: tuple[str, int] | None

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.state = _IDLE
        self.deadline = inf
        self.task: asyncio.Task[None] | None = None
        self.plain = self.keep = True
        self.old = self.bodiless = self.expects = False
        self.writes_wait = self.ending = self.endless = self.used = False
        self._paused = self._inside = self._eof = False
        self._buffer = b""
        self._block = _NEVER_A_BLOCK
        self._arriving: ArrivingBody | None = None
        self._chunks: Chunks | None = None
        self._drained: asyncio.Future[None] | None = None
        self._left = self._stuck = 0
        self._since = 0.0

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        peer = transport.get_extra_info("peername")
        self._peer = (peer[0], peer[1]) if isinstance(peer, tuple) else None
        self.deadline = self.worker.now + self.worker.header_seconds
        self.worker.connections.add(self)

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state is _IDLE:
            self._advance(data)
        elif state is _BODY:
            self._take_body(data)
        elif state is _HEAD:
            self._grow_head(data)
        elif state is _BUSY:
            self._buffer += data
            if len(self._buffer) > self.worker.limits.held_bytes:
                self._pause()
        elif state is _LEAVING:
            self._left -= len(data)
            if self._left < 0:
                self.transport.abort()

    def eof_received(self) -> bool | None:
        """Whether to keep our side open after the client has closed its own."""
        if self.state is not _BUSY:
            return None
        half_close = self.worker.limits.half_close.total_seconds()
        if self.task is not None and not half_close:
            return None
        self._eof = True
        if self.task is not None:
            self.deadline = self.worker.now + half_close
        return self.worker.scheme == "http"

    def pause_writing(self) -> None:
        self.writes_wait = True
        if self.state is _IDLE:
            self.state = _BUSY
        self._stuck = self.transport.get_write_buffer_size()
        self.deadline = self.worker.now + self.worker.limits.write_stall.total_seconds()

    def resume_writing(self) -> None:
        self.writes_wait = False
        if self.state is not _LEAVING:
            self.deadline = inf
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.state is _BUSY and self.task is None and not self._inside:
            self.state = _IDLE
            self._proceed()

    def connection_lost(self, exc: Exception | None) -> None:
        self.state = _LOST
        self.deadline = inf
        self._buffer = b""
        if self._arriving is not None:
            self._arriving.fail(BodyLost(400, "the client went away", code=BodyLost.code))
        if self.task is not None:
            # The last of it is `_serve`, which lets go of this connection.
            self.task.cancel()
        else:
            self.worker.forget(self)

    # requests

    def _advance(self, data: bytes) -> None:
        """Answer the requests in `data`, until one of them has to wait for something."""
        self._inside = self.used = True
        try:
            rest = self._answer_all(data)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        finally:
            self._inside = False
        if self.state is _IDLE:
            self.deadline = self.worker.now + self.worker.idle_seconds
            if self._eof:
                self.leave()
        elif rest and self.state is not _LEAVING:
            self._buffer = rest

    def _answer_all(self, data: bytes) -> bytes:
        """What is left of `data`; the state says why."""
        worker = self.worker
        core = worker.core
        at, size = 0, len(data)
        for _ in range(worker.limits.turn):
            line_end = data.find(b"\r\n", at)
            line = data[at:line_end]
            target = worker.targets.get(line)
            if target is None:
                if line_end == at:  # an empty line before a request (RFC 9112, section 2.2)
                    at += 2
                    line_end = data.find(b"\r\n", at)
                    line = data[at:line_end]
                if line_end < 0:
                    return self._keep_head(data[at:])
                target = worker.read_target(line)
            # The headers of one client rarely change from one request to the next.
            if data.startswith(self._block, line_end):
                head = self._head
                after = line_end + len(self._block)
            else:
                after = data.find(b"\r\n\r\n", line_end) + 4
                if after < 4:
                    return self._keep_head(data[at:])
                head = self._read_head(data[line_end:after], after - at)
            body: Body = _EMPTY
            if target.plain and head.plain:
                if not self.plain:
                    self._become_plain()
                if head.length:
                    body, after = self._body(head, data, after)
            else:
                body, after = self._uncommon(target, head, data, after)
            request = Request(
                target.method,
                target.path,
                raw_path=target.raw_path,
                query_string=target.query,
                headers=head.headers,
                body=body,
                client=self._client,
                scheme=self._scheme,
                http_version="1.0" if target.old else "1.1",
            )
            at = after
            if core.route(request).in_place and body is not self._arriving:
                self._answer_in_place(request)
            else:
                self._start(self._serve(request))
            if self.state is not _IDLE:
                return data[at:]
            if at == size:
                return b""
        # Others get their turn; until then nothing more is read here.
        self.state = _BUSY
        self._pause()
        worker.loop.call_soon(self._next_turn)
        return data[at:]

    def _answer_in_place(self, request: Request) -> None:
        answer = self.worker.core.answer(request)
        try:
            answer.send(None)
        except StopIteration as done:
            response: Response = done.value
            if type(response.body) is bytes:
                respond(self, request, response)
            else:
                self._start(self._stream(request, response))
        else:
            answer.close()
            telemetry.failed("serve.waited", RuntimeError(f"{request.route.title} waited"))
            self.refuse(Refusal(500, "the handler waited where it had promised not to"))

    def _start(self, work: Any) -> None:
        if self.state is _IDLE:
            self.state = _BUSY
            self.deadline = inf
        task = _Task(work, loop=self.worker.loop)
        if not task.done():
            self.task = task

    async def _serve(self, request: Request) -> None:
        """Everything about a request that waits."""
        try:
            response = await self.worker.core.answer(request)
            if type(response.body) is bytes:
                if self.state is not _LOST:
                    respond(self, request, response)
            else:
                await stream(self, request, response)
        except asyncio.CancelledError:
            self._given_up()
            raise
        finally:
            self._done()

    async def _stream(self, request: Request, response: Response) -> None:
        try:
            await stream(self, request, response)
        except asyncio.CancelledError:
            self._given_up()
            raise
        finally:
            self._done()

    def _given_up(self) -> None:
        # Cancelled by a stop that could wait no longer, or by the handler itself.
        if self.state is not _LOST:
            self.transport.abort()

    def _done(self) -> None:
        self.task = None
        if self.state is _LOST:
            self.worker.forget(self)
        elif self.state is _BUSY and not self.writes_wait:
            self.state = _IDLE
            if not self._inside:
                self._proceed()

    def _next_turn(self) -> None:
        if self.state is _BUSY and not self.writes_wait:
            self.state = _IDLE
            self._proceed()

    def _proceed(self) -> None:
        """Go on with what has arrived in the meantime."""
        self._resume()
        data, self._buffer = self._buffer, b""
        if data:
            self._advance(data)
        elif self._eof:
            self.leave()
        else:
            self.deadline = self.worker.now + self.worker.idle_seconds

    # heads

    def _read_head(self, block: bytes, size: int) -> Head:
        limits = self.worker.limits
        if size > limits.header_bytes:
            raise Refusal(431, f"headers of more than {limits.header_bytes} bytes")
        head = read_head(block[2:-2], count_limit=limits.header_count)
        self._head = head
        self._block = block if len(block) <= _KEPT_BLOCK_BYTES else _NEVER_A_BLOCK
        self._client, self._scheme = self.worker.proxies.resolve(
            self._peer, self.worker.scheme, head.headers
        )
        return head

    def _keep_head(self, rest: bytes) -> bytes:
        """Wait for the rest of a head."""
        self._check_partial(rest, rest)
        self.state = _HEAD
        self.deadline = self.worker.now + self.worker.header_seconds
        return rest

    def _grow_head(self, data: bytes) -> None:
        before, self._buffer = self._buffer, self._buffer + data
        try:
            self._check_partial(self._buffer, before[-1:] + data)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        # Only a line end can complete a head, so that a byte at a time costs no parsing.
        if b"\n" in data:
            deadline = self.deadline
            data, self._buffer = self._buffer, b""
            self.state = _IDLE
            self._advance(data)
            if self.state is _HEAD:
                self.deadline = deadline

    def _check_partial(self, rest: bytes, fresh: bytes) -> None:
        limits = self.worker.limits
        if len(rest) > limits.request_line_bytes and b"\r\n" not in rest:
            raise Refusal(414, "the request line is too long")
        if len(rest) > limits.header_bytes:
            raise Refusal(431, f"headers of more than {limits.header_bytes} bytes")
        if broken_lines(fresh):
            raise Refusal(400, "the request has a control character or a broken line end")

    def _uncommon(self, target: Target, head: Head, data: bytes, after: int) -> tuple[Body, int]:
        """Body and end of a request that is not plain."""
        check_together(target, head)
        self.plain = False
        self.old = target.old
        self.keep = head.keep_alive if target.old else not head.close
        self.bodiless = target.method == "HEAD"
        self.expects = False
        if not head.length:
            return _EMPTY, after
        body, after = self._body(head, data, after)
        self.expects = head.expect and not target.old and body is self._arriving
        return body, after

    def _become_plain(self) -> None:
        self.plain = self.keep = True
        self.old = self.bodiless = self.expects = False

    # bodies

    def _body(self, head: Head, data: bytes, after: int) -> tuple[Body, int]:
        """The body, and where it ends in `data`."""
        limits = self.worker.limits
        length = head.length
        if length != CHUNKED:
            end = after + length
            if end <= len(data):
                return WholeBody(data[after:end]), end
            parts = [data[after:]]
            self._left = end - len(data)
        else:
            self._chunks = Chunks(
                trailer_bytes=limits.trailer_bytes,
                trailer_count=limits.header_count,
                extension_bytes=limits.chunk_extension_bytes,
            )
            parts, rest = self._chunks.feed(data[after:])
            if rest is not None:
                return WholeBody(b"".join(parts)), len(data) - len(rest)
        self.plain = False
        body = self._arriving = ArrivingBody(
            declared_bytes=None if length == CHUNKED else length,
            limit_bytes=limits.held_bytes,
            wanted=self._body_wanted,
            pause=self._body_pauses,
            resume=self._body_resumes,
        )
        self.state = _BODY
        self._clock_body()
        body.feed(parts)
        return body, len(data)

    def _take_body(self, data: bytes) -> None:
        body = cast("ArrivingBody", self._arriving)
        rest: bytes | None
        if body.declared_bytes is not None:
            part = data[: self._left]
            rest = data[self._left :]
            self._left -= len(part)
            body.feed([part])
            if self._left:
                return
        else:
            try:
                parts, rest = cast("Chunks", self._chunks).feed(data)
            except Refusal as refusal:
                self._body_broken(refusal)
                return
            body.feed(parts)
            if rest is None:
                return
        body.end()
        self._body_complete(rest)

    def _body_complete(self, rest: bytes) -> None:
        self._arriving = self._chunks = None
        self._buffer = rest
        self.state = _BUSY
        if not self.writes_wait:
            self.deadline = inf
        if self.task is None and not self.writes_wait:
            # The answer is out already; this was only being dropped.
            self.state = _IDLE
            self._proceed()

    def body_can_be_dropped(self) -> bool:
        """Whether the connection can go on after what the handler has not read."""
        body = self._arriving
        if body is None:
            return True
        if body.error is not None or self.expects or body.declared_bytes is None:
            return False
        return self._left <= self.worker.limits.held_bytes

    def drop_body(self) -> None:
        """Read what is left of the body, and forget it."""
        if self._arriving is not None:
            self._arriving.drop()

    def _body_broken(self, refusal: Refusal) -> None:
        """Tell the handler, whose answer is the last one here; or the client, if it has one."""
        body = cast("ArrivingBody", self._arriving)
        body.fail(BodyLost(refusal.status, refusal.detail, code=BodyLost.code))
        self.keep = False
        self._pause()
        self.deadline = inf
        if self.task is None:
            self.leave()

    def _body_wanted(self) -> None:
        if self.expects and self.state is _BODY:
            self.expects = False
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._clock_body()

    def _body_pauses(self) -> None:
        self._pause()
        if not self.writes_wait:
            self.deadline = inf

    def _body_resumes(self) -> None:
        self._resume()
        if self.state is _BODY:
            self._clock_body()

    def _clock_body(self) -> None:
        """Measure the client's speed from now on."""
        body = cast("ArrivingBody", self._arriving)
        self._since = self.worker.now
        body.received = 0
        self.deadline = self._since + self.worker.limits.body_grace.total_seconds()

    # ends

    def refuse(self, refusal: Refusal) -> None:
        """Answer that this is no acceptable request, and end the connection."""
        telemetry.emit(
            "serve.refused", status=refusal.status, detail=refusal.detail, peer=self._peer
        )
        self.write(refusal_bytes(refusal))
        self.leave()

    def leave(self) -> None:
        """End the connection when the client has received what was written.

        Closing at once would reset the connection if anything of the client's is unread, and
        a reset destroys the answer on its way (RFC 9112, section 9.6).
        """
        if self.state is _LOST:
            return
        self.state = _LEAVING
        self._buffer = b""
        self._left = _LINGER_BYTES
        self.deadline = self.worker.now + _LINGER_SECONDS
        if self._eof or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self._resume()

    def abandon(self) -> None:
        """Serve nothing more here; whoever calls this ends the connection."""
        if self.state is not _LOST:
            self.state = _LEAVING
            self._buffer = b""

    def expire(self, now: float) -> None:
        """The deadline has passed: end what takes too long."""
        if self.writes_wait and self.state is not _LEAVING:
            self._expire_write(now)
        elif self.state is _BODY:
            self._expire_body(now)
        elif self.state is _HEAD:
            self.refuse(Refusal(408, "the headers took too long"))
        elif self.state is _IDLE:
            self.transport.close()
        else:
            self.transport.abort()

    def _expire_write(self, now: float) -> None:
        limits = self.worker.limits
        span = limits.write_stall.total_seconds()
        pending = self.transport.get_write_buffer_size()
        if self._stuck - pending < limits.body_rate_bytes * span:
            telemetry.emit("serve.stalled", pending_bytes=pending, peer=self._peer)
            self.transport.abort()
            return
        self._stuck = pending
        self.deadline = now + span

    def _expire_body(self, now: float) -> None:
        limits = self.worker.limits
        body = cast("ArrivingBody", self._arriving)
        earned = self._since + limits.body_grace.total_seconds()
        earned += body.received / limits.body_rate_bytes
        if earned > now:
            self.deadline = earned
        elif self.expects:
            self.deadline = inf
        else:
            self._body_broken(Refusal(408, "the body took too long"))

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    @property
    def lost(self) -> bool:
        """The client is gone."""
        return self.state is _LOST

    @property
    def idle(self) -> bool:
        """Nothing has begun here."""
        return self.state is _IDLE

    @property
    def idle_since(self) -> float:
        """The loop's time since when nothing has happened, if the connection is idle."""
        worker = self.worker
        return self.deadline - (worker.idle_seconds if self.used else worker.header_seconds)

    def end_stream(self) -> None:
        """Bring the stream that runs here to a clean end, if it is an endless one."""
        if self.endless and not self.ending and self.task is not None:
            self.ending = True
            self.task.cancel()

    async def writable(self) -> None:
        """Wait until the client has taken most of what was written."""
        while self.writes_wait:
            self._drained = self.worker.loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
