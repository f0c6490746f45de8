"""The description of an API: what it says, that it is valid, and that the API keeps to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from mainspring.app import App
from mainspring.auth import JwtProof, Principal, anyone, role, signed_in
from mainspring.http import (
    Body,
    Cookie,
    Created,
    Event,
    EventStream,
    File,
    Form,
    Header,
    Html,
    NotFound,
    Problem,
    Query,
    Redirect,
    Request,
    Response,
    Router,
    Stream,
    Upload,
    WebSocket,
)
from mainspring.http._docs import _FILES, _file
from mainspring.settings import Secret, Settings
from tests.auth.members import Member

if TYPE_CHECKING:
    from collections.abc import Iterator


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Item(msgspec.Struct):
    """Something for sale.

    It has a price.

    Attributes:
        name: what it is called,
            in every language.
        price: in cents.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=50, examples=["Spanner"])]
    price: Annotated[int, msgspec.Meta(ge=0, le=1_000_000, description="in euro cents")]
    colour: Colour = Colour.RED
    tags: list[str] = []
    made: date | None = None


class Sold(Item):
    id: int = 0


class Filter(msgspec.Struct, rename="camel"):
    search_text: str
    page_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


class Picture(msgspec.Struct):
    title: str
    file: Upload


class SignUp(msgspec.Struct):
    email: str


def sample(**options: Any) -> App:  # noqa: C901  # a list of routes
    """An application that uses all that a document can say."""
    app = App(
        "shop",
        version="2.1",
        description="Sells things.",
        settings=Settings(log_level="critical", secret_key=Secret("x" * 40), docs="anyone"),
        **options,
    )
    items = Router("/items", allow=anyone, tags=["items"])

    @items.get("")
    async def list_items(
        colour: Colour | None = None,
        tag: Annotated[list[str] | None, Query()] = None,
        limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20,
        since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None,
    ) -> list[Sold]:
        """All items.

        The newest come first.

        Args:
            limit: how many
                at most.
        """
        return [Sold("a", 1, id=n) for n in range(min(limit, 2))]

    @items.post("")
    async def add_item(new: Item) -> Created[Sold]:
        """Add an item."""
        return Created(Sold(new.name, new.price, new.colour, new.tags, new.made, 1))

    @items.get("/{id}")
    async def read_item(id: Annotated[int, msgspec.Meta(ge=1)]) -> Sold:  # noqa: A002
        if id > 10:
            raise NotFound
        return Sold("a", 1, id=id)

    @items.delete("/{id}", deprecated=True)
    async def remove_item(id: UUID) -> None: ...  # noqa: A002

    @items.put("/{name}/price")
    async def set_price(name: str, price: Annotated[int, Body("price")]) -> dict[str, int]:
        return {name: price}

    @app.get("/search", allow=anyone)
    async def search(
        what: Annotated[Filter, Query()],
        theme: Annotated[str, Cookie()] = "light",
        client: Annotated[str | None, Header("x-client")] = None,
        accept: Annotated[str, Header()] = "",
    ) -> list[str]:
        return [what.search_text, theme]

    @app.get("/mixed", allow=anyone)
    async def mixed(which: int = 0) -> Sold | str | Redirect | None:
        return [Sold("a", 1), "text", None, Redirect("/search")][which % 4]

    @app.get("/page", allow=anyone)
    async def page() -> Html:
        return Html("<p>")

    @app.get("/file", allow=anyone)
    async def file() -> Stream:
        async def data() -> AsyncIterator[bytes]:
            yield b"x"

        return Stream(data())

    @app.get("/download", allow=anyone)
    async def download() -> File | None:
        return File("report.pdf")

    @app.get("/lines", allow=anyone)
    async def lines() -> AsyncIterator[Sold]:
        yield Sold("a", 1)

    @app.get("/events", allow=anyone)
    async def events() -> EventStream[Sold]:
        yield Event(Sold("a", 1), id="1")

    @app.get("/secret", allow=signed_in)
    async def secret() -> str:
        return "secret"

    @app.get("/admin", allow=role("admin"))
    async def admin() -> str:
        return "admin"

    @app.get("/greeting", allow=anyone)
    async def greeting(who: Principal | None) -> str:
        return "hello"

    @app.post("/pictures", allow=anyone)
    async def add_picture(picture: Annotated[Picture, Form()]) -> Created[str]:
        return Created(picture.title)

    @app.post("/sign-up", allow=anyone)
    async def sign_up(form: Annotated[SignUp, Form()]) -> Redirect:
        return Redirect("/")

    @app.get("/unsaid", allow=anyone)
    async def unsaid():
        return {"any": 1}

    @app.get("/hidden", allow=anyone, hidden=True)
    async def hidden() -> str:
        return ""

    @app.websocket("/socket", allow=anyone)
    async def socket(socket: WebSocket) -> None: ...

    app.include(items, prefix="/api")
    return app


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    app = sample(user=Member)
    app.compile()
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.describe()))
    return document


def resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def test_the_document_is_openapi_3_1(found: dict[str, Any]) -> None:
    assert found["openapi"].startswith("3.1.")
    jsonschema_rs.validator_for(OPENAPI_31).validate(found)


def test_every_schema_is_json_schema_and_every_reference_leads_somewhere(
    found: dict[str, Any],
) -> None:
    for schema in found["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )
    for reference in references(found):
        assert resolve(found, {"$ref": reference})


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_says_what_it_is(found: dict[str, Any]) -> None:
    assert found["info"] == {"title": "shop", "version": "2.1", "description": "Sells things."}
    assert found["tags"] == [{"name": "items"}]


def test_parameters_have_their_places_types_and_bounds(found: dict[str, Any]) -> None:
    operation = found["paths"]["/api/items"]["get"]
    parameters = {each["name"]: each for each in operation["parameters"]}
    assert parameters["limit"] == {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "how many at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    }
    assert parameters["tag"]["schema"] == {"type": "array", "items": {"type": "string"}}
    assert parameters["since"]["schema"] == {"type": "string", "format": "date-time"}
    assert resolve(found, parameters["colour"]["schema"])["enum"] == ["blue", "red"]
    assert (operation["summary"], operation["description"]) == (
        "All items.",
        "The newest come first.",
    )


def test_a_struct_of_the_query_is_its_fields_and_what_is_said_elsewhere_is_not_repeated(
    found: dict[str, Any],
) -> None:
    parameters = found["paths"]["/search"]["get"]["parameters"]
    assert [(each["in"], each["name"], each["required"]) for each in parameters] == [
        ("query", "searchText", True),
        ("query", "pageSize", False),
        ("cookie", "theme", False),
        ("header", "x-client", False),
    ]
    assert parameters[1]["schema"]["default"] == 20


def test_a_path_parameter_has_the_type_of_the_handlers(found: dict[str, Any]) -> None:
    read = found["paths"]["/api/items/{id}"]["get"]
    assert read["parameters"][0]["schema"] == {"type": "integer", "minimum": 1}
    assert {"200", "404", "422"} <= read["responses"].keys()
    removed = found["paths"]["/api/items/{id}"]["delete"]
    assert removed["parameters"][0]["schema"] == {"type": "string", "format": "uuid"}
    assert removed["deprecated"] is True
    assert removed["responses"]["204"] == {"description": "No Content"}
    assert "deprecated" not in read


def test_bodies_have_their_formats(found: dict[str, Any]) -> None:
    def content(path: str, method: str = "post") -> dict[str, Any]:
        body: dict[str, Any] = found["paths"][path][method]["requestBody"]
        assert body["required"] is True
        return {kind: resolve(found, each["schema"]) for kind, each in body["content"].items()}

    items = content("/api/items")
    assert items.keys() == {"application/json", "application/msgpack"}
    assert items["application/json"]["required"] == ["name", "price"]
    assert content("/sign-up").keys() == {
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }
    picture = content("/pictures")
    assert picture.keys() == {"multipart/form-data"}
    assert picture["multipart/form-data"]["properties"]["file"] == {
        "type": "string",
        "contentMediaType": "application/octet-stream",
    }
    assert content("/api/items/{name}/price", "put")["application/json"] == {
        "type": "object",
        "properties": {"price": {"type": "integer"}},
        "required": ["price"],
    }


def test_docstrings_describe_types_and_their_fields(found: dict[str, Any]) -> None:
    item = found["components"]["schemas"]["Item"]
    assert item["description"] == "Something for sale.\n\nIt has a price."
    properties = item["properties"]
    assert properties["name"]["description"] == "what it is called, in every language."
    assert properties["name"]["examples"] == ["Spanner"]
    assert properties["price"]["description"] == "in euro cents"


def test_answers_have_their_status_and_format(found: dict[str, Any]) -> None:
    def contents(path: str) -> dict[str, set[str]]:
        responses = found["paths"][path]["get"]["responses"]
        return {
            status: set(each.get("content", ()))
            for status, each in responses.items()
            if status[0] in "23"
        }

    both = {"application/json", "application/msgpack"}
    assert contents("/api/items") == {"200": both}
    assert contents("/page") == {"200": {"text/html"}}
    assert contents("/file") == {"200": set()}
    assert contents("/download") == {"200": {"*/*"}, "204": set()}
    assert contents("/lines") == {"200": {"application/jsonl"}}
    assert contents("/events") == {"200": {"text/event-stream"}}
    assert contents("/unsaid") == {"200": both}
    assert contents("/mixed") == {"200": both | {"text/plain"}, "204": set(), "303": set()}
    created = found["paths"]["/api/items"]["post"]["responses"]["201"]
    assert resolve(found, created["content"]["application/json"]["schema"])["title"] == "Sold"


@pytest.mark.parametrize(
    ("path", "statuses", "security"),
    [
        ("/secret", {"401"}, [{"credentials": []}]),
        ("/admin", {"401", "403"}, [{"credentials": []}]),
        ("/greeting", {"401"}, [{}, {"credentials": []}]),
        ("/page", set(), None),
        ("/api/items", {"400", "422", "406"}, None),
    ],
)
def test_problems_are_those_that_can_happen(
    found: dict[str, Any], path: str, statuses: set[str], security: Any
) -> None:
    operation = found["paths"][path]["get"]
    assert {status for status in operation["responses"] if status[0] == "4"} == statuses
    assert operation.get("security") == security
    problem = resolve(found, operation["responses"]["default"])
    schema = resolve(found, problem["content"]["application/problem+json"]["schema"])
    assert schema["required"] == ["type", "title", "status", "request_id"]


def test_what_takes_a_body_may_refuse_it(found: dict[str, Any]) -> None:
    responses = found["paths"]["/api/items"]["post"]["responses"]
    assert {"400", "413", "415", "422"} <= responses.keys()


def test_what_is_hidden_and_what_is_no_operation_is_left_out(found: dict[str, Any]) -> None:
    assert not {"/hidden", "/socket", "/docs", "/openapi.json"} & found["paths"].keys()


def test_names_of_operations_are_unique() -> None:
    app = App("test", settings=Settings())
    for prefix in ("/v1", "/v2"):
        router = Router(prefix, allow=anyone)

        @router.route("/things/{id}", methods=["GET", "DELETE"])
        async def thing(id: int) -> None: ...  # noqa: A002

        app.include(router)
    app.compile()
    names = [each["operationId"] for at in app.describe()["paths"].values() for each in at.values()]
    assert sorted(names) == ["get_v2_things_id", "thing", "thing_delete", "thing_get"]


def test_the_scheme_is_that_of_the_proofs() -> None:
    app = sample(user=Member, proofs=[JwtProof(scheme="Token")])
    app.compile()
    assert app.describe()["components"]["securitySchemes"]["credentials"] == {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word `Token`, a space, and a token.",
    }
    app = sample(user=Member)
    app.compile()
    scheme = app.describe()["components"]["securitySchemes"]["credentials"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_errors_in_a_form_of_ones_own_are_not_described_as_problems() -> None:
    def render(problem: Problem, request: Request) -> Response:
        return Response(b"{}", status=problem.status, media_type="application/json")

    app = App("test", settings=Settings(), renderer=render)

    @app.get("/{id}", allow=anyone)
    async def read(id: int) -> None: ...  # noqa: A002

    app.compile()
    assert all("content" not in each for each in app.describe()["components"]["responses"].values())


async def ask(app: App, path: str, **headers: str) -> Response:
    raw = {name.encode().replace(b"_", b"-"): value.encode() for name, value in headers.items()}
    request = Request("GET", path, headers={b"host": b"localhost", **raw})
    app.core.route(request)
    return await app.core.answer(request)


@pytest.mark.parametrize(
    ("setting", "debug", "status"),
    [
        ("", True, 200),
        ("", False, 404),
        ("off", True, 404),
        ("anyone", False, 200),
        ("signed_in", False, 401),
        ("admin", False, 401),
    ],
)
async def test_who_may_read_it_is_a_setting(
    tmp_path, setting: str, debug: bool, status: int
) -> None:
    app = App(
        "test",
        settings=Settings(
            log_level="critical",
            docs=setting,
            debug=debug,
            secret_key=Secret("x" * 40),
            database_url=f"sqlite:///{tmp_path / 'test.db'}",
        ),
        user=Member,
    )
    for path in ("/openapi.json", "/docs", "/docs/docs.js"):
        assert (await ask(app, path)).status == status
    await app.database.close()


async def test_the_document_and_the_page_are_served_and_revalidated() -> None:
    app = sample(user=Member)
    response = await ask(app, "/openapi.json")
    assert response.get_header("content-type") == "application/json"
    assert msgspec.json.decode(response.body)["info"]["title"] == "shop"  # type: ignore[arg-type]
    again = await ask(app, "/openapi.json", if_none_match=response.get_header("etag") or "")
    assert (again.status, again.body) == (304, b"")
    page = await ask(app, "/docs")
    policy = page.get_header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (await ask(app, "/docs/nothing.js")).status == 404


async def test_below_a_prefix_the_document_says_so() -> None:
    app = sample(user=Member)
    request = Request("GET", "/openapi.json", headers={b"host": b"localhost"})
    request.root_path = "/shop"
    app.core.route(request)
    document = msgspec.json.decode((await app.core.answer(request)).body)  # type: ignore[arg-type]
    assert document["servers"] == [{"url": "/shop"}]


async def test_an_address_of_the_applications_own_comes_first() -> None:
    app = App("test", settings=Settings(log_level="critical", docs="anyone"))

    @app.get("/docs", allow=anyone)
    async def own() -> str:
        return "own"

    assert (await ask(app, "/docs")).body == b"own"
    assert (await ask(app, "/openapi.json")).status == 200


def test_the_page_has_no_code_of_others_and_none_that_its_policy_forbids() -> None:
    page = _file("docs.html").decode()
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) == {
        "docs/docs.css",
        "docs/docs.js",
        "openapi.json",
        *re.findall(r'href="(data:[^"]+)"', page),
    }
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src=)", page)
    for name in _FILES:
        source = _file(name).decode()
        assert set(re.findall(r'from "([^"]+)"', source)) <= {"./schema.js", "./try.js"}
        assert not re.findall(r"innerHTML|outerHTML|eval\(|https?://(?!example\.com)", source)
