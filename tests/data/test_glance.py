"""Routes that only return a statement, where the database is read in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import literal

from mainspring import Struct, anyone
from mainspring.auth import Policy
from mainspring.data import Database, Rows, Session, bindparam, hot, select
from mainspring.http import Request
from mainspring.testing import queries
from tests.data.shop import Customer, ShopModel
from tests.http.direct import App, application, ask, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import Connection


class Found(Struct):
    id: int
    email: str


by_email = hot(select(Customer).where(Customer.email == bindparam("email")), Found)


never = Policy("never", lambda _: False, needs_principal=False)


def _slow(length: int) -> Any:
    """Every customer, after counting up to `length`."""
    counter = select(literal(1).label("n")).cte("counter", recursive=True)
    counter = counter.union_all(select(counter.c.n + 1).where(counter.c.n < length))
    last = select(counter.c.n).order_by(counter.c.n.desc()).limit(1).scalar_subquery()
    return select(Customer).where(Customer.id <= last)


def _app(url: str) -> tuple[App, list[str]]:
    app, calls = application(database_url=url), []

    @app.get("/hot/{email}", allow=anyone)
    async def read(email: str) -> Found | Rows:
        calls.append(email)
        return by_email(email=email)

    @app.get("/slow", allow=anyone)
    async def slow(length: int) -> list[Found] | Rows:
        calls.append("slow")
        return _slow(length)

    @app.get("/policy", allow=never)
    async def policy() -> list[Found] | Rows:
        return select(Customer)

    @app.get("/session", allow=anyone)
    async def session(db: Session) -> list[Found] | Rows:
        db.add(Customer(email="never@x"))
        return select(Customer)

    @app.post("/post", allow=anyone)
    async def post() -> list[Found] | Rows:
        return select(Customer)

    return app, calls


def _make(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.commit()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[tuple[App, list[str]]]:
    url = f"sqlite:///{tmp_path}/shop.db"
    async with Database(url) as database:
        await database.on_connection(_make)
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
    made = _app(url)
    yield made
    await made[0].database.close()


def _now(app: App, path: str, query: bytes = b"") -> Any:
    """What the route gives at once; None if it has to wait."""
    request = Request("GET", path, query_string=query, headers={b"host": b"localhost"})
    assert app.core.route(request).in_place
    return app.core.answer_now(request)


async def test_it_is_answered_at_once_when_a_connection_is_open(
    app: tuple[App, list[str]],
) -> None:
    served, calls = app
    assert _now(served, "/hot/a@x") is None  # nothing is open
    assert value(await ask(served, "GET", "/hot/a@x"))["email"] == "a@x"
    assert value(_now(served, "/hot/a@x"))["email"] == "a@x"
    assert _now(served, "/hot/nobody@x").status == 404
    assert calls == ["a@x", "a@x", "a@x", "nobody@x"]
    pool = served.database.pool
    assert pool.idle == pool.total == 1


async def test_what_takes_long_is_sent_again_by_a_unit_and_the_handler_is_not(
    app: tuple[App, list[str]],
) -> None:
    served, calls = app
    await ask(served, "GET", "/hot/a@x")
    calls.clear()
    assert _now(served, "/slow", b"length=1000000") is None
    calls.clear()
    rows = value(await ask(served, "GET", "/slow?length=1000000"))
    assert [row["email"] for row in rows] == ["a@x"]
    assert calls == ["slow"]
    assert len(value(_now(served, "/slow", b"length=3"))) == 1
    pool = served.database.pool
    assert pool.idle == pool.total


async def test_whoever_counts_statements_counts_this_one(app: tuple[App, list[str]]) -> None:
    served, _ = app
    await ask(served, "GET", "/hot/a@x")
    with queries(max=1) as counted:
        await ask(served, "GET", "/hot/a@x")
    assert len(counted.statements) == 1


async def test_policies_sessions_and_other_methods_take_the_whole_way(
    app: tuple[App, list[str]],
) -> None:
    served, _ = app
    routes = {route.pattern: route.in_place for route in served.core.declared}
    assert routes["/hot/{email}"]
    assert not any(routes[path] for path in ("/policy", "/session", "/post"))
    assert (await ask(served, "GET", "/policy")).status in {401, 403}


async def test_a_server_answers_through_units(postgresql_database: str) -> None:
    served, _ = _app(str(postgresql_database))
    assert not any(route.in_place for route in served.core.declared)
    await served.database.close()
