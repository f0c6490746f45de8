"""What the data layer reports; errors of the database itself stay SQLAlchemy's."""

from __future__ import annotations

from mainspring.errors import ConfigError, MainspringError


class ModelError(ConfigError):
    """A model cannot work the same way on every database."""

    code = "data.model"


class DatabaseUrlError(ConfigError):
    """The database URL cannot be used as it is written."""

    code = "data.url"


class SqliteTooOld(ConfigError):
    """The SQLite in the process can lose commits when several connections use one file."""

    code = "data.sqlite-too-old"


class RowNotFound(MainspringError):
    """There is no row like the one that was asked for."""

    code = "data.row-not-found"


class DatabaseUnavailable(MainspringError):
    """No connection to the database could be opened."""

    code = "data.unavailable"


class PoolExhausted(MainspringError):
    """Every connection stayed in use for as long as the caller could wait."""

    code = "data.pool-exhausted"


class WriterBusy(MainspringError):
    """Another unit kept SQLite's one place to write for as long as the caller could wait."""

    code = "data.writer-busy"


class SnapshotOutdated(MainspringError):
    """A reading unit of SQLite tried to write after somebody else had written."""

    code = "data.snapshot-outdated"


class HotStatementError(ConfigError):
    """A hot statement and its struct, its parameters or its values do not fit."""

    code = "data.hot-statement"


class Contended(MainspringError):
    """A unit met others in the database each time that it was tried."""

    code = "data.contended"


class PageError(MainspringError):
    """A query cannot be read in pages."""

    code = "data.page"


class BadCursor(MainspringError):
    """A cursor was not given out for this list, or has been changed."""

    code = "data.bad-cursor"


class RelationNotLoaded(MainspringError):
    """A relation was read that is not loaded, where nothing can wait for the database."""

    code = "data.relation-not-loaded"


class RepeatedStatement(MainspringError):
    """One place sent the same statement again and again within one unit of work."""

    code = "data.repeated-statement"


class UnitEnded(MainspringError):
    """A session was used after its unit of work had ended."""

    code = "data.unit-ended"


class GiveUp(MainspringError):
    """What an effect of the journal raises when no further attempt can succeed."""

    code = "journal.give-up"


def writer_busy(limit: float) -> WriterBusy:
    """What to raise when so many seconds of waiting were in vain."""
    return WriterBusy(
        f"another unit of work kept the database locked for writing for {limit:.1f} s",
        fix="shorten writing units, and open units that only read with write=False",
    )
