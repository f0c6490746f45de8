"""The body of a request while it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.http._problem import Problem
from mainspring.serve._chunked import Chunks
from mainspring.serve._grammar import CHUNKED

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.serve._limits import Limits


class BodyLost(Problem):
    """The rest of a body will not come: its sender left, was too slow or broke the framing."""

    code = "serve.body-lost"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail, code=self.code)


class ArrivingBody:
    """Satisfies `http.Body` with what a connection feeds it.

    Args:
        length: as the headers say it; `CHUNKED` if chunks will tell.
        wanted: called before the first wait, which is when `100 Continue` is due.
        pause: called when more is held than wanted.
        resume: called when there is room again.

    Attributes:
        declared_bytes: the whole length, if the client has said it.
        left: how much of that is still to come.
        complete: all of it is here.
        lost: the rest of it will not come.
    """

    __slots__ = (
        "_chunks", "_error", "_held", "_held_bytes", "_limits", "_pause", "_paused", "_received",
        "_resume", "_since", "_touched", "_waiting", "_wanted", "complete", "declared_bytes",
        "dropped", "left",
    )  # fmt: skip

    def __init__(
        self,
        length: int,
        limits: Limits,
        *,
        wanted: Callable[[], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._limits = limits
        self._chunks = chunks_of(limits) if length == CHUNKED else None
        self.declared_bytes = None if length == CHUNKED else length
        self.left = length
        self.complete = False
        self.dropped = False
        self._error: Problem | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._waiting: asyncio.Future[None] | None = None
        self._touched = False
        self._paused = False
        self._wanted = wanted
        self._pause = pause
        self._resume = resume
        self._since = 0.0
        self._received = 0

    @property
    def lost(self) -> bool:
        return self._error is not None

    # for the handler

    def ready(self) -> bytes | None:
        """Satisfy `Body`."""
        if not self.complete or self._touched:
            return None
        data = b"".join(self._held)
        self._held = [data]
        return data

    async def chunk(self) -> bytes:
        """Satisfy `Body`.

        Raises:
            BodyLost: the rest will not come.
        """
        self._touched = True
        while not self._held:
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            self._wanted()
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._release()
        return data

    # for the connection

    def take(self, data: bytes) -> bytes | None:
        """Take what has arrived.

        Returns:
            None while the body goes on, else what follows it.

        Raises:
            Refusal: the framing is broken.
        """
        if self._chunks is not None:
            parts, rest = self._chunks.feed(data)
        else:
            part = data[: self.left]
            self.left -= len(part)
            parts, rest = [part], None if self.left else data[len(part) :]
        self._add(parts)
        if rest is not None:
            self.complete = True
            self._wake()
        return rest

    def fail(self, error: Problem) -> None:
        """Say that the rest will not come; what has arrived can still be read."""
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    def drop(self) -> None:
        """Nobody will read it any more."""
        self.dropped = True
        self._release()

    def clock(self, now: float) -> float:
        """Measure the sender's speed from now on; returns when to look."""
        self._since = now
        self._received = 0
        return now + self._limits.body_grace.total_seconds()

    def due(self) -> float:
        """By when more must have come, at the slowest speed that is allowed."""
        earned = self._received / self._limits.body_rate_bytes
        return self._since + self._limits.body_grace.total_seconds() + earned

    def _add(self, parts: list[bytes]) -> None:
        size = sum(map(len, parts))
        self._received += size
        if self.dropped or not size:
            return
        self._held += parts
        self._held_bytes += size
        if self._held_bytes > self._limits.held_bytes and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def _release(self) -> None:
        self._held = []
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            self._resume()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def chunks_of(limits: Limits) -> Chunks:
    """A decoder for one chunked body."""
    return Chunks(
        trailer_bytes=limits.trailer_bytes,
        trailer_count=limits.header_count,
        extension_bytes=limits.chunk_extension_bytes,
    )
