"""Running migrations: forwards, backwards, one runner at a time, all or nothing where possible."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep

from mainspring.errors import MainspringError
from mainspring.migrations._errors import DatabaseAhead, MigrationError, NothingToRollBack
from mainspring.migrations._folder import Folder
from mainspring.migrations._lock import only_runner
from mainspring.migrations._schema import options
from mainspring.migrations._transaction import all_or_nothing, changes_roll_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from mainspring.data import Database
    from mainspring.migrations._folder import Migration

WAIT = timedelta(seconds=60)


async def current(database: Database) -> str | None:
    """The number of the newest migration that the database has; None before the first."""
    return await database.on_connection(_current)


async def pending(database: Database, folder: Path) -> list[Migration]:
    """The folder's migrations that the database lacks, in the order in which they will run.

    Raises:
        DatabaseAhead: the database has one that the folder lacks.
    """
    found = Folder(folder)
    return _after(found, await current(database))


async def migrate(
    database: Database, folder: Path, *, target: str = "head", wait: timedelta = WAIT
) -> list[Migration]:
    """Run what is pending, up to `target`; returns what was run, which may be nothing.

    On SQLite and PostgreSQL a failure leaves the database as it was. On MySQL and MariaDB
    every schema change commits by itself, so the migration that failed may be half done.

    Args:
        database: where to run them.
        folder: where the migrations are.
        target: the last one to run, by its number or the beginning of its file's name.
        wait: how long to wait for another runner.

    Raises:
        MigrationError: a migration failed; those before it are kept on MySQL only.
        DatabaseAhead: the database has a migration that the folder lacks.
        RunnerBusy: another runner did not end in time.
    """
    found = Folder(folder)
    last = None if target == "head" else found.find(target)

    def steps(applied: str | None) -> list[Migration]:
        after = _after(found, applied)
        return after if last is None else after[: after.index(last) + 1] if last in after else []

    return await database.on_connection(
        lambda connection: _run(connection, found, steps, wait=wait, down=False)
    )


async def rollback(
    database: Database, folder: Path, *, steps: int = 1, wait: timedelta = WAIT
) -> list[Migration]:
    """Undo the newest `steps` migrations; returns them, the newest first.

    Raises:
        NothingToRollBack: fewer have been applied.
        MigrationError: one of them failed; see `migrate`.
    """
    found = Folder(folder)

    def newest(applied: str | None) -> list[Migration]:
        behind = len(_after(found, applied))
        done = found.migrations[: len(found.migrations) - behind]
        if steps < 1 or steps > len(done):
            raise NothingToRollBack(f"cannot roll back {steps} of {len(done)} applied migrations")
        return done[::-1][:steps]

    return await database.on_connection(
        lambda connection: _run(connection, found, newest, wait=wait, down=True)
    )


def _run(
    connection: Connection,
    folder: Folder,
    choose: Callable[[str | None], list[Migration]],
    *,
    wait: timedelta,
    down: bool,
) -> list[Migration]:
    with only_runner(connection, wait=wait), all_or_nothing(connection, wait=wait):
        chosen = choose(_current(connection))
        if not changes_roll_back(connection):
            # Looking began a transaction, and inside one Alembic would not commit each step.
            connection.rollback()
        if chosen:
            _apply(connection, folder, chosen, down=down)
    return chosen


def _apply(connection: Connection, folder: Folder, chosen: list[Migration], *, down: bool) -> None:
    done: list[Any] = []
    step = MigrationStep.downgrade_from_script if down else MigrationStep.upgrade_from_script
    scripts = [folder.script.get_revision(migration.revision) for migration in chosen]
    plan = [step(folder.script.revision_map, script) for script in scripts]
    environment = EnvironmentContext(Config(), folder.script, fn=lambda _rev, _context: plan)
    with environment:
        environment.configure(
            **options(connection), on_version_apply=lambda *_, **facts: done.append(facts)
        )
        try:
            with environment.begin_transaction():
                environment.run_migrations()
        except MainspringError:
            raise
        except Exception as exc:
            raise _failure(connection, chosen[len(done)], exc, down=down) from exc


def _failure(
    connection: Connection, failed: Migration, exc: Exception, *, down: bool
) -> MigrationError:
    left = (
        "nothing was changed"
        if changes_roll_back(connection)
        else "what it had already changed is kept, because this database cannot undo it"
    )
    way = "rolling back " if down else ""
    return MigrationError(
        f"{way}{failed} failed ({type(exc).__name__}: {exc}); {left}",
        fix=f"correct {failed.path} and run it again",
    )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts=options(connection)).get_current_revision()


def _after(folder: Folder, applied: str | None) -> list[Migration]:
    """The folder's migrations behind the one that the database is at."""
    if applied is None:
        return folder.migrations
    numbers = [migration.revision for migration in folder.migrations]
    if applied not in numbers:
        raise DatabaseAhead(
            f"the database has migration {applied}, which {folder.path} does not know",
            fix="run the version of the application that has it, or roll it back with that",
        )
    return folder.migrations[numbers.index(applied) + 1 :]
