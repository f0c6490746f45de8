"""The errors that the DB-API (PEP 249) prescribes, and which of apsw's are which."""

from __future__ import annotations

from typing import NoReturn

import apsw


class Warning(Exception):  # noqa: A001  # PEP 249 prescribes the name
    """Never raised; the DB-API asks for the name."""


class Error(Exception):
    """The root of what the database reports."""


class InterfaceError(Error):
    """The driver was used in a way that it does not support."""


class DatabaseError(Error):
    """Anything that SQLite itself refused."""


class DataError(DatabaseError):
    """A value does not fit."""


class OperationalError(DatabaseError):
    """The statement could not run: no such table, disk full, interrupted."""


class IntegrityError(DatabaseError):
    """A constraint was violated."""


class InternalError(DatabaseError):
    """The file is damaged."""


class ProgrammingError(DatabaseError):
    """The connection or its parameters were used wrongly."""


class NotSupportedError(DatabaseError):
    """The DB-API names it and SQLite can do it not."""


_KINDS: tuple[tuple[type[BaseException], type[Error]], ...] = (
    (apsw.ConstraintError, IntegrityError),
    (apsw.MismatchError, DataError),
    (apsw.TooBigError, DataError),
    (apsw.CorruptError, InternalError),
    (apsw.NotADBError, InternalError),
    (apsw.BindingsError, ProgrammingError),
    (apsw.ConnectionClosedError, ProgrammingError),
    (apsw.CursorClosedError, ProgrammingError),
    (apsw.MisuseError, ProgrammingError),
    (apsw.Error, OperationalError),
    (OverflowError, DataError),
    (TypeError, InterfaceError),
)
FAILURES = (apsw.Error, OverflowError, TypeError)


def translate(exc: BaseException) -> NoReturn:
    """Raise the DB-API's error for one of `FAILURES`."""
    kind = next(ours for theirs, ours in _KINDS if isinstance(exc, theirs))
    raise kind(str(exc).removeprefix(f"{type(exc).__name__}: ")) from exc


def snapshot_is_history(exc: apsw.BusyError) -> bool:
    """Whether waiting is in vain: somebody wrote after this transaction had read."""
    return bool(getattr(exc, "extendedresult", 0) == apsw.SQLITE_BUSY_SNAPSHOT)
