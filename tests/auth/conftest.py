"""A database of every kind with the tables of the test application, and that application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.auth import Accounts, Passwords
from tests.auth.clients import client_of, opened
from tests.auth.members import CHEAP, Member, members

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from mainspring.data import Database


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request, tmp_path) -> str:
    """Of each kind in turn; the tests that ask for it are in `services`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    """For behaviour that has nothing to do with the kind of database."""
    return f"sqlite:///{tmp_path / 'test.db'}"


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


@pytest.fixture
async def client(database, database_url) -> AsyncIterator[httpx.AsyncClient]:
    """The application on each kind of database."""
    async with client_of(members(database_url)) as client:
        yield client
