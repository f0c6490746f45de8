"""Forms into structs: what is read, what is refused, and what is bounded."""

from typing import Annotated

import pytest
from msgspec import Meta, Struct

from mainspring.auth import anyone
from mainspring.http import Form, RouteError

URLENCODED = "application/x-www-form-urlencoded"


class SignUp(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=20)]
    age: int
    tags: list[str] = []
    news: bool = False
    height: float | None = None


def signing_up(app, **limits):
    marked = Annotated[SignUp, Form(**limits)]

    async def sign_up(form: marked) -> SignUp:
        return form

    app.post("/sign-up", allow=anyone, body_limit_bytes=100_000)(sign_up)
    return app


def multipart(*parts: tuple[str, str], boundary: str = "cut") -> bytes:
    made = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts
    ]
    return ("".join(made) + f"--{boundary}--\r\n").encode()


async def test_an_urlencoded_form_becomes_a_struct(app, serve) -> None:
    peer = await serve(signing_up(app))
    answer = await peer.ask(
        "POST", "/sign-up", kind=URLENCODED, body=b"name=Zo%C3%AB+X&age=7&tags=a&tags=b&news=on"
    )
    assert answer.status == 200
    assert answer.json() == {
        "name": "Zoë X", "age": 7, "tags": ["a", "b"], "news": True, "height": None,
    }  # fmt: skip


async def test_a_multipart_form_becomes_the_same_struct(app, serve) -> None:
    peer = await serve(signing_up(app))
    body = multipart(("name", "Zoë X"), ("age", "7"), ("tags", "a"), ("tags", "b"), ("news", "on"))
    answer = await peer.ask("POST", "/sign-up", kind="multipart/form-data; boundary=cut", body=body)
    assert answer.status == 200
    assert answer.json()["tags"] == ["a", "b"]
    assert answer.json()["name"] == "Zoë X"


async def test_one_answer_names_all_that_is_wrong_with_a_form(app, serve) -> None:
    peer = await serve(signing_up(app))
    answer = await peer.ask(
        "POST", "/sign-up", kind=URLENCODED, body=b"name=&age=old&height=nan&news=perhaps"
    )
    assert answer.status == 422
    assert {place for place, _ in answer.errors} == {"#/name", "#/age", "#/news"}


async def test_a_number_that_is_not_finite_is_refused(app, serve) -> None:
    peer = await serve(signing_up(app))
    for text in ("nan", "inf", "-Infinity", "1e999"):
        answer = await peer.ask(
            "POST", "/sign-up", kind=URLENCODED, body=f"name=a&age=1&height={text}".encode()
        )
        assert (answer.status, answer.errors[0][0]) == (422, "#/height"), text


async def test_an_input_that_was_left_empty_is_absent_unless_it_is_text(app, serve) -> None:
    peer = await serve(signing_up(app))
    answer = await peer.ask("POST", "/sign-up", kind=URLENCODED, body=b"name=a&age=&height=")
    assert answer.errors == [("#/age", "is required")]


async def test_a_single_value_that_comes_twice_is_refused(app, serve) -> None:
    peer = await serve(signing_up(app))
    answer = await peer.ask("POST", "/sign-up", kind=URLENCODED, body=b"name=a&age=1&age=2")
    assert answer.errors == [("#/age", "is given more than once")]


async def test_a_form_is_not_taken_as_json_nor_json_as_a_form(app, serve) -> None:
    class Note(Struct):
        text: str

    @app.post("/notes", allow=anyone)
    async def write(note: Note) -> Note:
        return note

    peer = await serve(signing_up(app))
    as_json = await peer.post_json("/sign-up", {"name": "a", "age": 1})
    as_form = await peer.ask("POST", "/notes", kind=URLENCODED, body=b"text=a")
    assert (as_json.status, as_form.status) == (415, 415)
    assert as_json.header("accept") == "application/x-www-form-urlencoded, multipart/form-data"


async def test_semicolons_are_data(app, serve) -> None:
    peer = await serve(signing_up(app))
    answer = await peer.ask("POST", "/sign-up", kind=URLENCODED, body=b"name=a;age=9&age=1")
    assert answer.json()["name"] == "a;age=9"


def test_a_form_with_a_nested_field_stops_the_start(app) -> None:
    class Address(Struct):
        city: str

    class Order(Struct):
        address: Address

    @app.post("/orders", allow=anyone)
    async def order(form: Annotated[Order, Form()]) -> None: ...

    with pytest.raises(RouteError, match="nested field 'address'"):
        app.compile()
