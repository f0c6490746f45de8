"""The budget of the current unit of work: how long whoever waits is still willing to wait.

The budget is one instant on the monotonic clock, held in a context variable, so that SQL,
cache, lock waits and outgoing calls all end by the same time without passing it around.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Token
    from datetime import timedelta

_expires: ContextVar[float | None] = ContextVar("mainspring_deadline", default=None)


class DeadlineExceeded(MainspringError):
    """The unit of work ran out of time; what it did was rolled back."""

    code = "deadline.exceeded"

    def __init__(self, what: str = "the deadline passed before the work was done") -> None:
        super().__init__(what, fix="do less, or give the route a longer `deadline=`")


def remaining() -> float | None:
    """Seconds left, never negative; None when the current work has no deadline."""
    expires = _expires.get()
    return None if expires is None else max(0.0, expires - time.monotonic())


def start(seconds: float) -> Token[float | None]:
    """Open a budget of so many seconds, never beyond one that is already running."""
    expires = time.monotonic() + seconds
    outer = _expires.get()
    return _expires.set(expires if outer is None else min(outer, expires))


def end(token: Token[float | None]) -> None:
    """Go back to the budget that `start` found."""
    _expires.reset(token)


def lift() -> None:
    """Forget the budget in this context: for what goes on after the work that had it."""
    _expires.set(None)


@contextmanager
def within(span: timedelta) -> Iterator[None]:
    """Narrow the budget for a block; a block can never widen it.

    This only tells; it does not interrupt. What waits asks `remaining()`.
    """
    token = start(span.total_seconds())
    try:
        yield
    finally:
        end(token)


def check() -> None:
    """Raise `DeadlineExceeded` if nothing is left."""
    if remaining() == 0.0:
        raise DeadlineExceeded
