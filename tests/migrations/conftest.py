from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from mainspring.data import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import Connection


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_database"))
    return str(request.getfixturevalue("mysql_database"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened
        await opened.on_connection(_drop_everything)


def _drop_everything(connection: Connection) -> None:
    from sqlalchemy import MetaData

    found = MetaData()
    found.reflect(connection)
    for table in reversed(found.sorted_tables):
        connection.execute(text(f"DROP TABLE {table.name}"))
    connection.commit()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "migrations"
