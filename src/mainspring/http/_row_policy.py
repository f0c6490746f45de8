"""Who may see and change which rows: a policy that is a condition of the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.auth import Principal

    Condition = Callable[[Principal | None], Any]


def _every(_principal: Principal | None) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A policy for each row, decided by the database: for lists and single rows alike.

    Attributes:
        see: what a row must fulfil to exist for a principal, as a condition of columns; None
            stands for somebody unknown. What one may not see is a 404.
        change: what it must fulfil to be changed or deleted, before the change and after it.
            What one may see and not change is a 403.
    """

    see: Condition = _every
    change: Condition = _every
