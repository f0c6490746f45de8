"""`Page` and `Paged` of a handler: the query, the answer, the description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import MetaData

from mainspring.app import App
from mainspring.auth import MissingSecretKey, anyone
from mainspring.data import Mapped, Model, Page, Paged, Session, column, select
from mainspring.data._model import NAMING
from mainspring.settings import Secret, Settings
from tests.http.conftest import on_our_own

if TYPE_CHECKING:
    from pathlib import Path


class Leaf(Model):
    metadata = MetaData(naming_convention=NAMING)
    text: Mapped[str] = column(max_length=20)
    secret: Mapped[str] = column(max_length=20, default="hidden")


class LeafOut(msgspec.Struct):
    id: int
    text: str


def _app(folder: Path, **more: object) -> App:
    settings = Settings(database_url=f"sqlite:///{folder}/t.db", log_level="critical", **more)
    app = App("test", settings=settings)

    @app.get("/leaves", allow=anyone)
    async def leaves(db: Session, page: Page) -> Paged[LeafOut]:
        return await db.page(select(Leaf), page, order=[Leaf.text.desc()])

    return app


async def _filled(app: App) -> None:
    await app.database.on_connection(lambda c: (Leaf.metadata.create_all(c), c.commit()))
    async with app.database.unit() as db:
        db.add_all(Leaf(text=f"leaf {n}") for n in range(5))


async def test_a_list_is_read_page_by_page(tmp_path: Path) -> None:
    app = _app(tmp_path, secret_key=Secret("k" * 40))
    await _filled(app)
    async with on_our_own(app) as peer:
        first = (await peer.ask("GET", "/leaves?limit=3")).json()
        assert first["items"][0] == {"id": 5, "text": "leaf 4"}
        assert first["previous"] is None
        second = (await peer.ask("GET", f"/leaves?limit=3&cursor={first['next']}")).json()
        assert [leaf["id"] for leaf in second["items"]] == [2, 1]
        assert second["next"] is None


async def test_a_cursor_is_good_in_every_process_with_the_key(tmp_path: Path) -> None:
    key, new = Secret("k" * 40), Secret("n" * 40)
    app = _app(tmp_path, secret_key=key)
    await _filled(app)
    async with on_our_own(app) as peer:
        cursor = (await peer.ask("GET", "/leaves?limit=3")).json()["next"]
    for settings, status in (
        ({"secret_key": key}, 200),
        ({"secret_key": new, "secret_key_previous": key}, 200),
        ({"secret_key": new}, 422),
    ):
        async with on_our_own(_app(tmp_path, **settings)) as peer:
            assert (await peer.ask("GET", f"/leaves?cursor={cursor}")).status == status


@pytest.mark.parametrize(
    ("query", "parameter"), [("limit=0", "limit"), ("limit=101", "limit"), ("cursor=x", "cursor")]
)
async def test_what_is_wrong_is_named(tmp_path: Path, query: str, parameter: str) -> None:
    app = _app(tmp_path, debug=True)
    await _filled(app)
    async with on_our_own(app) as peer:
        answer = await peer.ask("GET", f"/leaves?{query}")
        assert answer.status == 422
        assert [place for place, _ in answer.errors] == [parameter]


def test_an_application_without_a_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(MissingSecretKey):
        _app(tmp_path).compile()


def test_it_is_described(tmp_path: Path) -> None:
    described = _app(tmp_path, debug=True).describe()
    operation = described["paths"]["/leaves"]["get"]
    assert {p["name"]: p["in"] for p in operation["parameters"]} == {
        "cursor": "query",
        "limit": "query",
    }
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    named = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(named["properties"]) == {"items", "next", "previous"}
    assert named["properties"]["items"]["items"]["$ref"].endswith("LeafOut")
