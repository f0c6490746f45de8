"""One open connection, and how the ones to a server are opened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from mainspring.data._errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine


class Link:
    """SQLAlchemy's face of a connection, and the driver's adapter below it."""

    __slots__ = ("born", "connection", "raw")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.raw: Any = connection.connection.dbapi_connection
        self.born = time.monotonic()


async def open_link(engine: Engine) -> Link:
    """Connect to a server.

    Raises:
        DatabaseUnavailable: it cannot be reached, or refuses the login.
    """
    try:
        return Link(await greenlet_spawn(engine.connect))
    except (OSError, TimeoutError, DBAPIError) as exc:
        cause = exc.orig if isinstance(exc, DBAPIError) else exc
        raise DatabaseUnavailable(
            f"cannot connect to {engine.url.render_as_string(hide_password=True)}: {cause}",
            fix="check DATABASE_URL, and that the server runs and takes the login",
        ) from exc


def to_json(value: object) -> str:
    """JSON text of anything that msgspec can encode, instants and structs included."""
    return msgspec.json.encode(value).decode()


def from_json(text: str | bytes) -> Any:
    """What the JSON text says."""
    return msgspec.json.decode(text)
