"""The body of a request while it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.http._problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable


class BodyLost(Problem):
    """The rest of the body will not come: its sender went away, was too slow or broke the framing."""

    code = "serve.body-lost"


class ArrivingBody:
    """Satisfies `http.Body` with what a connection feeds it.

    Args:
        declared_bytes: the whole length if the client said it.
        limit_bytes: beyond this the sender is told to wait.
        wanted: called before the first wait, which is when `100 Continue` is due.
        pause: called when more is held than wanted.
        resume: called when there is room again.
    """

    __slots__ = (
        "_held", "_held_bytes", "_limit", "_pause", "_paused", "_resume", "_touched",
        "_waiting", "_wanted", "complete", "declared_bytes", "dropping", "error", "received",
    )  # fmt: skip

    def __init__(
        self,
        *,
        declared_bytes: int | None,
        limit_bytes: int,
        wanted: Callable[[], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self.declared_bytes = declared_bytes
        self.received = 0
        self.complete = False
        self.dropping = False
        self.error: Problem | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._limit = limit_bytes
        self._waiting: asyncio.Future[None] | None = None
        self._touched = False
        self._paused = False
        self._wanted = wanted
        self._pause = pause
        self._resume = resume

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
            if self.error is not None:
                raise self.error
            if self.complete:
                return b""
            self._wanted()
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held = []
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            self._resume()
        return data

    def feed(self, parts: list[bytes]) -> None:
        """Take what has arrived."""
        size = sum(map(len, parts))
        self.received += size
        if self.dropping or not size:
            return
        self._held += parts
        self._held_bytes += size
        if self._held_bytes > self._limit and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def end(self) -> None:
        """Say that all of it is here."""
        self.complete = True
        self._wake()

    def fail(self, error: Problem) -> None:
        """Say that the rest will not come; what has arrived can still be read."""
        if not self.complete and self.error is None:
            self.error = error
            self._wake()

    def drop(self) -> None:
        """Nobody will read it any more."""
        self.dropping = True
        self._held = []
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            self._resume()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
