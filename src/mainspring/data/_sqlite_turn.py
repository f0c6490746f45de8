"""Giving the event loop a turn although no statement ever waits.

A coroutine that runs many statements in place never suspends by itself, and everything else
in the process would wait for its last one.
"""

from __future__ import annotations

import asyncio
import time

_LONG = 0.005


class Turn:
    """How long the present turn of the event loop has lasted since its first statement.

    Attributes:
        statement_began: when the latest statement began, on the monotonic clock.
    """

    __slots__ = ("_began", "statement_began")

    def __init__(self) -> None:
        self._began = 0.0
        self.statement_began = 0.0

    def is_long(self) -> bool:
        """Whether the next statement should let the others run first."""
        self.statement_began = now = time.monotonic()
        if not self._began:
            self._began = now
            asyncio.get_running_loop().call_soon(self._end)
            return False
        return now - self._began > _LONG

    def _end(self) -> None:
        self._began = 0.0
