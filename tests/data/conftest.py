"""The same tests on every database: `url` and `database` come once for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.data import Database
from mainspring.data._journal_table import JOURNAL
from mainspring.data._lease import LEASES
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
