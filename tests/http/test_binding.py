# ruff: noqa: E501  # a line of a table is a case
"""From a request to the arguments of a handler, and from its result to a response."""

import asyncio
import enum
import threading
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

from mainspring.auth import anyone
from mainspring.http import Body, Cookie, Created, Form, Header, Html, Query, Request, RouteError
from tests.http.direct import application, ask, errors, value

T = TypeVar("T")


class Note(Struct):
    title: Annotated[str, Meta(min_length=1, max_length=10)]
    pages: int = 1


class Cat(Struct, tag=True):
    name: str


class Dog(Struct, tag=True):
    age: int


class Page(Struct, Generic[T]):
    items: list[T]


class Search(Struct, rename="kebab"):
    free_text: str = ""
    max_pages: Annotated[int, Meta(le=100)] = 10
    tag: list[str] = []


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


def serving(handler: Any, *, method: str = "GET", pattern: str = "/", **options: Any):
    app = application()
    app.route(pattern, methods=[method], **{"allow": anyone, **options})(handler)
    return app


@pytest.mark.parametrize(
    ("kind", "query", "wanted"),
    [
        (str, "q=a%20b+c", "a b c"), (str, "q=", ""), (str, "q=%2B", "+"), (str, "q=a%3Db%26c", "a=b&c"),
        (int, "q=7", 7), (int, "q=-7", -7), (float, "q=1.5", 1.5), (bool, "q=true", True),
        (bool, "q=0", False), (list[str], "q=a&q=b", ["a", "b"]), (list[int], "q=1", [1]),
        (tuple[int, ...], "q=1&q=2", [1, 2]), (int | None, "q=7", 7), (int | None, "q=null", None),
        (Literal["a", "b"], "q=a", "a"), (Colour, "q=red", "red"), (date, "q=2026-01-31", "2026-01-31"),
        (datetime, "q=2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"), (Decimal, "q=1.10", "1.10"),
        (UUID, "q=00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
        (timedelta, "q=PT1H", "PT3600S"), (Annotated[int, Meta(ge=1)], "q=1", 1),
        (Annotated[str, Query("q"), Meta(max_length=2)], "q=ab", "ab"),
        (list[str] | None, "q=a", ["a"]),
    ],
)  # fmt: skip
async def test_a_query_parameter_becomes_its_type(kind, query, wanted) -> None:
    async def handler(q: kind) -> Any:
        return [q]

    response = await ask(serving(handler), "GET", f"/?{query}")
    assert (response.status, value(response)) == (200, [wanted])


@pytest.mark.parametrize(
    ("kind", "query", "text"),
    [
        (str, "", "is required"), (str, "Q=a", "is required"), (int, "q=", "expected int, got str"),
        (int, "q=x", "expected int, got str"), (int, "q=1.5", "expected int, got str"),
        (float, "q=nan", "must be a finite number"), (float, "q=inf", "must be a finite number"),
        (float, "q=1e999", "number out of range"), (list[float], "q=1&q=nan", "must be a finite number"),
        (datetime, "q=inf", "invalid epoch timestamp"), (date, "q=2026-02-30", "invalid RFC3339 encoded date"),
        (timedelta, "q=inf", "duration is out of range"), (Decimal, "q=nan", "must be a finite number"),
        (int, "q=" + "9" * 5000, "integer value out of range"), (bool, "q=yes", "expected bool, got str"),
        (str, "q=a&q=b", "is given more than once"), (Literal["a"], "q=b", "invalid enum value 'b'"),
        (Annotated[int, Meta(ge=1)], "q=0", "must be at least 1"), (Annotated[str, Meta(max_length=2)], "q=abc", "must have at most 2 characters"),
        (list[int], "q=1&q=x", "expected int, got str"),
    ],
)  # fmt: skip
async def test_a_query_parameter_that_is_wrong_is_named(kind, query, text) -> None:
    async def handler(q: kind) -> Any:
        return [q]

    response = await ask(serving(handler), "GET", f"/?{query}")
    assert (response.status, errors(response)) == (422, [("q", text)])


async def test_a_query_has_a_bounded_number_of_parameters_of_utf_8() -> None:
    async def handler(q: str = "x") -> str:
        return q

    app = serving(handler)
    assert (await ask(app, "GET", "/?" + "a=1&" * 255)).status == 200
    assert (await ask(app, "GET", "/?" + "a=1&" * 300)).status == 400
    assert (await ask(app, "GET", "/?q=%ff")).status == 400
    assert (await ask(app, "GET", "/?q=%ed%a0%80")).status == 400
    assert (await ask(app, "GET", "/?q=%zz")).body == b"%zz"
    assert (await ask(app, "GET", "/?q=a;q=b")).body == b"a;q=b"


async def test_a_struct_of_query_parameters() -> None:
    async def handler(search: Annotated[Search, Query()]) -> Search:
        return search

    app = serving(handler)
    found = await ask(app, "GET", "/?free-text=a&tag=x&tag=y&unknown=1")
    assert value(found) == {"free-text": "a", "max-pages": 10, "tag": ["x", "y"]}
    wrong = await ask(app, "GET", "/?max-pages=101&free-text=a&free-text=b")
    assert sorted(errors(wrong)) == [
        ("free-text", "is given more than once"), ("max-pages", "must be at most 100"),
    ]  # fmt: skip


async def test_headers_and_cookies_are_bound_by_name() -> None:
    async def handler(
        x_count: Annotated[int, Header()],
        token: Annotated[str, Header("X-Token"), Meta(min_length=2)] = "none",
        theme: Annotated[str, Cookie()] = "light",
        size: Annotated[int | None, Cookie("font-size")] = None,
    ) -> list[Any]:
        return [x_count, token, theme, size]

    app = serving(handler)
    response = await ask(app, "GET", "/", x_count="3")
    assert value(response) == [3, "none", "light", None]
    response = await ask(
        app, "GET", "/", x_count="3", x_token="ab", cookie='theme="dark"; font-size=12; theme=x'
    )
    assert value(response) == [3, "ab", "dark", 12]
    response = await ask(app, "GET", "/", x_token="a", cookie="font-size=big")
    assert errors(response) == [
        ("x-count", "is required"), ("X-Token", "must have at least 2 characters"),
        ("font-size", "expected int | null, got str"),
    ]  # fmt: skip


async def test_the_constraints_of_a_captured_part_hold() -> None:
    async def handler(
        page: Annotated[int, Meta(ge=1)], name: Annotated[str, Meta(max_length=3)]
    ) -> list[Any]:
        return [page, name]

    app = serving(handler, pattern="/{page}/{name}")
    assert value(await ask(app, "GET", "/1/abc")) == [1, "abc"]
    response = await ask(app, "GET", "/0/abcd")
    assert errors(response) == [
        ("page", "must be at least 1"), ("name", "must have at most 3 characters"),
    ]  # fmt: skip
    assert (await ask(app, "GET", "/x/abc")).status == 404


async def test_one_answer_names_what_is_wrong_with_body_and_query_together() -> None:
    async def handler(note: Note, size: int, who: Annotated[str, Header("x-who")]) -> None: ...

    response = await ask(
        serving(handler, method="POST"), "POST", "/?size=x", body={"title": "", "pages": "1"}
    )
    assert response.status == 422
    assert errors(response) == [
        ("#/title", "can't be blank"), ("#/pages", "expected int, got str"),
        ("size", "expected int, got str"), ("x-who", "is required"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (Note, {"title": "a"}, {"title": "a", "pages": 1}),
        (Note | None, None, None),
        (list[Note], [{"title": "a"}], [{"title": "a", "pages": 1}]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict, {"a": [1]}, {"a": [1]}),
        (Cat | Dog, {"type": "Dog", "age": 3}, {"type": "Dog", "age": 3}),
        (Page[Note], {"items": [{"title": "a"}]}, {"items": [{"title": "a", "pages": 1}]}),
        (Point, {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        (Annotated[list[int], Body()], [1, 2], [1, 2]),
        (Annotated[str, Body()], "text", "text"),
        (Annotated[int, Body("count")], {"count": 3}, 3),
    ],
)  # fmt: skip
async def test_a_body_becomes_its_type_in_both_formats(kind, body, wanted) -> None:
    async def handler(body: kind) -> Any:
        return {"got": body}

    app = serving(handler, method="POST")
    assert value(await ask(app, "POST", "/", body=body)) == {"got": wanted}
    packed = msgspec.msgpack.encode(body)
    for name in ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack"):
        assert value(await ask(app, "POST", "/", body=packed, kind=name)) == {"got": wanted}


async def test_the_constraints_of_a_body_itself_hold() -> None:
    async def handler(numbers: Annotated[list[int], Body(), Meta(max_length=2)]) -> int:
        return len(numbers)

    app = serving(handler, method="POST")
    assert (await ask(app, "POST", "/", body=[1, 2])).status == 200
    assert errors(await ask(app, "POST", "/", body=[1, 2, 3])) == [
        ("#", "must have at most 2 items")
    ]


async def test_a_body_that_may_be_missing_has_its_default() -> None:
    async def handler(note: Note | None = None) -> bool:
        return note is None

    app = serving(handler, method="POST")
    assert value(await ask(app, "POST", "/")) is True
    assert value(await ask(app, "POST", "/", body={"title": "a"})) is False
    assert (await ask(app, "POST", "/", body={"title": ""})).status == 422


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200), ("application/json; charset=utf-8", 200), ("APPLICATION/JSON", 200),
        ("application/merge-patch+json", 200), ("application/vnd.api+json;v=1", 200),
        ("text/json", 415), ("text/plain", 415), ("application/jsonx", 415), ("image/svg+json", 415),
        ("application/x-www-form-urlencoded", 415), ("", 415), (";" * 50_000, 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)  # fmt: skip
async def test_only_json_and_messagepack_are_taken_for_a_body(kind, status) -> None:
    async def handler(note: Note) -> Note:
        return note

    app = serving(handler, method="POST")
    assert (await ask(app, "POST", "/", body={"title": "a"}, kind=kind)).status == status


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"), ("*/*", "application/json"), ("application/json", "application/json"),
        ("application/msgpack", "application/msgpack"), ("application/*", "application/json"),
        ("application/msgpack, application/json;q=0.9", "application/msgpack"),
        ("application/msgpack;q=0.1, */*;q=0.2", "application/json"),
        ("text/html, application/msgpack", "application/msgpack"),
        ("text/html", "406"), ("application/json;q=0", "406"), ("*/*;q=0", "406"),
        ("application/json;q=0, */*", "application/msgpack"), ("text/html,*/*;q=0.1", "application/json"),
    ],
)  # fmt: skip
async def test_an_answer_has_the_format_that_the_client_likes_best(accept, kind) -> None:
    async def handler() -> Note:
        return Note("a")

    headers = {"accept": accept} if accept else {}
    response = await ask(serving(handler), "GET", "/", **headers)
    if kind == "406":
        assert response.status == 406
        return
    assert response.get_header("content-type") == kind
    decode = msgspec.json.decode if kind.endswith("json") else msgspec.msgpack.decode
    assert decode(response.body) == {"title": "a", "pages": 1}
    assert "accept" in response.get_header("vary").split(", ")


async def test_objects_are_read_by_their_attributes_and_show_no_more_than_the_annotation() -> None:
    row = SimpleNamespace(title="a", pages=2, password="secret")

    async def one() -> Note:
        return row

    async def many() -> list[Note]:
        return [row, Note("b")]

    async def page() -> Page[Note]:
        return Page([Note("a", 2)])

    assert value(await ask(serving(one), "GET", "/")) == {"title": "a", "pages": 2}
    assert value(await ask(serving(many), "GET", "/"))[0] == {"title": "a", "pages": 2}
    assert value(await ask(serving(page), "GET", "/")) == {"items": [{"title": "a", "pages": 2}]}


@pytest.mark.parametrize(
    ("kind", "result", "status", "content_type", "body"),
    [
        (str, "a", 200, "text/plain; charset=utf-8", b"a"),
        (Html, Html("<p>"), 200, "text/html; charset=utf-8", b"<p>"),
        (Html, "<b>", 200, "text/html; charset=utf-8", b"<b>"),
        (bytes, b"\0", 200, "application/octet-stream", b"\0"),
        (None, None, 204, None, b""),
        (Note | None, None, 204, None, b""),
        (int, 3, 200, "application/json", b"3"),
        (Created[Note], Created(Note("a"), location="/1"), 201, "application/json", b'{"title":"a","pages":1}'),
    ],
)  # fmt: skip
async def test_a_result_becomes_a_response(kind, result, status, content_type, body) -> None:
    async def handler() -> kind:
        return result

    response = await ask(serving(handler), "GET", "/")
    assert (response.status, response.body) == (status, body)
    assert response.get_header("content-type") == content_type
    assert response.get_header("x-content-type-options") == "nosniff"


async def test_a_result_that_is_not_what_was_promised_is_an_error_of_ours() -> None:
    async def handler() -> Note:
        return SimpleNamespace(title="far too long for a title")

    assert (await ask(serving(handler), "GET", "/")).status == 500


async def test_a_plain_function_runs_on_a_thread_and_arguments_may_be_keywords() -> None:
    def handler(request: Request, *, size: int = 1) -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), size, request.method]

    app = serving(handler)
    assert value(await ask(app, "GET", "/?size=2")) == [False, 2, "GET"]
    app._close_pools()


async def test_a_handler_that_overruns_its_deadline_is_cancelled_and_answered_504() -> None:
    cancelled = asyncio.Event()

    async def handler() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    app = serving(handler, deadline=timedelta(milliseconds=20))
    response = await ask(app, "GET", "/")
    assert response.status == 504
    assert cancelled.is_set()


def _unknown(thing: "Nowhere") -> None: ...  # noqa: F821
def _many(*things: str) -> None: ...
def _two(one: Note, two: Note) -> None: ...
def _nested(search: Annotated[Page[Note], Form()]) -> None: ...
def _form_of_what(text: Annotated[str, Form()]) -> None: ...
def _untagged(body: Note | Search) -> None: ...
def _query_of_dataclass(point: Annotated[Point, Query()]) -> None: ...


class Stranger:
    """A class that nobody provides."""


async def _of_a_stranger(who: Stranger | None) -> None: ...


async def _of_strangers(who: list[Stranger]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (_unknown, "'Nowhere' is not known at run time"),
        (_many, "cannot be bound"),
        (_two, "more than one body"),
        (_nested, "nested field 'items'"),
        (_form_of_what, "into a Struct"),
        (_untagged, "cannot be read into"),
        (_query_of_dataclass, "Struct"),
        (_of_a_stranger, "nothing provides a Stranger for 'who'"),
        (_of_strangers, "nothing provides a Stranger for 'who'"),
    ],
)
def test_a_handler_that_cannot_be_bound_stops_the_start(handler, text) -> None:
    with pytest.raises(RouteError, match=text):
        serving(handler, method="POST").compile()
