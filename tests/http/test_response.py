# ruff: noqa: E501  # a line of a table is a case
"""Headers and cookies: nothing that an application puts into them breaks out of its line."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.auth import anyone
from mainspring.http import Redirect, Response, UnsafeHeader
from mainspring.http._response import header

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F) if code != 0x09]
BAD_VALUES = [f"a{c}b" for c in CONTROLS] + [" a", "a ", "a\t", "\ta", "a\r\nSet-Cookie: b=c", "☃"]
BAD_NAMES = ["", " a", "a b", "a:", "a\r\nb", "a\0", "é", "a\n", '"a"', "a,b", "(a)", "a\x7f"]


@pytest.mark.parametrize("value", BAD_VALUES, ids=ascii)
def test_no_value_of_a_header_holds_a_control_character(value: str) -> None:
    for put in (
        lambda: header("x", value),
        lambda: Response(headers={"x": value}),
        lambda: Response().set_header("x", value),
        lambda: Response().add_header("x", value),
        lambda: Response(media_type=value),
        lambda: Redirect(value),
    ):
        with pytest.raises(UnsafeHeader):
            put()


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_no_name_of_a_header_is_anything_but_a_token(name: str) -> None:
    for put in (lambda: header(name, "x"), lambda: Response().add_header(name, "x")):
        with pytest.raises(UnsafeHeader):
            put()


def test_assertions_switched_off_change_nothing() -> None:
    script = """
from mainspring.http import Response, UnsafeHeader
for put in (
    lambda: Response(headers={"x": "a\\r\\nb: c"}),
    lambda: Response().set_cookie("a", "b\\r\\nc"),
    lambda: Response().set_cookie("a\\n", "b"),
    lambda: Response().set_cookie("a", "b", path="/\\r\\nx: y"),
):
    try:
        put()
    except UnsafeHeader:
        continue
    raise SystemExit("was taken")
"""
    subprocess.run([sys.executable, "-O", "-c", script], check=True)


@given(st.text(), st.text())
def test_what_is_taken_is_one_line(name: str, value: str) -> None:
    try:
        raw_name, raw_value = header(name, value)
    except UnsafeHeader:
        return
    assert not {*b"\r\n\0"} & {*raw_name, *raw_value}
    assert raw_name.islower() or not raw_name.isalpha()


async def test_an_unsafe_header_is_an_error_of_ours_and_never_sent(app, serve) -> None:
    @app.get("/", allow=anyone)
    async def home(to: str) -> Redirect:
        return Redirect(to)

    peer = await serve(app)
    answer = await peer.ask("GET", "/?to=%0d%0aSet-Cookie:%20a=b")
    assert answer.status == 500
    assert answer.header("set-cookie") is None
    assert (await peer.ask("GET", "/?to=/fine")).header("location") == "/fine"


def test_headers_are_set_added_and_read_without_case() -> None:
    response = Response("text", headers={"X-One": "1"}, media_type="text/plain")
    response.add_header("x-two", "a")
    response.add_header("X-Two", "b")
    response.set_header("x-one", "2")
    assert response.headers == [
        (b"content-type", b"text/plain"), (b"x-two", b"a"), (b"x-two", b"b"), (b"x-one", b"2"),
    ]  # fmt: skip
    assert response.get_header("X-ONE") == "2"
    assert response.get_header("x-none") is None


def test_vary_names_each_header_once() -> None:
    response = Response(headers={"vary": "accept"})
    response.vary_on("Cookie")
    response.vary_on("Accept")
    response.vary_on("cookie")
    assert response.get_header("vary") == "accept, Cookie"


def test_a_cookie_is_closed_unless_it_is_opened() -> None:
    response = Response()
    response.set_cookie("__Host-session", "abc")
    response.set_cookie(
        "theme", "dark", max_age=timedelta(days=1), expires=datetime(2030, 1, 2, tzinfo=UTC),
        path="/app", domain="example.com", secure=False, http_only=False, same_site="strict",
    )  # fmt: skip
    response.delete_cookie("old")
    assert [value.decode() for name, value in response.headers if name == b"set-cookie"] == [
        "__Host-session=abc; Path=/; Secure; HttpOnly; SameSite=Lax",
        "theme=dark; Path=/app; Max-Age=86400; Expires=Wed, 02 Jan 2030 00:00:00 GMT; Domain=example.com; SameSite=Strict",
        "old=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax",
    ]


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("a b", "x", {}), ("", "x", {}), ("a=b", "x", {}), ("a;b", "x", {}), ("é", "x", {}), ("a\n", "x", {}),
        ("a", "x y", {}), ("a", "x;y", {}), ("a", 'x"y', {}), ("a", "x,y", {}), ("a", "x\\y", {}),
        ("a", "x\r\ny", {}), ("a", "é", {}), ("a", "x\x7f", {}),
        ("a", "x", {"path": "/;Domain=evil"}), ("a", "x", {"path": "/\r\nx"}),
        ("a", "x", {"domain": "a.b;c"}), ("a", "x", {"domain": "a\nb"}),
        ("__Host-a", "x", {"domain": "example.com"}), ("__Host-a", "x", {"path": "/app"}),
        ("__Host-a", "x", {"secure": False}), ("__Secure-a", "x", {"secure": False}),
        ("__host-a", "x", {"secure": False}), ("a", "x", {"same_site": "none", "secure": False}),
    ],
)  # fmt: skip
def test_a_cookie_that_browsers_would_read_otherwise_is_refused(name, value, options) -> None:
    with pytest.raises(UnsafeHeader):
        Response().set_cookie(name, value, **options)
