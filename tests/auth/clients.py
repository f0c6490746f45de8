"""The test application on a database, and a client that speaks to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import text

from mainspring.data import Database, Model
from tests.auth.members import Essay, Member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TABLES = [Member.__table__, Essay.__table__]
JANE = {"email": "Jane@Example.org", "password": "a spring in steel", "username": "jane"}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database with empty tables."""
    async with Database(url) as database:
        async with database.unit() as db:
            connection = await db.connection()
            await connection.run_sync(Model.metadata.drop_all, tables=TABLES)
            await connection.run_sync(Model.metadata.create_all, tables=TABLES)
        yield database


@asynccontextmanager
async def client_of(app) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.running(),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield client


async def run_sql(database: Database, statement: str, **values: object) -> None:
    async with database.unit() as db:
        await db.execute(text(statement), values)


async def registered(client, **changed) -> dict:
    answer = await client.post("/users", json={**JANE, **changed})
    assert answer.status_code == 201, answer.text
    return answer.json()


def bearing(token: str, scheme: str = "Token") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}
