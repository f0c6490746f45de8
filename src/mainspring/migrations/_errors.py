"""Why a migration is refused."""

from __future__ import annotations

from mainspring.errors import MainspringError


class MigrationError(MainspringError):
    """A migration failed or was refused; the message says what the database is left with."""

    code = "migrations.failed"


class NoChanges(MigrationError):
    """The models and the database agree, so there is no migration to write."""

    code = "migrations.no-changes"


class UnappliedMigrations(MigrationError):
    """The database has to be brought up to date first."""

    code = "migrations.unapplied"


class BrokenMigrations(MigrationError):
    """The folder's migrations are not one line: two heads, a gap, or a file that fails."""

    code = "migrations.broken"


class DatabaseAhead(MigrationError):
    """The database has a migration that the folder does not know."""

    code = "migrations.database-ahead"


class UnknownMigration(MigrationError):
    """The folder has no migration of that name."""

    code = "migrations.unknown"


class NothingToRollBack(MigrationError):
    """There are fewer applied migrations than should be rolled back."""

    code = "migrations.nothing-to-roll-back"


class RunnerBusy(MigrationError):
    """Somebody else was migrating this database for as long as this one could wait."""

    code = "migrations.busy"
