"""When a unit of work that failed may be done again, and how long to wait before."""

from __future__ import annotations

import asyncio
import random
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

from mainspring import deadline, telemetry
from mainspring.data._errors import Contended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainspring.data._database import Database
    from mainspring.data._unit import Session, UnitOfWork

T = TypeVar("T")

ATTEMPTS: Final = 3
# Seconds, doubled with each attempt: as long as a unit takes, so that the other one is over.
_PAUSE: Final = 0.010


class Retry(Enum):
    """Why a unit that was rolled back may succeed when it is done again."""

    CONFLICT = "serialization conflict"
    DEADLOCK = "deadlock"
    OUTDATED = "outdated snapshot"
    STALE = "stale prepared statement"

    @property
    def meets_others(self) -> bool:
        """Whether the same units would meet again if they began at the same time."""
        return self in {Retry.CONFLICT, Retry.DEADLOCK}


def pause_before(
    attempt: int, *, of: int, reason: Retry, jitter: float, left: float | None
) -> float | None:
    """Seconds to wait before an attempt; None if there should be none.

    Args:
        attempt: its number; the first one was 1.
        of: how many there may be.
        reason: what ended the attempt before it.
        jitter: from 0 to 1, so that those who met do not meet again.
        left: seconds until the deadline; None without one.
    """
    if attempt > of:
        return None
    pause = _PAUSE * 2 ** (attempt - 2) * (0.5 + jitter) if reason.meets_others else 0.0
    return pause if left is None or pause < left else None


async def another(
    database: Database, unit: UnitOfWork, error: Exception, *, attempt: int, of: int
) -> UnitOfWork | None:
    """A new unit in which to do again what failed, after a pause.

    Args:
        database: where the unit worked.
        unit: what was rolled back.
        error: what ended it.
        attempt: how often it has been tried.
        of: how often it may be tried.

    Returns:
        None if the error would come again, or if a part of the unit is committed.

    Raises:
        Contended: it has been tried often enough.
    """
    reason = database.retry(error)
    if reason is None or unit.kept:
        return None
    pause = pause_before(
        attempt + 1,
        of=of,
        reason=reason,
        jitter=random.random(),  # noqa: S311  # no secret
        left=deadline.remaining(),
    )
    telemetry.emit(
        "data.retry", reason=reason.value, attempt=attempt, error=error, again=pause is not None
    )
    if pause is None:
        raise Contended(
            f"the unit of work failed {attempt} times, the last time with a {reason.value}",
            fix="do it again later, and let units change rows in the same order",
        ) from error
    if pause:
        await asyncio.sleep(pause)
    # What has read too early to write takes its turn to write first.
    return database.unit(write=unit.write or reason is Retry.OUTDATED)


async def retrying(
    database: Database, work: Callable[[Session], Awaitable[T]], *, write: bool, attempts: int
) -> T:
    """What `work` returns, committed; see `Database.retrying`."""
    unit = database.unit(write=write)
    attempt = 0
    while True:
        attempt += 1
        try:
            async with unit as session:
                return await work(session)
        except Exception as exc:
            following = await another(database, unit, exc, attempt=attempt, of=attempts)
            if following is None:
                raise
            unit = following
