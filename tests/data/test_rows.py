"""Handlers that return a statement in place of its rows."""

from __future__ import annotations

from typing import Any

from mainspring import Struct, anyone
from mainspring.data import Bound, Database, Rows, Session, bindparam, func, hot, insert, select
from tests.data.shop import Customer
from tests.http.direct import App, application, ask, value


class Found(Struct):
    id: int
    email: str


class Other(Struct):
    email: str


by_email = hot(select(Customer).where(Customer.email == bindparam("email")), Found)
emails = hot(select(Customer.email).order_by(Customer.email))


def _app(url: str) -> App:
    app = application(database_url=url)

    @app.get("/hot/{email}", allow=anyone)
    async def read(email: str) -> Found | Rows:
        return by_email(email=email)

    @app.get("/maybe/{email}", allow=anyone)
    async def maybe(email: str) -> Found | Rows | None:
        return select(Customer).where(Customer.email == email)

    @app.get("/all", allow=anyone)
    async def everybody(least: int = 0) -> list[Found] | Rows:
        return select(Customer).where(Customer.id > least).order_by(Customer.email)

    @app.get("/emails", allow=anyone)
    async def listed() -> list[str] | Bound[Any]:
        return emails()

    @app.get("/count", allow=anyone)
    async def count() -> int | Rows:
        return select(func.count(Customer.id))

    @app.get("/either", allow=anyone)
    async def either(which: str = "") -> list[Found] | Rows:
        return [] if which == "none" else select(Customer)

    @app.post("/added", allow=anyone)
    async def add(db: Session, email: str) -> Found | Rows:
        await db.run(hot(insert(Customer)), email=email)
        return by_email(email=email)

    @app.get("/plain", allow=anyone)
    def plain() -> list[Found] | Rows:
        return select(Customer)

    @app.get("/wrong", allow=anyone)
    async def wrong() -> Other | Rows:
        return by_email(email="a@x")

    return app


async def test_the_rows_are_the_answer(database: Database, url: str) -> None:
    async with database.unit() as db:
        db.add_all([Customer(email="a@x"), Customer(email="b@x")])
    app = _app(url)
    try:
        assert value(await ask(app, "GET", "/hot/a@x"))["email"] == "a@x"
        missing = await ask(app, "GET", "/hot/c@x")
        assert missing.status == 404
        assert "no customer with email 'c@x'" in value(missing)["detail"]
        assert value(await ask(app, "GET", "/maybe/b@x"))["email"] == "b@x"
        assert (await ask(app, "GET", "/maybe/c@x")).status == 204
        assert [row["email"] for row in value(await ask(app, "GET", "/all"))] == ["a@x", "b@x"]
        assert value(await ask(app, "GET", "/all?least=9999999")) == []
        assert value(await ask(app, "GET", "/emails")) == ["a@x", "b@x"]
        assert value(await ask(app, "GET", "/count")) == 2
        assert value(await ask(app, "GET", "/either?which=none")) == []
        assert len(value(await ask(app, "GET", "/either"))) == 2
        assert len(value(await ask(app, "GET", "/plain"))) == 2
        added = await ask(app, "POST", "/added?email=c@x")
        assert value(added)["email"] == "c@x"
        assert value(await ask(app, "GET", "/count")) == 3
        # The rows are of the statement's type; what they are annotated as is checked.
        assert value(await ask(app, "GET", "/wrong")) == {"email": "a@x"}
        assert app.database.pool.idle == app.database.pool.total
    finally:
        await app.database.close()


async def test_the_description_shows_the_rows(tmp_path: Any) -> None:
    app = _app(f"sqlite:///{tmp_path}/test.db")
    answer = app.describe()["paths"]["/all"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema["type"] == "array"
    assert schema["items"]["$ref"].endswith("/Found")
    await app.database.close()
