"""Pages of other origins read what they may, and nothing is reflected."""

from datetime import timedelta

import pytest

from mainspring.app import App
from mainspring.auth import Policy, anyone
from mainspring.security import Cors, CorsError
from mainspring.settings import Settings

NOBODY = Policy("nobody", lambda _: False, needs_principal=False)
HOME = "https://app.example.com"


def application(cors: Cors | None = None, **settings) -> App:
    app = App("test", cors=cors, settings=Settings(log_level="error", **settings))

    @app.get("/notes", allow=anyone)
    async def notes() -> dict[str, int]:
        return {"count": 1}

    @app.get("/own", allow=NOBODY)
    async def own() -> dict[str, int]:
        return {"count": 1}

    @app.get("/text", allow=anyone)
    async def text() -> str:
        return "x" * 2000

    @app.post("/broken", allow=anyone)
    async def broken() -> None:
        raise RuntimeError

    return app


def preflight(origin: str, method: str = "PUT", headers: str = "authorization") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


async def test_a_preflight_is_answered_before_routing_and_policy(serve) -> None:
    peer = await serve(application(cors_origins=(HOME,)))
    for path in ("/own", "/notes", "/nowhere"):
        answer = await peer.ask("OPTIONS", path, headers=preflight(HOME))
        assert answer.status == 204
        assert answer.header("access-control-allow-origin") == HOME
        assert "PUT" in answer.header("access-control-allow-methods").split(", ")
        assert "authorization" in answer.header("access-control-allow-headers").split(", ")
        assert answer.header("access-control-max-age") == "600"
        assert answer.header("access-control-allow-credentials") is None
        assert answer.header("vary") == "origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "https://app.example.com.evil.example", "https://appXexample.com",
        "http://app.example.com", "https://app.example.com:8443", "null", "*", "",
        "https://APP.example.com", "https://app.example.com/", "https://xapp.example.com",
    ],
)  # fmt: skip
async def test_no_other_origin_is_told_anything(serve, origin) -> None:
    peer = await serve(application(cors_origins=(HOME,)))
    asked = await peer.ask("OPTIONS", "/notes", headers=preflight(origin))
    assert asked.status == 403
    simple = await peer.ask("GET", "/notes", headers={"Origin": origin})
    assert simple.status == 200
    for answer in (asked, simple):
        assert "origin" in answer.header("vary").split(", ")
        assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


async def test_every_answer_says_who_may_read_it_errors_included(serve) -> None:
    peer = await serve(application(cors_origins=(HOME, "http://localhost:3000")))
    for method, path, status in [
        ("GET", "/notes", 200), ("GET", "/own", 401), ("GET", "/nowhere", 404),
        ("DELETE", "/notes", 405), ("POST", "/broken", 500), ("GET", "/text", 200),
        ("OPTIONS", "/notes", 204),
    ]:  # fmt: skip
        answer = await peer.ask(method, path, headers={"Origin": "http://localhost:3000"})
        assert answer.status == status
        assert answer.all("access-control-allow-origin") == ["http://localhost:3000"]
        assert "origin" in answer.header("vary").split(", ")
        assert "location" in answer.header("access-control-expose-headers")


async def test_answers_vary_by_origin_also_for_who_sends_none(serve) -> None:
    peer = await serve(application(cors_origins=(HOME,)))
    for path in ("/notes", "/text", "/nowhere"):
        answer = await peer.ask("GET", path)
        assert "origin" in answer.header("vary").split(", ")
        assert answer.header("access-control-allow-origin") is None


async def test_without_origins_nothing_is_said(serve) -> None:
    peer = await serve(application())
    answer = await peer.ask("OPTIONS", "/notes", headers=preflight(HOME))
    assert answer.header("allow") == "GET, HEAD, OPTIONS"
    answer = await peer.ask("GET", "/notes", headers={"Origin": HOME})
    assert answer.header("vary") == "accept, accept-encoding"
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


async def test_all_origins_are_told_the_same_so_that_caches_need_not_know(serve) -> None:
    peer = await serve(application(cors_origins=("*",)))
    for headers in ({}, {"Origin": HOME}):
        for path in ("/notes", "/nowhere"):
            answer = await peer.ask("GET", path, headers=headers)
            assert answer.all("access-control-allow-origin") == ["*"]
            assert "origin" not in (answer.header("vary") or "")
            assert answer.header("access-control-allow-credentials") is None
    asked = await peer.ask("OPTIONS", "/own", headers=preflight("null"))
    assert asked.all("access-control-allow-origin") == ["*"]


async def test_cookies_are_sent_along_only_where_the_application_says_so(serve) -> None:
    rules = Cors(origins=(HOME,), credentials=True, methods=("PUT",), max_age=timedelta(hours=1))
    peer = await serve(application(rules))
    asked = await peer.ask("OPTIONS", "/own", headers=preflight(HOME))
    simple = await peer.ask("GET", "/own", headers={"Origin": HOME})
    for answer in (asked, simple):
        assert answer.header("access-control-allow-credentials") == "true"
        assert answer.header("access-control-allow-origin") == HOME
    assert asked.header("access-control-allow-methods") == "PUT"


async def test_a_private_network_is_never_allowed(serve) -> None:
    peer = await serve(application(cors_origins=(HOME,)))
    headers = {**preflight(HOME), "Access-Control-Request-Private-Network": "true"}
    answer = await peer.ask("OPTIONS", "/notes", headers=headers)
    assert answer.header("access-control-allow-private-network") is None


async def test_a_compressed_answer_says_it_too(serve) -> None:
    peer = await serve(application(cors_origins=(HOME,)))
    answer = await peer.ask("GET", "/text", headers={"Origin": HOME, "Accept-Encoding": "gzip"})
    assert answer.header("content-encoding") == "gzip"
    assert answer.header("access-control-allow-origin") == HOME
    assert answer.header("vary") == "origin, accept-encoding"


@pytest.mark.parametrize(
    ("origin", "meant"),
    [
        ("https://app.example.com/", "https://app.example.com"),
        ("https://App.Example.com", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80/", "http://app.example.com"),
        ("app.example.com", "scheme://host"),
        ("https://*.example.com", "scheme://host"),
        ("https://app.example.com/path", "scheme://host"),
        ("https://user@app.example.com", "scheme://host"),
        ("null", "scheme://host"),
        ("", "scheme://host"),
    ],
)
def test_what_is_no_origin_stops_the_start(origin: str, meant: str) -> None:
    with pytest.raises(CorsError) as caught:
        Cors(origins=(origin,))
    assert meant in caught.value.fix


@pytest.mark.parametrize(
    "origin",
    ["https://a.b", "http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:5173",
     "chrome-extension://abcdef", "https://xn--bcher-kva.example"],
)  # fmt: skip
def test_origins_as_browsers_send_them_are_taken(origin: str) -> None:
    assert Cors(origins=(origin,)).allows(origin)


def test_credentials_for_everybody_stop_the_start() -> None:
    with pytest.raises(CorsError, match="act as its visitor"):
        Cors(origins=("*",), credentials=True)
