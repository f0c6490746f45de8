"""What a request says of itself, and what it cannot be made to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.auth import anyone
from mainspring.http import BadRequest, Request
from mainspring.http._request import parse_cookies, parse_query


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1; b=2", {"a": "1", "b": "2"}),
        (b"a=1;b=2;", {"a": "1", "b": "2"}),
        (b'a="1"', {"a": "1"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a=", {"a": ""}),
        (b" a = 1 ", {"a": "1"}),
        # The first of two is the one with the longer path (RFC 6265, section 5.4).
        (b"a=1; a=2", {"a": "1"}),
        (b"A=1; a=2", {"A": "1", "a": "2"}),
        # A pair without a name is no cookie of ours (CVE-2023-23934).
        (b"=__Host-session=x", {}),
        (b" =__Host-session=x; a=1", {"a": "1"}),
        (b"__Host-session", {}),
        (b"=; ;;; =", {}),
        (b"a=1, b=2", {"a": "1, b=2"}),
        (b"a=\xff", {"a": "ÿ"}),
        (b'a="1', {"a": '"1'}),
        (b'a="', {"a": '"'}),
        (b'a=""', {"a": ""}),
    ],
)
def test_cookies_are_read_in_one_way(sent: bytes, found: dict[str, str]) -> None:
    assert parse_cookies(sent) == found


@given(st.binary())
def test_no_bytes_make_a_cookie_without_a_name(sent: bytes) -> None:
    assert "" not in parse_cookies(sent)


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"a=1&a=2&b=", {"a": ["1", "2"], "b": [""]}),
        (b"a", {"a": [""]}),
        (b"=1", {"": ["1"]}),
        (b"&&a=1&", {"a": ["1"]}),
        (b"a=1;b=2", {"a": ["1;b=2"]}),
        (b"%61=%31+%2B", {"a": ["1 +"]}),
        (b"a=%", {"a": ["%"]}),
        (b"a=%2", {"a": ["%2"]}),
        (b"a=%252e", {"a": ["%2e"]}),
        (b"a=%C3%A9", {"a": ["é"]}),
        ("a=é".encode(), {"a": ["é"]}),
        (b"a[b]=1", {"a[b]": ["1"]}),
    ],
)
def test_a_query_is_decoded_once(sent: bytes, found: dict[str, list[str]]) -> None:
    assert parse_query(sent) == found


@pytest.mark.parametrize("sent", [b"a=%ff", b"a=\xff", b"%ed%a0%80", b"a=%c0%af", b"a&" * 256])
def test_a_query_of_other_bytes_or_of_too_many_names_is_refused(sent: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_query(sent)


def test_headers_are_read_as_text_without_case() -> None:
    request = Request("GET", "/", headers={b"x-one": b"a, b", b"host": b"example.com:8000"})
    assert request.headers["X-ONE"] == "a, b"
    assert "x-two" not in request.headers
    assert request.headers.get("é") is None
    assert dict(request.headers) == {"x-one": "a, b", "host": "example.com:8000"}


@pytest.mark.parametrize(
    ("host", "path", "name", "url"),
    [
        (b"example.com", "/a", "example.com", "http://example.com/a?x=1"),
        (b"example.com:8000", "/a", "example.com", "http://example.com:8000/a?x=1"),
        (b"[::1]:8000", "/a", "[::1]", "http://[::1]:8000/a?x=1"),
        (b"[::1]", "/a", "[::1]", "http://[::1]/a?x=1"),
        (b"example.com", "//evil.example/a", "example.com", "http://example.com//evil.example/a?x=1"),
        (b"example.com", "/@evil.example", "example.com", "http://example.com/@evil.example?x=1"),
    ],
)  # fmt: skip
def test_the_host_is_never_taken_from_the_path(host, path, name, url) -> None:
    request = Request(
        "GET", path, raw_path=path.encode(), query_string=b"x=1", headers={b"host": host}
    )
    assert (request.host, request.url) == (name, url)


async def test_a_body_is_read_whole_or_in_parts_up_to_a_limit_of_ones_own(app, serve) -> None:
    @app.post("/read", allow=anyone)
    async def read(request: Request) -> int:
        return len(await request.read(limit_bytes=10))

    peer = await serve(app)
    assert (await peer.ask("POST", "/read", body=b"x" * 10)).json() == 10
    assert (await peer.ask("POST", "/read", body=b"x" * 11)).status == 413
