"""One connection: requests in, answers out, one at a time and in order.

The fast path is `_answer_all`: a request that is all there and whose route never waits is
read, answered and written in one call, without a task, a queue or a timer.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast

from mainspring import telemetry
from mainspring.http._body import WholeBody
from mainspring.http._request import Request, arrived
from mainspring.serve._body import chunks_of
from mainspring.serve._flow import Flow
from mainspring.serve._grammar import CHUNKED, Head, Target, check_together
from mainspring.serve._partial import grow_head, keep_head
from mainspring.serve._refusal import Refusal, refusal_bytes
from mainspring.serve._reply import respond
from mainspring.serve._state import BODY, BUSY, HEAD, IDLE, LEAVING, LOST, SOCKET
from mainspring.serve._upload import Upload
from mainspring.serve._waiting import serve, serve_stream

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mainspring.http._body import Body
    from mainspring.http._response import Response
    from mainspring.serve._socket import Socket
    from mainspring.serve._state import State
    from mainspring.serve._worker import Worker


_NEVER_A_BLOCK: Final = b"\0"
_KEPT_BLOCK_BYTES: Final = 2048
_EMPTY: Final = WholeBody()
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
        buffer: what arrived and has its turn later.
        eof: nothing more will arrive.
        deadline: by the worker's `now`, when it expires.
        task: runs the handler, unless the route never waits.
        upload: the body of the current request, if the rest of it is still to come.
        socket: the web socket that this became, or is about to become.
        peer: address and port of whoever is at the other end.
        plain: the current request is an ordinary one of HTTP/1.1, and so is its answer.
        old: the current request is of HTTP/1.0.
        keep: another request may follow the current one.
        bodiless: the current request is a HEAD.
        expects: its client waits for `100 Continue`.
        flow: how fast bytes come and go.
        known_head: the rendered head of the answers that `knows` recognizes.
        endless: the answer that is being written is an event stream.
        ending: it shall come to a clean end.
    """

    __slots__ = (
        "_block", "_client", "_head", "_inside", "_known_headers", "_known_status", "_linger_left",
        "_scheme", "_used", "bodiless", "buffer", "deadline", "ending", "endless", "eof", "expects",
        "flow", "keep", "known_head", "old", "peer", "plain", "socket", "state", "task",
        "transport", "upload", "worker", "write",
    )  # fmt: skip

    flow: Flow
    transport: asyncio.Transport
    _head: Head

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.state: State = IDLE
        self.deadline = inf
        self.task: asyncio.Task[None] | None = None
        self.plain = self.keep = True
        self.old = self.bodiless = self.expects = False
        self.ending = self.endless = False
        self._used = self._inside = self.eof = False
        self.buffer = b""
        self._block = _NEVER_A_BLOCK
        self.upload: Upload | None = None
        self.socket: Socket | None = None
        self._linger_left = 0
        self.peer: tuple[str, int] | None = None
        self._known_headers: object = None
        self._known_status = 0
        self.known_head = b""

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        self.flow = Flow(self.transport, self.worker.loop)
        peer = transport.get_extra_info("peername")
        self.peer = (peer[0], peer[1]) if isinstance(peer, tuple) else None
        self.deadline = self.worker.now + self.worker.header_seconds
        self.worker.connections.add(self)

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state is IDLE:
            self.advance(data)
        elif state is BODY:
            cast("Upload", self.upload).take(data)
        elif state is HEAD:
            grow_head(self, data)
        elif state is BUSY:
            self.buffer += data
            if len(self.buffer) > self.worker.limits.held_bytes:
                self.flow.pause_reading()
        elif self.socket is not None:
            self.socket.data_received(data)
        elif state is LEAVING:
            self._linger_left -= len(data)
            if self._linger_left < 0:
                self.transport.abort()

    def eof_received(self) -> bool | None:
        """Whether to keep our side open after the client has closed its own."""
        if self.state is not BUSY:
            return None
        half_close = self.worker.limits.half_close.total_seconds()
        if self.task is not None and not half_close:
            return None
        self.eof = True
        if self.task is not None:
            self.deadline = self.worker.now + half_close
        return self.worker.scheme == "http"

    def pause_writing(self) -> None:
        self.flow.pause_writing()
        if self.state is IDLE:
            self.state = BUSY
        if self.state is not LEAVING:
            self.deadline = self.worker.now + self.worker.limits.write_stall.total_seconds()

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        if self.state is BUSY or self.state is BODY:
            self.deadline = inf
        if self.socket is not None:
            self.socket.resume_writing()
        elif self.state is BUSY and self.task is None:
            self.state = IDLE
            self.proceed()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.state = LOST
        self.deadline = inf
        self.buffer = b""
        self.flow.resume_writing()
        if self.upload is not None:
            self.upload.client_left()
        if self.socket is not None:
            self.socket.connection_lost()
        elif self.task is not None:
            # The last of it is `_done`, which lets go of this connection.
            self.task.cancel()
        if self.task is None:
            self.worker.forget(self)

    # requests

    def advance(self, data: bytes) -> None:
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
                    keep_head(self, data[at:])
                    return
                target = worker.read_target(data[at:line_end])
            # The headers of one client rarely change from one request to the next.
            if data.startswith(self._block, line_end):
                head = self._head
                after = line_end + len(self._block)
            else:
                after = data.find(b"\r\n\r\n", line_end) + 4
                if after < 4:
                    keep_head(self, data[at:])
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
            elif (
                core.route(request).in_place
                and self.state is IDLE
                and (response := core.answer_now(request)) is not None
            ):
                content = response.body
                if (
                    response.headers is self._known_headers
                    and response.status == self._known_status
                    and type(content) is bytes
                    and self.plain
                ):
                    self.write(
                        b"%b%b%d\r\n\r\n%b" % (self.known_head, worker.dated, len(content), content)
                    )
                elif type(content) is bytes:
                    respond(self, request, response)
                else:
                    self._start(serve_stream(self, request, response))
            else:
                self._start(serve(self, request))
            if self.state is not IDLE:
                self.buffer = data[at:]
                return
            if at == size:
                self.deadline = worker.idle_at
                return
            turn -= 1
        # Others get their turn; until then nothing more is read here.
        self.state = BUSY
        self.buffer = data[at:]
        self.flow.pause_reading()
        worker.loop.call_soon(self._next_turn)

    def know(self, response: Response, head: bytes) -> None:
        """Keep the rendered head of an answer: the next one here is likely to be its like."""
        self._known_headers = response.headers
        self._known_status = response.status
        self.known_head = head

    def knows(self, response: Response) -> bool:
        """Whether `known_head` is the head of this answer."""
        return response.headers is self._known_headers and response.status == self._known_status

    def know_nothing(self) -> None:
        """No answer is ordinary any more."""
        self._known_headers = None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if self.state is IDLE:
            self.state = BUSY
            self.deadline = inf
        self._inside = True
        task = _Task(work, loop=self.worker.loop)
        self._inside = False
        if not task.done():
            self.task = task

    def done(self) -> None:
        """The current request is answered, or nobody waits for the answer any more."""
        self.task = None
        if self.state is LOST:
            self.worker.forget(self)
        elif self.state is BUSY and not self.flow.writes_wait:
            self.state = IDLE
            if self._inside:
                return
            if self.buffer or self.eof:
                self.proceed()
            else:
                self.deadline = self.worker.idle_at

    def _next_turn(self) -> None:
        if self.state is BUSY and not self.flow.writes_wait:
            self.state = IDLE
            self.proceed()

    def proceed(self) -> None:
        """Go on with what has arrived in the meantime."""
        self.flow.resume_reading()
        data, self.buffer = self.buffer, b""
        if data:
            self.advance(data)
        else:
            self.deadline = self.worker.idle_at
        if self.eof and self.state is IDLE:
            self.leave()

    # heads

    def _read_head(self, block: bytes, size: int) -> Head:
        worker = self.worker
        self._used = True
        head = self._head = worker.read_head(block, size)
        self._block = block if len(block) <= _KEPT_BLOCK_BYTES else _NEVER_A_BLOCK
        self._client, self._scheme = worker.proxies.resolve(self.peer, worker.scheme, head.headers)
        return head

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
        self.expects = head.expect and not target.old and self.state is BODY
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
        upload = self.upload = Upload(self, head.length)
        upload.body.take(data[after:])
        return upload.body, len(data)

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
        self.socket = socket
        self.state = SOCKET
        self.write(answer)
        self.flow.resume_reading()
        data, self.buffer = self.buffer, b""
        if data:
            socket.data_received(data)

    def socket_done(self) -> None:
        """The conversation is over."""
        self.done()
        if self.state is SOCKET:
            self.leave()

    # ends

    def refuse(self, refusal: Refusal) -> None:
        """Answer that this is no acceptable request, and end the connection."""
        telemetry.emit(
            "serve.refused", status=refusal.status, detail=refusal.detail, peer=self.peer
        )
        self.write(refusal_bytes(refusal))
        self.leave()

    def leave(self) -> None:
        """End the connection when the client has received what was written.

        Closing at once would reset the connection if anything of the client's is unread, and
        a reset destroys the answer on its way (RFC 9112, section 9.6).
        """
        if self.state is LOST:
            return
        self.state = LEAVING
        self.buffer = b""
        self._linger_left = _LINGER_BYTES
        self.deadline = self.worker.now + _LINGER_SECONDS
        if self.eof or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.flow.resume_reading()

    def abandon(self) -> None:
        """Serve nothing more here; whoever calls this ends the connection."""
        if self.state is not LOST:
            self.state = LEAVING
            self.buffer = b""

    def give_up(self) -> None:
        """End the connection and what runs on it, whatever it is."""
        self.transport.abort()
        if self.task is not None:
            self.task.cancel()

    def end_stream(self) -> None:
        """Bring an event stream or a web socket that runs here to a clean end."""
        if self.socket is not None:
            self.socket.go_away()
        elif self.endless and not self.ending and self.task is not None:
            self.ending = True
            self.task.cancel()

    @property
    def lost(self) -> bool:
        """The client is gone."""
        return self.state is LOST

    @property
    def waits_for_head(self) -> bool:
        """A request has begun whose head is not complete."""
        return self.state is HEAD

    @property
    def idle(self) -> bool:
        """Nothing has begun here."""
        return self.state is IDLE

    @property
    def idle_since(self) -> float:
        """Since when nothing has happened, by the worker's `now`, if the connection is idle."""
        worker = self.worker
        return self.deadline - (worker.idle_seconds if self._used else worker.header_seconds)
