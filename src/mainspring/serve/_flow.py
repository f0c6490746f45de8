"""How fast bytes go in and out of one connection."""

from __future__ import annotations

from array import array
from contextlib import suppress
from fcntl import ioctl
from termios import FIONREAD
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Flow:
    """Reading and writing that can be made to wait.

    Attributes:
        writes_wait: the client does not take what was written; see `writable`.
    """

    __slots__ = ("_loop", "_paused", "_pending_bytes", "_transport", "_waiters", "writes_wait")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._paused = False
        self._pending_bytes = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.writes_wait = False

    def pause_reading(self) -> None:
        """Read no more from the client."""
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def unread(self) -> bool:
        """Whether something of the client's waits in the kernel."""
        held = array("i", [0])
        with suppress(OSError):
            ioctl(self._transport.get_extra_info("socket").fileno(), FIONREAD, held)
        return held[0] > 0

    def pause_writing(self) -> None:
        """More was written than the client takes."""
        self.writes_wait = True
        self._pending_bytes = self._transport.get_write_buffer_size()

    def taken_bytes(self) -> int:
        """How much the client has taken since this was asked the last time."""
        pending = self._transport.get_write_buffer_size()
        taken, self._pending_bytes = self._pending_bytes - pending, pending
        return taken

    def resume_writing(self) -> None:
        """The client has taken most of it, or is gone."""
        self.writes_wait = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def writable(self) -> None:
        """Wait until the client has taken most of what was written, or is gone."""
        while self.writes_wait:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
