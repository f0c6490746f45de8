"""What the data layer and its drivers raise, as answers; read only where there is a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.orm.exc import StaleDataError

from mainspring.data import (
    BadCursor,
    Contended,
    DatabaseUnavailable,
    IntegrityError,
    PoolExhausted,
    RowNotFound,
    WriterBusy,
)
from mainspring.http._problem import Conflict, Invalid, NotFound, Problem, Violation

if TYPE_CHECKING:
    from collections.abc import Callable

_DATA_EXCEPTION = "22"
"""SQLSTATE class of values that a column cannot hold (ISO/IEC 9075-2, table 38)."""


def _unavailable(error: Any) -> Problem:
    return Problem(503, "try again in a moment", code=error.code, headers={"retry-after": "1"})


def _from_driver(error: DBAPIError) -> Problem | None:
    state = str(getattr(error.orig, "sqlstate", "") or "")
    return _unstorable(error) if state.startswith(_DATA_EXCEPTION) else None


def _unstorable(_error: Any) -> Problem:
    return Invalid("a value cannot be stored: it is too long, too large, or has a NUL character")


def _bad_cursor(error: BadCursor) -> Problem:
    return Invalid([Violation(f"{error.what}; {error.fix}", parameter="cursor")])


TRANSLATIONS: dict[type[BaseException], Callable[[Any], Problem | None]] = {
    BadCursor: _bad_cursor,
    RowNotFound: lambda error: NotFound(error.what, code=error.code),
    IntegrityError: lambda _: Conflict("this conflicts with what is there already"),
    StaleDataError: lambda _: Conflict("somebody else has changed this meanwhile"),
    DataError: _unstorable,
    DBAPIError: _from_driver,
    PoolExhausted: _unavailable,
    DatabaseUnavailable: _unavailable,
    WriterBusy: _unavailable,
    Contended: _unavailable,
}
