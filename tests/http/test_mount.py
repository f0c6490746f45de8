"""ASGI applications mounted in ours, behind every server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mainspring import telemetry
from mainspring.app import App, UndeclaredPolicy
from mainspring.auth import anyone, signed_in
from mainspring.http import RouteError, Router
from mainspring.http._mount import BrokenMount
from mainspring.settings import Secret, Settings
from tests.http.every_server import EVERY, on_own

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def app(tmp_path) -> App:
    return App(
        "test",
        settings=Settings(
            log_level="critical",
            secret_key=Secret("x" * 40),
            database_url=f"sqlite:///{tmp_path / 'test.db'}",
        ),
    )


@pytest.fixture
def serve(server) -> Any:
    @contextlib.asynccontextmanager
    async def start(app: App) -> AsyncIterator[httpx.AsyncClient]:
        app.compile()
        async with (
            EVERY[server](app) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield client

    return start


class Legacy:
    """A Starlette application of which a test can see what happened in it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.done = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/", self.home),
                Route("/echo", self.echo, methods=["POST", "PUT"]),
                Route("/lines", self.lines),
                Route("/endless", self.endless),
                Route("/later", self.later),
                Route("/items/{id:int}", self.item, name="item"),
                Route("/broken", self.broken),
                Route("/half", self.half),
                WebSocketRoute("/ws", self.socket),
                WebSocketRoute("/closed", self.refuse),
            ],
            lifespan=self.lifespan,
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[dict[str, Any]]:
        self.log.append("start")
        yield {"greeting": "hello"}
        self.log.append("stop")

    async def home(self, request: Any) -> Any:
        response = PlainTextResponse(f"{request.state.greeting} {request.method}")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def item(self, request: Any) -> Any:
        return JSONResponse(
            {
                "id": request.path_params["id"],
                "q": request.query_params.get("q"),
                "url": str(request.url_for("item", id=9)),
                "host": request.headers["host"],
                "cookies": request.cookies,
            }
        )

    async def echo(self, request: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            async for part in request.stream():
                yield part

        return StreamingResponse(parts(), media_type="application/octet-stream")

    async def lines(self, _request: Any) -> Any:
        async def parts() -> AsyncIterator[str]:
            for number in range(3):
                yield f"{number}\n"

        return StreamingResponse(parts())

    async def endless(self, _request: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"more"
                    await asyncio.sleep(0)
            finally:
                self.done.set()

        return StreamingResponse(parts())

    async def later(self, _request: Any) -> Any:
        async def work() -> None:
            await asyncio.sleep(0.05)
            self.done.set()

        return PlainTextResponse("accepted", background=BackgroundTask(work))

    async def broken(self, _request: Any) -> Any:
        raise LookupError("legacy bug")

    async def half(self, _request: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise LookupError("legacy bug")

        return StreamingResponse(parts())

    async def socket(self, socket: Any) -> None:
        await socket.accept(subprotocol="legacy", headers=[(b"x-a", b"1")])
        with contextlib.suppress(Exception):
            async for text in socket.iter_text():
                await socket.send_text(f"{socket.scope['root_path']} {text}")
        self.done.set()

    async def refuse(self, socket: Any) -> None:
        await socket.close()


@pytest.fixture
async def legacy() -> Legacy:
    return Legacy()


async def test_a_mounted_application_answers_below_its_prefix(
    serve: Any, app: App, legacy: Legacy
) -> None:
    @app.get("/legacy/ours", allow=anyone)
    async def ours() -> str:
        return "ours"

    app.mount("/legacy", legacy.app, allow=anyone)
    async with serve(app) as client:
        response = await client.get("/legacy/items/3?q=a%20b", headers={"Cookie": "x=1; y=2"})
        found = response.json()
        assert found == {
            "id": 3,
            "q": "a b",
            "url": f"{client.base_url}/legacy/items/9",
            "host": found["host"],
            "cookies": {"x": "1", "y": "2"},
        }
        assert response.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/legacy/ours")).text == "ours"
        assert (await client.get("/legacy/nothing")).status_code == 404
        assert (await client.get("/elsewhere")).status_code == 404


async def test_its_lifespan_is_ours_and_its_state_reaches_its_requests(
    serve: Any, app: App, legacy: Legacy
) -> None:
    app.mount("/legacy", legacy.app, allow=anyone)
    async with serve(app) as client:
        response = await client.get("/legacy/")
        assert response.text == "hello GET"
        assert response.headers.get_list("set-cookie") == [
            "a=1; Path=/; SameSite=lax",
            "b=2; Path=/; SameSite=lax",
        ]
        head = await client.head("/legacy/", headers={"Accept-Encoding": "identity"})
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
        assert legacy.log == ["start"]
    assert legacy.log == ["start", "stop"]


async def test_the_prefix_alone_leads_to_the_slash(serve: Any, app: App, legacy: Legacy) -> None:
    app.mount("/legacy/", legacy.app, allow=anyone)
    async with serve(app) as client:
        response = await client.get("/legacy?a=1")
    assert (response.status_code, response.headers["location"]) == (308, "/legacy/?a=1")


async def test_bodies_stream_both_ways(serve: Any, app: App, legacy: Legacy) -> None:
    size = 8 * 1024 * 1024
    app.mount("/legacy", legacy.app, allow=anyone, body_limit_bytes=size)

    async def sent() -> AsyncIterator[bytes]:
        for number in range(size // 65536):
            yield bytes([number % 256]) * 65536

    async with serve(app) as client:
        response = await client.post("/legacy/echo", content=sent(), timeout=15)
        assert response.content == b"".join([part async for part in sent()])
        assert (await client.get("/legacy/lines")).text == "0\n1\n2\n"


async def test_a_body_above_the_limit_is_refused(serve: Any, app: App, legacy: Legacy) -> None:
    app.mount("/legacy", legacy.app, allow=anyone, body_limit_bytes=1000)
    async with serve(app) as client:
        assert (await client.post("/legacy/echo", content=bytes(1000))).status_code == 200
        assert (await client.post("/legacy/echo", content=bytes(1001))).status_code == 413


async def test_it_learns_that_the_client_has_left(serve: Any, app: App, legacy: Legacy) -> None:
    app.mount("/legacy", legacy.app, allow=anyone)
    async with serve(app) as client:
        async with (
            client.stream("GET", "/legacy/endless") as response,
            contextlib.aclosing(response.aiter_bytes()) as pieces,
        ):
            await anext(pieces)
        await legacy.done.wait()


async def test_what_it_does_after_its_answer_goes_on(serve: Any, app: App, legacy: Legacy) -> None:
    app.mount("/legacy", legacy.app, allow=anyone)
    async with serve(app) as client:
        assert (await client.get("/legacy/later")).text == "accepted"
        assert not legacy.done.is_set()
        await legacy.done.wait()


async def test_its_errors_are_reported_and_answered(serve: Any, app: App, legacy: Legacy) -> None:
    seen: list[telemetry.Event] = []
    app.mount("/legacy", legacy.app, allow=anyone)
    unsubscribe = telemetry.subscribe(seen.append)
    try:
        async with serve(app) as client:
            assert (await client.get("/legacy/broken")).status_code == 500
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/legacy/half")
    finally:
        unsubscribe()
    errors = [event for event in seen if event.name == "http.mount"]
    assert [str(event.error) for event in errors] == ["legacy bug", "legacy bug"]


async def test_the_policy_holds_for_all_of_it(serve: Any, app: App, legacy: Legacy) -> None:
    app.mount("/legacy", legacy.app, allow=signed_in)
    async with serve(app) as client:
        for path in ("/legacy", "/legacy/", "/legacy/items/3", "/legacy/nothing"):
            assert (await client.get(path)).status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{client.base_url.port}/legacy/ws", proxy=None)
    assert refused.value.response.status_code == 401


async def test_web_sockets_pass_through(serve: Any, app: App, legacy: Legacy) -> None:
    app.mount("/legacy", legacy.app, allow=anyone)
    async with serve(app) as client:
        address = f"ws://127.0.0.1:{client.base_url.port}/legacy"
        async with connect(f"{address}/ws", proxy=None, subprotocols=["legacy"]) as socket:
            assert socket.subprotocol == "legacy"
            await socket.send("hi")
            assert await socket.recv() == "/legacy hi"
        await legacy.done.wait()
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{address}/closed", proxy=None)
    assert refused.value.response.status_code == 403


def test_a_mount_without_a_policy_stops_the_start_and_is_named(app: App) -> None:
    app.mount("/legacy", Starlette())
    with pytest.raises(UndeclaredPolicy, match=r"MOUNT /legacy \(Starlette\)"):
        app.compile()


def test_a_prefix_has_no_captures(app: App) -> None:
    app.mount("/{tenant}", Starlette(), allow=anyone)
    with pytest.raises(RouteError, match="cannot have captures"):
        app.compile()


async def test_an_application_may_take_all_that_is_left(app: App, legacy: Legacy) -> None:
    @app.get("/notes", allow=anyone)
    async def notes() -> str:
        return "ours"

    app.mount("/", legacy.app, allow=anyone)
    async with on_own(app) as port, httpx.AsyncClient(trust_env=False) as client:
        address = f"http://127.0.0.1:{port}"
        assert (await client.get(f"{address}/notes")).text == "ours"
        assert (await client.get(f"{address}/")).text == "hello GET"
        assert (await client.get(f"{address}/items/4")).json()["id"] == 4


async def test_a_router_brings_its_mounts_along(app: App, legacy: Legacy) -> None:
    router = Router("/v1")
    router.mount("/legacy", legacy.app, allow=anyone)
    app.include(router, prefix="/api")
    async with on_own(app) as port, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://127.0.0.1:{port}/api/v1/legacy/items/1")
    assert response.json()["url"].endswith("/api/v1/legacy/items/9")


async def test_an_application_that_cannot_start_stops_ours(app: App) -> None:
    @contextlib.asynccontextmanager
    async def fail(_app: Any) -> AsyncIterator[None]:
        raise RuntimeError("no licence")
        yield

    app.mount("/legacy", Starlette(lifespan=fail), allow=anyone)
    with pytest.raises(BrokenMount, match="no licence"):
        async with app.running():
            pass


async def test_an_application_without_a_lifespan_is_served_all_the_same(app: App) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"plain"})

    async def silent(scope: Any, receive: Any, send: Any) -> None: ...

    async def splitting(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x", b"a\r\nset-cookie: b")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def out_of_turn(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b""})

    applications = {"plain": plain, "silent": silent, "split": splitting, "turn": out_of_turn}
    for name, application in applications.items():
        app.mount(f"/{name}", application, allow=anyone)
    async with on_own(app) as port, httpx.AsyncClient(trust_env=False) as client:
        address = f"http://127.0.0.1:{port}"
        assert (await client.get(f"{address}/plain/")).text == "plain"
        for name in ("silent", "split", "turn"):
            response = await client.get(f"{address}/{name}/")
            assert response.status_code == 500
            assert "set-cookie" not in response.headers
