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


def complete(work: Coroutine[Any, Any, T]) -> T:
    """The result of the coroutine, on an event loop of its own."""
    return asyncio.run(work)
