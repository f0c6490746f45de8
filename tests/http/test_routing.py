# ruff: noqa: E501  # a line of a table is a case
"""From method and path to a handler."""

from datetime import date
from uuid import UUID

import pytest

from mainspring.auth import Policy, anyone
from mainspring.http import RouteError, Router
from tests.http.direct import application, ask, value

NOBODY = Policy("nobody", lambda _: False, needs_principal=False)


def shop():
    app = application()

    @app.get("/items", allow=anyone)
    async def items() -> str:
        return "items"

    @app.get("/items/{id}", allow=anyone)
    async def item(id: int) -> str:  # noqa: A002
        return f"item {id}"

    @app.get("/items/new", allow=anyone)
    async def new() -> str:
        return "new"

    @app.put("/items/{id:int}", allow=anyone)
    async def put(id: int) -> str:  # noqa: A002
        return f"put {id}"

    @app.get("/items/{slug}/{part}", allow=anyone)
    async def part(slug: str, part: UUID) -> str:
        return f"{slug} {part}"

    @app.get("/days/{day}", allow=anyone)
    async def day(day: date) -> str:
        return day.isoformat()

    @app.get("/files/{rest:path}", allow=anyone)
    async def files(rest: str) -> str:
        return f"[{rest}]"

    @app.get("/", allow=anyone)
    async def root() -> str:
        return "root"

    @app.get("/slash/", allow=anyone)
    async def slash() -> str:
        return "slash"

    return app


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "root"),
        ("/items", "items"),
        ("/items/7", "item 7"),
        ("/items/-7", "item -7"),
        ("/items/new", "new"),
        ("/items/a b/00000000-0000-0000-0000-000000000001", "a b 00000000-0000-0000-0000-000000000001"),
        ("/days/2026-02-28", "2026-02-28"),
        ("/files/a/b//c", "[a/b//c]"),
        ("/files/", "[]"),
        ("/slash/", "slash"),
    ],
)  # fmt: skip
async def test_a_path_finds_its_handler(path, found) -> None:
    response = await ask(shop(), "GET", path)
    assert (response.status, response.body) == (200, found.encode())


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/items/", "/items//", "//items", "/items/seven", "/items/1_0", "/items/ 7",
        "/items/+7", "/items/7.0", "/items/٧", "/items/" + "9" * 30, "/items/--7", "/items/-",
        "/items/x/not-a-uuid", "/items/x/{00000000-0000-0000-0000-000000000001}", "/days/2026-02-30",
        "/days/20260228", "/days/2026-W01-1", "/files", "/slash", "/ITEMS", "/items/7/", "/items/new/", "items",
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_not_found(path) -> None:
    assert (await ask(shop(), "GET", path)).status in {400, 404}


async def test_another_method_is_refused_with_those_that_there_are() -> None:
    app = shop()
    response = await ask(app, "DELETE", "/items/7")
    assert (response.status, response.get_header("allow")) == (405, "GET, HEAD, OPTIONS, PUT")
    assert (await ask(app, "get", "/items")).status == 405
    assert (await ask(app, "PROPFIND", "/nothing")).status == 404


async def test_options_and_head_come_with_every_route() -> None:
    app = shop()
    asked = await ask(app, "OPTIONS", "/items")
    assert (asked.status, asked.get_header("allow")) == (204, "GET, HEAD, OPTIONS")
    assert (await ask(app, "HEAD", "/items/7")).body == b"item 7"  # a server sends no body to HEAD


async def test_a_router_adds_its_prefix_its_policy_and_its_tags() -> None:
    inner = Router("/notes", tags=["notes"])

    @inner.get("/{id}")
    async def note(id: int) -> int:  # noqa: A002
        return id

    outer = Router("/v1", allow=NOBODY, tags=["v1"])
    outer.include(inner, prefix="/api")
    app = application()
    app.include(outer)
    assert (await ask(app, "GET", "/v1/api/notes/3")).status == 401
    [route] = app.routes
    assert (route.pattern, route.tags) == ("/v1/api/notes/{id}", ("v1", "notes"))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("items", "does not begin with"),
        ("/items/{id", "neither text nor one capture"),
        ("/items/a{id}", "neither text nor one capture"),
        ("/items/{id:float}", "no path type 'float'"),
        ("/items/{id}/{id}", "captures a name twice"),
        ("/items/{id:path}/x", "goes on after a path capture"),
        ("/items/{other}", "has no parameter for other"),
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_meant_stops_the_start(pattern, text) -> None:
    app = application()

    @app.get(pattern, allow=anyone)
    async def item(id: str = "") -> None: ...  # noqa: A002

    with pytest.raises(RouteError, match=text):
        app.compile()


def test_the_same_route_twice_stops_the_start() -> None:
    app = application()
    for number in range(2):

        async def handler() -> int:
            return number  # noqa: B023

        app.get("/items", allow=anyone)(handler)
    with pytest.raises(RouteError, match="declared twice"):
        app.compile()


async def test_static_segments_win_over_captures_and_narrow_ones_over_wide_ones() -> None:
    app = application()

    @app.get("/a/{text}", allow=anyone)
    async def text(text: str) -> str:
        return f"text {text}"

    @app.get("/a/{number}", allow=anyone)
    async def number(number: int) -> str:
        return f"number {number}"

    @app.get("/{rest:path}", allow=anyone)
    async def rest(rest: str) -> str:
        return f"rest {rest}"

    @app.get("/a/b/c", allow=anyone)
    async def fixed() -> str:
        return "fixed"

    found = [
        (await ask(app, "GET", path)).body for path in ("/a/1", "/a/b", "/a/b/c", "/a/b/d", "/x")
    ]
    assert found == [b"number 1", b"text b", b"fixed", b"rest a/b/d", b"rest x"]


async def test_a_policy_is_asked_before_the_body_is_read() -> None:
    app = application()

    @app.post("/items", allow=NOBODY)
    async def add(item: dict[str, int]) -> dict[str, int]:
        return item

    response = await ask(app, "POST", "/items", body=b"no json at all")
    assert response.status == 401
    assert value(response)["title"] == "Unauthorized"
