"""The databases of the comparison: the same 10,000 rows on PostgreSQL and on SQLite."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import MetaData, text

from bench.machine import ROOT
from mainspring.data import Database, Mapped, Model, column, insert
from mainspring.data._model import NAMING

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection

ROWS = 10_000
_NAME = "mainspring_bench"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class World(Model):
    metadata = MetaData(naming_convention=NAMING)
    __tablename__ = "worlds"

    name: Mapped[str] = column(max_length=50)
    email: Mapped[str]
    number: Mapped[int]
    created: Mapped[datetime]


def row(number: int) -> dict[str, Any]:
    """The values of one row."""
    return {
        "id": number,
        "name": f"World {number}",
        "email": f"world{number}@example.org",
        "number": number * 7 % 1000,
        "created": _EPOCH + timedelta(seconds=number),
    }


def as_json(number: int) -> dict[str, Any]:
    """The row as it is sent."""
    values = row(number)
    return {**values, "created": f"{values['created']:%Y-%m-%dT%H:%M:%SZ}"}


def postgresql_url() -> str:
    """A database of the bench's own on the server of `TEST_POSTGRESQL_URL`."""
    server = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://root@127.0.0.1:5432/test")
    return urlsplit(server)._replace(path=f"/{_NAME}").geturl()


def sqlite_path() -> Path:
    """The file of the bench."""
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "data.db"


async def make() -> None:
    """Make both databases anew; raises whatever keeps that from being done."""
    server = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://root@127.0.0.1:5432/test")
    async with Database(server) as database:
        await database.on_connection(_recreate)
    for file in sqlite_path().parent.glob("data.db*"):
        file.unlink()
    for url in (postgresql_url(), f"sqlite:///{sqlite_path()}"):
        async with Database(url) as database:
            await database.on_connection(fill)


def _recreate(connection: Connection) -> None:
    outside = connection.execution_options(isolation_level="AUTOCOMMIT")
    outside.execute(text(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)"))
    outside.execute(text(f"CREATE DATABASE {_NAME}"))


def fill(connection: Connection) -> None:
    """Make the table and its rows."""
    World.metadata.create_all(connection)
    connection.execute(insert(World), [row(number) for number in range(1, ROWS + 1)])
    connection.commit()
