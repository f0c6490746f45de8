"""The same tests on every database: `url` and `database` come once for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.data import Database
from mainspring.data._journal_table import JOURNAL
from mainspring.data._lease import LEASES
from tests.data.library import Author, Book, City, LibraryModel, Passport, Tag
from tests.data.shop import ShopModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import Connection


@pytest.fixture(params=["sqlite", "postgresql", "psycopg", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_database"))
    if request.param == "psycopg":
        # The same database through a pooler in transaction mode, where there is one.
        return str(request.getfixturevalue("pooled_database"))
    return str(request.getfixturevalue("mysql_database"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An open database of each kind, with empty tables."""
    async with Database(url, pool_size=4) as opened:
        await opened.on_connection(_empty if url in _MADE else _make)
        _MADE.add(url)
        yield opened


_MADE: set[str] = set()  # making tables takes MariaDB half a second, emptying them none


def _make(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.commit()


def _empty(connection: Connection) -> None:
    for table in reversed(ShopModel.metadata.sorted_tables):
        connection.execute(table.delete())
    connection.commit()


@pytest.fixture
async def journaled(url: str) -> AsyncIterator[Database]:
    """An open database of each kind, with an empty journal and no leases."""
    async with Database(url, pool_size=4) as opened:
        await opened.on_connection(_make_journal)
        yield opened


def _make_journal(connection: Connection) -> None:
    tables = [LEASES, JOURNAL]
    LEASES.metadata.create_all(connection, tables=tables)
    for table in tables:
        connection.execute(table.delete())
    connection.commit()


_LIBRARIES: set[str] = set()


def _emptied_library(connection: Connection) -> None:
    tables = LibraryModel.metadata.sorted_tables
    for table in reversed(tables):
        if table.name == "lib_authors":
            connection.execute(table.update().values(mentor_id=None))
        connection.execute(table.delete())
    connection.commit()


def _made_library(connection: Connection) -> None:
    LibraryModel.metadata.create_all(connection)
    connection.commit()


@pytest.fixture
async def library(url: str) -> AsyncIterator[Database]:
    async with Database(url, pool_size=4) as opened:
        await opened.on_connection(_emptied_library if url in _LIBRARIES else _made_library)
        _LIBRARIES.add(url)
        async with opened.unit() as db:
            cities = [City(name=f"city {n}") for n in range(2)]
            authors = [
                Author(name=f"author {n}", city=cities[n % 2] if n else None) for n in range(5)
            ]
            for pupil in authors[1:]:
                pupil.mentor = authors[0]
            authors[1].passport = Passport(number="A1")
            tags = [Tag(name=f"tag {n}") for n in range(3)]
            db.add_all([*cities, *authors, *tags])
            db.add_all(
                Book(
                    title=f"book {n:02}",
                    pages=50 * n,
                    author=authors[n % 5] if n else None,
                    tags=tags[: n % 4],
                )
                for n in range(12)
            )
        yield opened
