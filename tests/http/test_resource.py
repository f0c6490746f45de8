"""Resources over a server on three databases: what they do, and what nobody can make them do."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mainspring.app import App
from mainspring.auth import User, anyone
from mainspring.http import RouteError
from mainspring.settings import Settings
from mainspring.testing import queries
from tests.http.conftest import Answer, Peer, on_our_own
from tests.http.resources import Kept, Memo, MemoOut, Rack, RackOut, application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

ADA, BOB = 1, 2


@dataclass
class Api:
    """The served application, as somebody or as nobody."""

    peer: Peer
    app: App

    async def __call__(
        self, method: str, path: str, sent: Any = None, *, who: int = 0, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            named["Authorization"] = f"Test {who}"
        body = b"" if sent is None else msgspec.json.encode(sent)
        kind = "application/json" if body else ""
        return await self.peer.ask(method, path, body=body, kind=kind, headers=named)

    async def memo(self, number: int) -> Memo:
        async with self.app.database.unit(write=False) as db:
            return await db.find(Memo, id=number)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return str(request.getfixturevalue(f"{request.param}_database"))


def _prepare(connection: Connection) -> None:
    Kept.metadata.drop_all(connection)
    User.__table__.drop(connection, checkfirst=True)
    User.__table__.create(connection)
    Kept.metadata.create_all(connection)
    connection.commit()


async def _serve(app: App) -> AsyncIterator[Api]:
    await app.database.on_connection(_prepare)
    async with app.database.unit() as db:
        db.add_all(User(id=n, email=f"{n}@x.org", password_hash="-") for n in (ADA, BOB))
        shelf = Rack(name="top")
        db.add(shelf)
        await db.flush()
        db.add_all(
            Memo(
                owner_id=ADA if n % 2 else BOB,
                title=f"memo {n}",
                public=n < 5,
                shelf_id=shelf.id if n % 3 else None,
            )
            for n in range(1, 9)
        )
    async with on_our_own(app) as peer:
        yield Api(peer, app)


@pytest.fixture
async def api(url: str) -> AsyncIterator[Api]:
    async for served in _serve(application(url)):
        yield served


@pytest.fixture
async def strict(url: str) -> AsyncIterator[Api]:
    async for served in _serve(application(url, require_match=True)):
        yield served


def _titles(answer: Answer) -> list[str]:
    return [memo["title"][-1] for memo in answer.json()["items"]]


class TestLists:
    async def test_they_have_what_one_may_see(self, api: Api) -> None:
        assert sorted(_titles(await api("GET", "/memos"))) == ["1", "2", "3", "4"]
        assert sorted(_titles(await api("GET", "/memos", who=ADA))) == list("123457")
        assert sorted(_titles(await api("GET", "/memos", who=BOB))) == list("123468")

    async def test_they_are_filtered_and_sorted(self, api: Api) -> None:
        assert _titles(await api("GET", "/memos?sort=-id&owner_id=1", who=ADA)) == list("7531")
        assert _titles(await api("GET", "/memos?public=false", who=ADA)) == ["5", "7"]
        assert _titles(await api("GET", "/memos?title=memo%202")) == ["2"]

    async def test_pages_lead_to_one_another(self, api: Api) -> None:
        first = await api("GET", "/memos?limit=2&sort=-id", who=ADA)
        assert _titles(first) == ["7", "5"]
        link = re.fullmatch(r'<([^>]+)>; rel="next"', first.header("link") or "")
        assert link is not None
        second = await api("GET", link[1], who=ADA)
        assert _titles(second) == ["4", "3"]
        assert 'rel="prev"' in (second.header("link") or "")
        assert second.json()["previous"] is not None

    async def test_relations_are_loaded_together(self, api: Api) -> None:
        with queries(max=3):
            answer = await api("GET", "/memos", who=ADA)
        shelves = {memo["id"]: memo["shelf"] for memo in answer.json()["items"]}
        assert shelves[1] == {"name": "top"}
        assert shelves[3] is None


class TestSingleRows:
    async def test_one_is_made_read_changed_and_deleted(self, api: Api) -> None:
        made = await api("POST", "/memos", {"title": "new", "body": "text"}, who=ADA)
        assert made.status == 201, made.body
        memo = made.json()
        assert (memo["owner_id"], memo["public"]) == (ADA, False)
        place = made.header("location") or ""
        assert place == f"/memos/{memo['id']}"

        read = await api("GET", place, who=ADA)
        assert read.json() == memo
        assert read.header("etag") == made.header("etag") == '"1"'
        again = await api("GET", place, who=ADA, If_None_Match='"1"')
        assert (again.status, again.body) == (304, b"")

        changed = await api("PATCH", place, {"body": None}, who=ADA)
        assert (changed.json()["title"], changed.json()["body"]) == ("new", None)
        assert changed.header("etag") == '"2"'

        assert (await api("DELETE", place, who=ADA)).status == 204
        assert (await api("GET", place, who=ADA)).status == 404

    async def test_what_the_struct_says_of_a_field_holds(self, api: Api) -> None:
        for body in ({"name": "x"}, {"name": "x" * 21}, {}):
            assert (await api("POST", "/shelves", body)).status == 422
        assert (await api("PATCH", "/shelves/1", {"name": "x"})).status == 422
        assert (await api("PATCH", "/shelves/1", {"name": "low"})).json() == {"name": "low"}
        too_long = await api("POST", "/memos", {"title": "x" * 51}, who=ADA)
        assert too_long.errors[0][0] == "#/title"

    async def test_rows_without_a_version_have_tags_too(self, api: Api) -> None:
        tag = (await api("GET", "/shelves/1")).header("etag") or ""
        assert (await api("PATCH", "/shelves/1", {"name": "low"}, If_Match=tag)).status == 200
        assert (await api("PATCH", "/shelves/1", {"name": "mid"}, If_Match=tag)).status == 412


class TestAttacks:
    @pytest.mark.parametrize("field", ["owner_id", "id", "version", "secret", "shelf", "_sa_x"])
    async def test_fields_that_are_not_named_cannot_be_set(self, api: Api, field: str) -> None:
        before = await api.memo(1)
        for method, path in (("POST", "/memos"), ("PATCH", "/memos/1")):
            answer = await api(method, path, {"title": "t", field: 2}, who=ADA)
            assert answer.status == 422, answer.body
        after = await api.memo(1)
        assert (after.owner_id, after.version, after.secret, after.title) == (
            before.owner_id,
            before.version,
            "hush",
            before.title,
        )

    @pytest.mark.parametrize("query", ["secret=hush", "version=1", "secret__like=h%25", "who=2"])
    async def test_a_hidden_column_cannot_be_asked_for(self, api: Api, query: str) -> None:
        assert _titles(await api("GET", f"/memos?{query}")) == _titles(await api("GET", "/memos"))

    @pytest.mark.parametrize(
        "sort", ["secret", "-secret", "title;drop", "title desc", "1", "(select 1)", "shelf"]
    )
    async def test_an_order_that_is_not_named_is_refused(self, api: Api, sort: str) -> None:
        answer = await api("GET", f"/memos?sort={sort.replace(' ', '%20')}")
        assert [place for place, _ in answer.errors] == ["sort"]

    @pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {}), ("DELETE", None)])
    async def test_what_one_may_not_see_is_not_there(
        self, api: Api, method: str, body: Any
    ) -> None:
        hidden = await api(method, "/memos/6", body, who=ADA)
        missing = await api(method, "/memos/999", body, who=ADA)
        assert (hidden.status, missing.status) == (404, 404)
        assert hidden.json()["detail"].replace("6", "999") == missing.json()["detail"]
        assert (await api.memo(6)).title == "memo 6"

    async def test_what_one_may_only_see_cannot_be_changed(self, api: Api) -> None:
        assert (await api("GET", "/memos/2", who=ADA)).status == 200
        assert (await api("PATCH", "/memos/2", {"title": "x"}, who=ADA)).status == 403
        assert (await api("DELETE", "/memos/2", who=ADA)).status == 403
        assert (await api("PATCH", "/memos/2", {"title": "x"})).status == 401
        assert (await api.memo(2)).title == "memo 2"

    async def test_a_cursor_of_somebody_else_shows_nothing_of_theirs(self, api: Api) -> None:
        cursor = (await api("GET", "/memos?limit=5&sort=id", who=BOB)).json()["next"]
        seen = _titles(await api("GET", f"/memos?limit=5&sort=id&cursor={cursor}", who=ADA))
        assert seen == ["7"]

    async def test_filters_do_not_widen_what_one_may_see(self, api: Api) -> None:
        assert _titles(await api("GET", "/memos?owner_id=2&public=false", who=ADA)) == []

    @pytest.mark.parametrize("value", ["1%20or%201=1", "1'", "", "NaN", "9" * 30])
    async def test_a_filter_takes_values_of_its_type(self, api: Api, value: str) -> None:
        assert (await api("GET", f"/memos?owner_id={value}")).status == 422


class TestTwoWriters:
    async def test_the_second_is_told(self, api: Api) -> None:
        tag = (await api("GET", "/memos/1", who=ADA)).header("etag") or ""
        first = await api("PATCH", "/memos/1", {"title": "first"}, who=ADA, If_Match=tag)
        assert first.status == 200
        second = await api("PATCH", "/memos/1", {"title": "second"}, who=ADA, If_Match=tag)
        assert second.status == 412
        assert second.header("etag") == first.header("etag")
        assert (await api("DELETE", "/memos/1", who=ADA, If_Match=tag)).status == 412
        assert (await api.memo(1)).title == "first"

    async def test_of_many_at_once_one_wins(self, api: Api) -> None:
        tag = (await api("GET", "/memos/1", who=ADA)).header("etag") or ""
        answers = await asyncio.gather(
            *(api("PATCH", "/memos/1", {"title": f"t{n}"}, who=ADA, If_Match=tag) for n in range(8))
        )
        assert sorted(answer.status for answer in answers) == [200] + [412] * 7
        [won] = [answer.json()["title"] for answer in answers if answer.status == 200]
        memo = await api.memo(1)
        assert (memo.title, memo.version) == (won, 2)

    async def test_a_change_without_a_tag_is_refused_where_one_is_required(
        self, strict: Api
    ) -> None:
        assert (await strict("PATCH", "/memos/1", {"title": "x"}, who=ADA)).status == 428
        assert (await strict("DELETE", "/memos/1", who=ADA)).status == 428
        kept = await strict("PATCH", "/memos/1", {"title": "x"}, who=ADA, If_Match="*")
        assert kept.status == 200

    async def test_two_units_that_read_the_same_row_do_not_lose_an_update(self, api: Api) -> None:
        from sqlalchemy.orm.exc import StaleDataError

        async with api.app.database.unit(write=False) as db:
            seen = await db.find(Memo, id=1)
        async with api.app.database.unit() as db:
            (await db.find(Memo, id=1)).title = "meanwhile"
        with pytest.raises(StaleDataError):
            async with api.app.database.unit() as db:
                db.add(seen)
                seen.title = "lost"
        assert (await api.memo(1)).title == "meanwhile"


async def test_it_is_described(api: Api) -> None:
    described = api.app.describe()
    paths = described["paths"]
    assert set(paths["/memos"]) == {"get", "post"}
    assert set(paths["/memos/{id}"]) == {"get", "patch", "delete"}
    asked = {p["name"]: p["schema"] for p in paths["/memos"]["get"]["parameters"]}
    assert set(asked) == {"owner_id", "public", "title", "sort", "cursor", "limit"}
    assert set(asked["sort"]["enum"]) == {"title", "-title", "id", "-id"}
    new = described["components"]["schemas"]["NewMemo"]
    assert (new["required"], set(new["properties"])) == (
        ["title"],
        {"title", "body", "public", "shelf_id"},
    )
    assert paths["/memos"]["post"]["responses"].keys() >= {"201", "401", "422"}
    assert paths["/memos"]["get"]["operationId"] == "list_res_memos"


@pytest.mark.parametrize("option", ["write", "filter", "sort"])
def test_a_column_that_there_is_not_stops_the_start(option: str) -> None:
    app = App("test", settings=Settings(debug=True))
    with pytest.raises(RouteError, match="titel") as refused:
        app.resource("/memos", Memo, out=MemoOut, allow=anyone, **{option: ("titel",)})
    assert "title" in refused.value.fix


def test_only_what_is_asked_for_is_there() -> None:
    app = App("test", settings=Settings(debug=True))
    app.resource("/shelves", Rack, out=RackOut, write=["name"], only=["list"], allow=anyone)
    app.resource("/seen", Rack, out=RackOut, allow=anyone)
    assert [route.title for route in app.routes] == [
        "GET /shelves",
        "GET /seen",
        "GET /seen/{id}",
        "DELETE /seen/{id}",
    ]
