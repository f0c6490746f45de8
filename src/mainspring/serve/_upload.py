"""What a connection does with a body that was not all there when its handler started."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from mainspring.serve._body import ArrivingBody, BodyLost
from mainspring.serve._refusal import Refusal
from mainspring.serve._state import BODY, BUSY, IDLE

if TYPE_CHECKING:
    from mainspring.serve._protocol import Connection


class Upload:
    """From the first piece of a body to its end, or to the end of its connection.

    Attributes:
        body: what the handler reads.
    """

    __slots__ = ("_connection", "body")

    def __init__(self, connection: Connection, length: int) -> None:
        self._connection = connection
        self.body = ArrivingBody(
            length,
            connection.worker.limits,
            wanted=self._wanted,
            pause=self._pauses,
            resume=self._resumes,
        )
        connection.state = BODY
        connection.deadline = self.body.clock(connection.worker.now)

    def take(self, data: bytes) -> None:
        """Take what has arrived."""
        connection = self._connection
        try:
            rest = self.body.take(data)
        except Refusal as refusal:
            self._lose(refusal)
            return
        if rest is None:
            return
        connection.upload = None
        connection.buffer = rest
        connection.state = BUSY
        if not connection.flow.writes_wait:
            connection.deadline = inf
            if connection.task is None:
                # The answer is out already; this was only being dropped.
                connection.state = IDLE
                connection.proceed()

    def can_be_dropped(self) -> bool:
        """Whether the connection can go on after what the handler has not read."""
        body = self.body
        if body.lost or self._connection.expects or body.declared_bytes is None:
            return False
        return body.left <= self._connection.worker.limits.held_bytes

    def client_left(self) -> None:
        """The rest will not come."""
        self.body.fail(BodyLost(400, "the client went away"))

    def expire(self, now: float) -> None:
        """The deadline has passed: end it, if the client has not earned more time."""
        due = self.body.due()
        if due > now:
            self._connection.deadline = due
        elif self._connection.expects:
            self._connection.deadline = inf
        else:
            self._lose(Refusal(408, "the body took too long"))

    def _lose(self, refusal: Refusal) -> None:
        """Tell the handler, whose answer is the last one here; or leave, if that is out."""
        connection = self._connection
        self.body.fail(BodyLost(refusal.status, refusal.detail))
        connection.flow.pause_reading()
        connection.deadline = inf
        if connection.task is None:
            connection.leave()

    def _wanted(self) -> None:
        connection = self._connection
        if connection.expects and connection.state is BODY:
            connection.expects = False
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._resumes()

    def _pauses(self) -> None:
        connection = self._connection
        connection.flow.pause_reading()
        if not connection.flow.writes_wait:
            connection.deadline = inf

    def _resumes(self) -> None:
        connection = self._connection
        connection.flow.resume_reading()
        if connection.state is BODY and not connection.flow.writes_wait:
            connection.deadline = self.body.clock(connection.worker.now)
