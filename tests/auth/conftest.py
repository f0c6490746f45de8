"""A database of every kind with the tables of the test application, and that application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import text

from mainspring.auth import Accounts, Passwords
from mainspring.data import Database, Model
from tests.auth.members import CHEAP, Essay, Member, members

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TABLES = [Member.__table__, Essay.__table__]


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    """For behaviour that has nothing to do with the kind of database."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        async with database.unit() as db:
            connection = await db.connection()
            await connection.run_sync(Model.metadata.drop_all, tables=TABLES)
            await connection.run_sync(Model.metadata.create_all, tables=TABLES)
        yield database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Of each kind in turn, with empty tables."""
    async with opened(database_url) as database:
        yield database


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    async with Passwords(cost=CHEAP) as passwords:
        yield passwords


@pytest.fixture
def accounts_in(database, passwords):
    """Accounts within a session."""

    def make(db, hasher=passwords) -> Accounts[Member]:
        read = lambda: database.unit(write=False)  # noqa: E731  # named after the argument
        return Accounts(db, passwords=hasher, user_type=Member, read=read)

    return make


@asynccontextmanager
async def client_of(app) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.running(),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield client


@pytest.fixture
async def client(database, database_url) -> AsyncIterator[httpx.AsyncClient]:
    """The application on each kind of database."""
    async with client_of(members(database_url)) as client:
        yield client


async def run_sql(database: Database, statement: str, **values: object) -> None:
    async with database.unit() as db:
        await db.execute(text(statement), values)
