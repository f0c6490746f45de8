"""The application's database, for commands that work on it without serving."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mainspring.cli._project import MIGRATIONS, has_migrations
from mainspring.data import Database
from mainspring.migrations import UnappliedMigrations, migrate, pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mainspring.migrations import Migration
    from mainspring.settings import Settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, without an application around it."""
    async with Database(settings.database_url) as database:
        yield database


async def bring_up(settings: Settings, *, target: str = "head") -> list[Migration]:
    """Run the migrations that the database lacks, and return them.

    Raises:
        MigrationError: one failed or was refused.
    """
    async with opened(settings) as database:
        return await migrate(database, MIGRATIONS, target=target)


async def require_migrated(settings: Settings) -> None:
    """Raise unless the database answers and has every migration of the project.

    Raises:
        DatabaseUnavailable: it does not answer.
        UnappliedMigrations: it lacks some, so that tables or columns would be missing.
    """
    async with opened(settings) as database:
        await database.ping()
        missing = await pending(database, MIGRATIONS) if has_migrations() else []
    if missing:
        raise UnappliedMigrations(
            f"the database lacks {', '.join(map(str, missing))}", fix="mainspring migrate"
        )
