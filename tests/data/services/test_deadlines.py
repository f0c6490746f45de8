"""A request whose deadline is over has its answer at once, and its statement ends on the server."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from mainspring.auth import anyone
from mainspring.data import Database, Session, func, select, update
from tests.data.busy import busy_connections, slow, until
from tests.data.shop import Customer
from tests.http.direct import application, ask, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mainspring.app import App

BUDGET = timedelta(seconds=1)


@pytest.fixture
async def app(url: str, database: Database) -> AsyncIterator[App]:
    app = application(database_url=url)

    @app.get("/slow", allow=anyone, deadline=BUDGET)
    async def read_slowly(db: Session) -> int:
        await db.execute(slow(database, 30))
        return 0

    @app.post("/slow", allow=anyone, deadline=BUDGET)
    async def write_slowly(db: Session) -> int:
        db.add(Customer(email="a@x"))
        await db.flush()
        await db.execute(slow(database, 30))
        return 0

    @app.post("/locked", allow=anyone, deadline=BUDGET)
    async def wait_for_a_row(db: Session) -> int:
        await db.execute(update(Customer).values(name="mine"))
        return 0

    @app.get("/count", allow=anyone, deadline=BUDGET)
    async def count(db: Session) -> int:
        return await db.scalar(select(func.count(Customer.id))) or 0

    async with app.running():
        yield app


async def _asked_in_time(
    app: App, method: str, target: str, *, statuses: tuple[int, ...] = (504,)
) -> None:
    began = time.monotonic()
    response = await ask(app, method, target)
    took = time.monotonic() - began
    print(f"{method} {target}: {took:.4f} s")
    assert response.status in statuses
    assert value(response)["type"] in {"deadline.exceeded", "data.writer-busy"}
    # On an idle machine it is 1.0; the bound is for one that is not.
    assert 0.9 < took < 5


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_statement_that_takes_longer_is_cancelled_on_the_server(
    app: App, database: Database, method: str
) -> None:
    await _asked_in_time(app, method, "/slow")
    await until(lambda: _none_busy(database))
    await until(lambda: app.database.pool.idle == app.database.pool.total)
    for _ in range(1000):
        response = await ask(app, "GET", "/count")
        assert (response.status, value(response)) == (200, 0)


async def test_a_wait_for_a_lock_ends_with_it_too(app: App, database: Database) -> None:
    async with database.unit() as db:
        db.add(Customer(email="a@x"))
    async with database.unit() as db:
        await db.execute(update(Customer).values(name="theirs"))
        await _asked_in_time(
            app,
            "POST",
            "/locked",
            # The line for writing on SQLite gives up at the very same moment.
            statuses=(503, 504),
        )
    await until(lambda: _none_busy(database))
    async with database.unit(write=False) as db:
        assert await db.scalar(select(Customer.name)) == "theirs"
    assert (await ask(app, "POST", "/locked")).status == 200


async def _none_busy(database: Database) -> bool:
    return await busy_connections(database) == 0


async def test_a_client_that_has_died_leaves_no_statement_behind(
    postgresql_database: str,
) -> None:
    """PostgreSQL looks whether the client is still there while it works for it."""
    async with Database(postgresql_database) as database:
        shown = await database.on_connection(
            lambda c: c.execute(text("SHOW client_connection_check_interval")).scalar_one()
        )
        assert shown == "5s"


async def test_a_lock_is_waited_for_no_longer_than_the_ceiling(url: str) -> None:
    questions = {
        "postgresql": ("SHOW lock_timeout", "30s"),
        "mysql": ("SELECT @@innodb_lock_wait_timeout + @@lock_wait_timeout", 60),
    }
    async with Database(url) as database:
        if database.engine.dialect.name == "sqlite":
            pytest.skip("its line for writing has a bound of its own")
        if database.engine.url.drivername.endswith("psycopg"):
            pytest.skip("behind a pooler no setting belongs to a connection")
        question, expected = questions[database.engine.dialect.name]
        found = await database.on_connection(lambda c: c.execute(text(question)).scalar_one())
        assert found == expected
