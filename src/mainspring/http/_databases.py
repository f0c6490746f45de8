"""Databases beside the application's own: a class of sessions for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.data import Database, Session
from mainspring.errors import ConfigError
from mainspring.http._binding import Provider

if TYPE_CHECKING:
    from mainspring.services import Services


def database_of(session: type[Session], url: str, services: Services) -> Provider:
    """Let the services open the database, and say how a request gets its session.

    Raises:
        ConfigError: the class is the one of the application's own database.
    """
    if session is Session:
        raise ConfigError(
            "Session is the session of the application's own database",
            fix="declare one for the other: `class Reports(Session): ...`",
        )
    databases: list[Database] = []

    def opened() -> Database:
        databases[:] = [Database(url)]
        return databases[0]

    services.provide(session, opened, ping=Database.ping)  # type: ignore[arg-type]  # keyed by its session
    return Provider(lambda request: request.unit.beside(databases[0], session).session, unit=True)
