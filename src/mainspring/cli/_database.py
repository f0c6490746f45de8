"""The application's database, for commands that work on it without serving."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from mainspring.data import Database
    from mainspring.settings import Settings

T = TypeVar("T")

MIGRATIONS: Final = Path("migrations")
"""Where an application keeps its migrations, from its project's folder."""


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, without an application around it."""
    from mainspring.data import Database  # noqa: PLC0415  # for those commands that need it

    async with Database(settings.database_url) as database:
        yield database


async def require_migrated(settings: Settings) -> None:
    """Raise unless the database answers and has every migration of the project.

    Raises:
        DatabaseUnavailable: it does not answer.
        UnappliedMigrations: it lacks some, so that tables or columns would be missing.
    """
    from mainspring.migrations import UnappliedMigrations, pending  # noqa: PLC0415  # as above

    async with opened(settings) as database:
        await database.ping()
        missing = await pending(database, MIGRATIONS) if has_migrations() else []
    if missing:
        raise UnappliedMigrations(
            f"the database lacks {', '.join(map(str, missing))}", fix="mainspring migrate"
        )


def has_migrations() -> bool:
    """Whether the project has any; looking for them must not make their folder."""
    return any(MIGRATIONS.glob("*.py"))


def complete(work: Coroutine[Any, Any, T]) -> T:
    """The result of the coroutine, on an event loop of its own."""
    return asyncio.run(work)
