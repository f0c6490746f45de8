"""Hosts that are answered, and the headers of every answer."""

import pytest

from mainspring.auth import anyone
from mainspring.http import BadRequest, Html, Request, Response
from mainspring.http.layers.protect import Hosts, Protection
from tests.http.direct import application, ask


@pytest.mark.parametrize(
    ("allowed", "sent", "taken"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com", True),
        ("example.com", "example.com:8000", True),
        ("example.com", "example.com.", True),
        ("example.com", "example.com.:80", True),
        ("example.com", "exampleXcom", False),
        ("example.com", "sub.example.com", False),
        ("example.com", "example.com.evil.com", False),
        ("example.com", "evilexample.com", False),
        ("example.com", "example.com@evil.com", False),
        ("example.com", "evil.com:example.com", False),
        ("example.com", "example.com:80:80", False),
        ("example.com", "example.com:port", False),
        ("example.com", "example.com/x", False),
        ("example.com", "example.com ", False),
        ("example.com", "example.com\0", False),
        ("example.com", "example.com,evil.com", False),
        ("example.com", "", False),
        (".example.com", "example.com", True),
        (".example.com", "a.b.example.com", True),
        (".example.com", "evilexample.com", False),
        (".example.com", ".example.com", True),
        ("::1", "[::1]", True),
        ("::1", "[::1]:8000", True),
        ("::1", "::1", False),
        ("::1", "[::2]", False),
        ("127.0.0.1", "127.0.0.1:80", True),
        ("127.0.0.1", "127x0x0x1", False),
        ("*", "anything.example", True),
        ("*", "a b", False),
        ("*", "evil.com/path", False),
        ("*", "user@evil.com", False),
    ],
)
def test_a_host_is_a_literal_name(allowed: str, sent: str, taken: bool) -> None:
    hosts = Hosts([allowed])
    request = Request("GET", "/", headers={b"host": sent.encode("latin-1")})
    for _ in range(2):  # what was admitted is remembered
        if taken:
            hosts.check(request)
        else:
            with pytest.raises(BadRequest):
                hosts.check(request)


def test_a_request_without_a_host_is_refused_unless_it_is_old() -> None:
    with pytest.raises(BadRequest):
        Hosts(["example.com"]).check(Request("GET", "/"))
    Hosts(["example.com"]).check(Request("GET", "/", http_version="1.0"))


def test_many_different_hosts_do_not_fill_the_memory() -> None:
    hosts = Hosts([".example.com"])
    for number in range(1000):
        hosts.check(Request("GET", "/", headers={b"host": b"h%d.example.com" % number}))
    assert len(hosts._known) <= 128


async def test_every_answer_is_protected_and_may_say_otherwise() -> None:
    app = application()

    @app.get("/own", allow=anyone)
    async def own() -> Response:
        return Response("x", headers={"X-Frame-Options": "SAMEORIGIN"})

    @app.get("/page", allow=anyone)
    async def page() -> Html:
        return Html("<p>hello")

    @app.get("/data", allow=anyone)
    async def data() -> dict[str, int]:
        return {}

    @app.get("/broken", allow=anyone)
    async def broken() -> None:
        raise RuntimeError

    wanted = {
        "x-content-type-options": "nosniff", "referrer-policy": "strict-origin-when-cross-origin",
        "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin",
    }  # fmt: skip
    for path in ("/page", "/broken", "/nowhere"):
        response = await ask(app, "GET", path)
        assert {name: response.get_header(name) for name in wanted} == wanted
    plain = await ask(app, "GET", "/data")
    assert plain.get_header("x-content-type-options") == "nosniff"
    assert plain.get_header("x-frame-options") is None
    response = await ask(app, "GET", "/own")
    names = [name for name, _ in response.headers]
    assert response.get_header("x-frame-options") == "SAMEORIGIN"
    assert names.count(b"x-frame-options") == 1
    assert len((await ask(app, "GET", "/own")).headers) == len(names)


def test_many_different_headers_do_not_fill_the_memory() -> None:
    protection = Protection()
    for number in range(1000):
        protection.apply(((b"x-number", b"%d" % number),))
    assert len(protection._frozen) <= 128
