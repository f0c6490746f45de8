"""One connection: requests in, answers out, one at a time and in order.

The fast path is `_answer_all`: a request that is all there and whose route never waits is
read, answered and written in one call, without a task, a queue or a timer.
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
from mainspring.http._request import Request, arrived
from mainspring.serve._body import ArrivingBody, BodyLost, chunks_of
from mainspring.serve._flow import Flow
from mainspring.serve._grammar import CHUNKED, Head, Target, check_partial, check_together
from mainspring.serve._refusal import Refusal, refusal_bytes
from mainspring.serve._reply import respond, stream

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mainspring.http._body import Body
    from mainspring.http._response import Response
    from mainspring.serve._socket import Socket
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
    SOCKET = 4
    """They are a web socket's."""
    LEAVING = 5
    """Nobody reads them; the connection ends when the client has seen why."""
    LOST = 6


# A name of the module costs half of what an attribute of an enumeration does.
_IDLE, _HEAD, _BODY, _BUSY, _SOCKET, _LEAVING, _LOST = State
_NEVER_A_BLOCK: Final = b"\0"
_KEPT_BLOCK_BYTES: Final = 2048
_EMPTY: Final = WholeBody()
_PLAIN: Final = b"%b%b%d\r\n\r\n%b"
_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 1024 * 1024

# A task that runs at once until it first waits (3.12) saves a turn of the loop.
_Task: Any = (
    partial(asyncio.Task, eager_start=True)  # type: ignore[call-arg]  # known since 3.12
    if sys.version_info >= (3, 12)
    else asyncio.Task
)


class Connection(asyncio.Protocol):
    """What the event loop calls when something happens on a socket.

    Attributes:
        state: what becomes of arriving bytes.
        deadline: by the worker's `now`, when `expire` is due.
        task: runs the handler, unless the route never waits.
        plain: the current request is an ordinary one of HTTP/1.1, and so is its answer.
        old: the current request is of HTTP/1.0.
        keep: another request may follow the current one.
        bodiless: the current request is a HEAD.
        expects: its client waits for `100 Continue`.
        flow: how fast bytes come and go.
        endless: the answer that is being written is an event stream.
        ending: it shall come to a clean end.
    """

    __slots__ = (
        "_arriving", "_block", "_buffer", "_client", "_eof", "_head", "_inside", "_known",
        "_known_headers", "_known_status", "_linger_left", "_peer", "_scheme", "_socket", "_used",
        "bodiless", "deadline", "ending", "endless", "expects", "flow", "keep", "old", "plain",
        "state", "task", "transport", "worker", "write",
    )  # fmt: skip

    flow: Flow
    transport: asyncio.Transport
    _head: Head

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.state = _IDLE
        self.deadline = inf
        self.task: asyncio.Task[None] | None = None
        self.plain = self.keep = True
        self.old = self.bodiless = self.expects = False
        self.ending = self.endless = False
        self._used = self._inside = self._eof = False
        self._buffer = b""
        self._block = _NEVER_A_BLOCK
        self._arriving: ArrivingBody | None = None
        self._socket: Socket | None = None
        self._linger_left = 0
        self._peer: tuple[str, int] | None = None
        self._known_headers: object = None
        self._known_status = 0
        self._known = b""

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        self.flow = Flow(self.transport, self.worker.loop)
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
                self.flow.pause_reading()
        elif self._socket is not None:
            self._socket.data_received(data)
        elif state is _LEAVING:
            self._linger_left -= len(data)
            if self._linger_left < 0:
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
        self.flow.pause_writing()
        if self.state is _IDLE:
            self.state = _BUSY
        if self.state is not _LEAVING:
            self.deadline = self.worker.now + self.worker.limits.write_stall.total_seconds()

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        if self.state is _BUSY or self.state is _BODY:
            self.deadline = inf
        if self._socket is not None:
            self._socket.resume_writing()
        elif self.state is _BUSY and self.task is None:
            self.state = _IDLE
            self._proceed()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.state = _LOST
        self.deadline = inf
        self._buffer = b""
        self.flow.resume_writing()
        if self._arriving is not None:
            self._arriving.fail(BodyLost(400, "the client went away"))
        if self._socket is not None:
            self._socket.connection_lost()
        elif self.task is not None:
            # The last of it is `_done`, which lets go of this connection.
            self.task.cancel()
        if self.task is None:
            self.worker.forget(self)

    # requests

    def _advance(self, data: bytes) -> None:
        """Answer the requests in `data`, until one of them has to wait for something."""
        try:
            self._answer_all(data)
        except Refusal as refusal:
            self.refuse(refusal)

    def _answer_all(self, data: bytes) -> None:  # noqa: C901, PLR0912, PLR0915  # the hot loop, in one piece
        worker = self.worker
        core = worker.core
        at, size, turn = 0, len(data), worker.limits.turn
        while turn:
            line_end = data.find(b"\r\n", at)
            target = worker.targets.get(data[at:line_end])
            if target is None:
                if line_end == at:  # an empty line before a request (RFC 9112, section 2.2)
                    at += 2
                    line_end = data.find(b"\r\n", at)
                if line_end < 0:
                    self._keep_head(data[at:])
                    return
                target = worker.read_target(data[at:line_end])
            # The headers of one client rarely change from one request to the next.
            if data.startswith(self._block, line_end):
                head = self._head
                after = line_end + len(self._block)
            else:
                after = data.find(b"\r\n\r\n", line_end) + 4
                if after < 4:
                    self._keep_head(data[at:])
                    return
                head = self._read_head(data[line_end:after], after - at)
            body: Body = _EMPTY
            plain = target.plain and head.plain
            if plain:
                if not self.plain:
                    self._become_plain()
                if head.length:
                    body, after = self._body(head, data, after)
            else:
                body, after = self._uncommon(target, head, data, after)
            request = arrived(
                target.method,
                target.path,
                target.raw_path,
                target.query,
                head.headers,
                body,
                self._client,
                self._scheme,
                "1.0" if target.old else "1.1",
            )
            at = after
            if not plain and head.upgrade and self._upgrades(request):
                pass
            elif core.route(request).in_place and self.state is _IDLE:
                response = core.answer_now(request)
                content = response.body
                if (
                    response.headers is self._known_headers
                    and response.status == self._known_status
                    and type(content) is bytes
                    and self.plain
                ):
                    self.write(
                        b"%b%b%d\r\n\r\n%b" % (self._known, worker.dated, len(content), content)
                    )
                elif type(content) is bytes:
                    respond(self, request, response)
                else:
                    self._start(self._stream(request, response))
            else:
                self._start(self._serve(request))
            if self.state is not _IDLE:
                self._buffer = data[at:]
                return
            if at == size:
                self.deadline = worker.idle_at
                return
            turn -= 1
        # Others get their turn; until then nothing more is read here.
        self.state = _BUSY
        self._buffer = data[at:]
        self.flow.pause_reading()
        worker.loop.call_soon(self._next_turn)

    def know(self, response: Response, head: bytes) -> None:
        """Keep the rendered head of an answer: the next one here is likely to be its like."""
        self._known_headers = response.headers
        self._known_status = response.status
        self._known = head

    def _is_known(self, response: Response) -> bool:
        return response.headers is self._known_headers and response.status == self._known_status

    def know_nothing(self) -> None:
        """No answer is ordinary any more."""
        self._known_headers = None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if self.state is _IDLE:
            self.state = _BUSY
            self.deadline = inf
        self._inside = True
        task = _Task(work, loop=self.worker.loop)
        self._inside = False
        if not task.done():
            self.task = task

    async def _serve(self, request: Request) -> None:
        """Everything about a request that waits."""
        try:
            response = await self.worker.core.answer(request)
            content = response.body
            if type(content) is not bytes:
                await stream(self, request, response)
            elif self.state is _BUSY and self.plain and self._is_known(response):
                self.write(_PLAIN % (self._known, self.worker.dated, len(content), content))
            elif self.state is not _LOST:
                respond(self, request, response)
        except asyncio.CancelledError:
            self._given_up()
            raise
        finally:
            self._done()

    async def _stream(self, request: Request, response: Response) -> None:
        """The answer of a route that never waits, but streams."""
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
        elif self.state is _BUSY and not self.flow.writes_wait:
            self.state = _IDLE
            if self._inside:
                return
            if self._buffer or self._eof:
                self._proceed()
            else:
                self.deadline = self.worker.idle_at

    def _next_turn(self) -> None:
        if self.state is _BUSY and not self.flow.writes_wait:
            self.state = _IDLE
            self._proceed()

    def _proceed(self) -> None:
        """Go on with what has arrived in the meantime."""
        self.flow.resume_reading()
        data, self._buffer = self._buffer, b""
        if data:
            self._advance(data)
        else:
            self.deadline = self.worker.idle_at
        if self._eof and self.state is _IDLE:
            self.leave()

    # heads

    def _read_head(self, block: bytes, size: int) -> Head:
        worker = self.worker
        self._used = True
        head = self._head = worker.read_head(block, size)
        self._block = block if len(block) <= _KEPT_BLOCK_BYTES else _NEVER_A_BLOCK
        self._client, self._scheme = worker.proxies.resolve(self._peer, worker.scheme, head.headers)
        return head

    def _keep_head(self, rest: bytes) -> None:
        """Wait for the rest of a head."""
        self._check_partial(rest, rest)
        self._buffer = rest
        if rest:
            self.state = _HEAD
            self.deadline = self.worker.now + self.worker.header_seconds

    def _grow_head(self, data: bytes) -> None:
        before, deadline = self._buffer, self.deadline
        self._buffer = whole = before + data
        try:
            # Only a line end can complete a head, so that a byte at a time costs no parsing.
            if b"\n" not in data or whole.find(b"\r\n\r\n", max(len(before) - 3, 0)) < 0:
                self._check_partial(whole, b"\r" + data if before.endswith(b"\r") else data)
                return
        except Refusal as refusal:
            self.refuse(refusal)
            return
        self._buffer = b""
        self.state = _IDLE
        self._advance(whole)
        if self.state is _HEAD:
            self.deadline = deadline

    def _check_partial(self, rest: bytes, fresh: bytes) -> None:
        limits = self.worker.limits
        check_partial(
            rest, fresh, line_bytes=limits.request_line_bytes, head_bytes=limits.header_bytes
        )

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
        if head.length != CHUNKED:
            end = after + head.length
            if end <= len(data):
                return WholeBody(data[after:end]), end
        else:
            parts, rest = chunks_of(limits).feed(data[after:])
            if rest is not None:
                return WholeBody(b"".join(parts)), len(data) - len(rest)
        self.plain = False
        body = self._arriving = ArrivingBody(
            head.length,
            limits,
            wanted=self._body_wanted,
            pause=self._body_pauses,
            resume=self._body_resumes,
        )
        self.state = _BODY
        self.deadline = body.clock(self.worker.now)
        body.take(data[after:])
        return body, len(data)

    def _take_body(self, data: bytes) -> None:
        body = cast("ArrivingBody", self._arriving)
        try:
            rest = body.take(data)
        except Refusal as refusal:
            self._lose_body(refusal)
            return
        if rest is None:
            return
        self._arriving = None
        self._buffer = rest
        self.state = _BUSY
        if not self.flow.writes_wait:
            self.deadline = inf
            if self.task is None:
                # The answer is out already; this was only being dropped.
                self.state = _IDLE
                self._proceed()

    def _lose_body(self, refusal: Refusal) -> None:
        """Tell the handler, whose answer is the last one here; or leave, if that is out."""
        body = cast("ArrivingBody", self._arriving)
        body.fail(BodyLost(refusal.status, refusal.detail))
        self.flow.pause_reading()
        self.deadline = inf
        if self.task is None:
            self.leave()

    def body_can_be_dropped(self) -> bool:
        """Whether the connection can go on after what the handler has not read."""
        body = self._arriving
        if body is None:
            return True
        if body.lost or self.expects or body.declared_bytes is None:
            return False
        return body.left <= self.worker.limits.held_bytes

    def drop_body(self) -> None:
        """Read what is left of the body, and forget it."""
        if self._arriving is not None:
            self._arriving.drop()

    def _body_wanted(self) -> None:
        if self.expects and self.state is _BODY:
            self.expects = False
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._body_resumes()

    def _body_pauses(self) -> None:
        self.flow.pause_reading()
        if not self.flow.writes_wait:
            self.deadline = inf

    def _body_resumes(self) -> None:
        self.flow.resume_reading()
        if self.state is _BODY and not self.flow.writes_wait:
            self.deadline = cast("ArrivingBody", self._arriving).clock(self.worker.now)

    # web sockets

    def _upgrades(self, request: Request) -> bool:
        """Whether the request for a web socket is led as one; else it is a plain request."""
        opened = self.worker.open_socket
        if opened is None or request.method != "GET" or self.old or request.body is not _EMPTY:
            return False
        self._start(opened(self, request))
        return True

    def become_socket(self, socket: Socket, answer: bytes) -> None:
        """Switch protocols."""
        self._socket = socket
        self.state = _SOCKET
        self.write(answer)
        self.flow.resume_reading()
        data, self._buffer = self._buffer, b""
        if data:
            socket.data_received(data)

    def socket_done(self) -> None:
        """The conversation is over."""
        self._done()
        if self.state is _SOCKET:
            self.leave()

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
        self._linger_left = _LINGER_BYTES
        self.deadline = self.worker.now + _LINGER_SECONDS
        if self._eof or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.flow.resume_reading()

    def abandon(self) -> None:
        """Serve nothing more here; whoever calls this ends the connection."""
        if self.state is not _LOST:
            self.state = _LEAVING
            self._buffer = b""

    def give_up(self) -> None:
        """End the connection and what runs on it, whatever it is."""
        self.transport.abort()
        if self.task is not None:
            self.task.cancel()

    def expire(self, now: float) -> None:
        """The deadline has passed: end what takes too long."""
        if self.flow.writes_wait and self.state is not _LEAVING:
            self._expire_write(now)
        elif self.state is _BODY:
            self._expire_body(now)
        elif self._socket is not None and self.state is _SOCKET:
            self._socket.expire(now)
        elif self.state is _HEAD:
            self.refuse(Refusal(408, "the headers took too long"))
        elif self.state is _IDLE:
            self.transport.close()
        else:
            self.transport.abort()

    def _expire_write(self, now: float) -> None:
        limits = self.worker.limits
        span = limits.write_stall.total_seconds()
        if self.flow.taken_bytes() >= limits.body_rate_bytes * span:
            self.deadline = now + span
        else:
            telemetry.emit("serve.stalled", peer=self._peer)
            self.transport.abort()

    def _expire_body(self, now: float) -> None:
        due = cast("ArrivingBody", self._arriving).due()
        if due > now:
            self.deadline = due
        elif self.expects:
            self.deadline = inf
        else:
            self._lose_body(Refusal(408, "the body took too long"))

    def end_stream(self) -> None:
        """Bring an event stream or a web socket that runs here to a clean end."""
        if self._socket is not None:
            self._socket.go_away()
        elif self.endless and not self.ending and self.task is not None:
            self.ending = True
            self.task.cancel()

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
        """Since when nothing has happened, by the worker's `now`, if the connection is idle."""
        worker = self.worker
        return self.deadline - (worker.idle_seconds if self._used else worker.header_seconds)
