"""Web sockets: the same promises on every server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mainspring import telemetry
from mainspring.app import App, UndeclaredPolicy
from mainspring.auth import Claim, anyone, role, signed_in
from mainspring.data import Session, UnitEnded
from mainspring.http import (
    Cookie,
    Forbidden,
    Header,
    Invalid,
    NotFound,
    RouteError,
    SocketClosed,
    SocketMisuse,
    WebSocket,
    _conversation,
)
from mainspring.http._asgi_socket import AsgiTransport
from mainspring.http._transport import Inbox
from mainspring.settings import Settings
from tests.auth.conftest import opened
from tests.auth.members import Essay, Member
from tests.http.every_server import EVERY, on_own

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from mainspring.auth import Credentials

pytestmark = pytest.mark.filterwarnings(
    # Granian's and Hypercorn's own housekeeping at the end of a test.
    "ignore::ResourceWarning"
)


class Move(msgspec.Struct):
    piece: str
    to: Annotated[str, msgspec.Meta(pattern="^[a-h][1-8]$")]


class Line:
    """Opens web sockets to an application that is being served."""

    def __init__(self, port: int, stack: contextlib.AsyncExitStack, server: str = "") -> None:
        self.port = port
        self.server = server
        self._stack = stack

    async def open(self, path: str, **options: Any) -> ClientConnection:
        client = connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, **options)
        return await self._stack.enter_async_context(client)

    async def refusal(self, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        with pytest.raises(InvalidStatus) as refused:
            await self.open(path, **options)
        response = refused.value.response
        return response.status_code, msgspec.json.decode(response.body or b"{}")


@pytest.fixture
def serve(server) -> Any:
    @contextlib.asynccontextmanager
    async def start(app: App) -> AsyncIterator[Line]:
        app.compile()
        async with EVERY[server](app) as port, contextlib.AsyncExitStack() as stack:
            yield Line(port, stack, server)

    return start


@pytest.fixture
def app() -> App:
    return App("test", settings=Settings(log_level="critical"))


async def test_messages_come_and_go_whole_and_in_order(serve: Any, app: App) -> None:
    @app.websocket("/echo", allow=anyone)
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            if isinstance(message, str):
                await socket.send_text(message)
            else:
                await socket.send_bytes(message)

    sent: list[Any] = ["", "ä€😀" * 1000, b"\x00\xff" * 60_000, "last"]
    async with serve(app) as line:
        client = await line.open("/echo")
        for message in sent:
            await client.send(message)
        await client.send(["frag", "men", "ted"])
        got = [await client.recv() for _ in range(len(sent) + 1)]
    assert got == [*sent, "fragmented"]


async def test_parameters_are_bound_by_name_and_type_as_those_of_routes(
    serve: Any, app: App
) -> None:
    @app.websocket("/rooms/{room}", allow=anyone)
    async def talk(
        socket: WebSocket,
        room: int,
        theme: Annotated[str, Cookie()],
        client: Annotated[str, Header("x-client")],
        tags: list[str],
        since: int = 0,
    ) -> None:
        await socket.send_json([room, since, tags, theme, client])

    async with serve(app) as line:
        client = await line.open(
            "/rooms/7?since=3&tags=a&tags=b",
            additional_headers={"Cookie": "theme=dark", "X-Client": "test"},
        )
        assert msgspec.json.decode(await client.recv()) == [7, 3, ["a", "b"], "dark", "test"]
        assert (await line.refusal("/rooms/seven"))[0] == 404
        status, problem = await line.refusal("/rooms/7?since=x")
    assert status == 422
    assert {error["parameter"] for error in problem["errors"]} == {
        "since",
        "tags",
        "theme",
        "x-client",
    }


class SaysSo:
    """Takes the word of whoever sends a user's number."""

    scheme = "Number"

    async def read(self, credentials: Credentials) -> Claim | None:
        sent = credentials.raw_headers.get(b"x-user")
        return None if sent is None else Claim(user_id=int(sent), proof="test", scheme="Number")


async def test_a_policy_is_decided_before_the_socket_is_accepted(
    serve: Any, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with opened(url) as database, database.unit() as db:
        db.add(Member(email="ada@example.com", username="ada", roles=["reader"]))
    settings = Settings(log_level="critical", database_url=url)
    app = App("test", settings=settings, user=Member, proofs=[SaysSo()])
    entered: list[str] = []

    @app.websocket("/members", allow=signed_in)
    async def members(socket: WebSocket, user: Member) -> None:
        entered.append("members")
        await socket.send_text(user.username or "")

    @app.websocket("/editors", allow=role("editor"))
    async def editors(socket: WebSocket) -> None:
        entered.append("editors")

    async with serve(app) as line:
        status, problem = await line.refusal("/members")
        assert (status, problem["title"]) == (401, "Unauthorized")
        known = {"additional_headers": {"X-User": "1"}}
        assert (await line.refusal("/editors", **known))[0] == 403
        assert entered == []
        client = await line.open("/members", **known)
        assert await client.recv() == "ada"
        await client.wait_closed()
    assert entered == ["members"]
    assert client.close_code == 1000


async def test_no_transaction_is_held_while_the_conversation_lasts(
    serve: Any, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with opened(url) as database, database.unit() as db:
        db.add(Member(email="ada@example.com", username="ada"))
    settings = Settings(log_level="critical", database_url=url)
    app = App("test", settings=settings, user=Member, proofs=[SaysSo()])
    units: list[Any] = []

    @app.websocket("/", allow=signed_in)
    async def talk(socket: WebSocket, user: Member) -> None:
        await socket.accept()
        units.append(socket.request.unit)
        async with app.database.unit() as db:
            db.add(Essay(author_id=user.id, title="written meanwhile"))

    async with serve(app) as line:
        client = await line.open("/", additional_headers={"X-User": "1"})
        await client.wait_closed()
    assert client.close_code == 1000
    with pytest.raises(UnitEnded):
        await units[0].session.get(Member, 1)


async def test_a_handler_may_refuse_with_a_problem_until_it_uses_the_socket(
    serve: Any, app: App
) -> None:
    @app.websocket("/rooms/{name}", allow=anyone)
    async def room(socket: WebSocket, name: str) -> None:
        raise NotFound(f"no room {name}")

    async with serve(app) as line:
        status, problem = await line.refusal("/rooms/attic")
    assert (status, problem["detail"]) == (404, "no room attic")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("http://127.0.0.1:{port}", 101),
        ("https://app.example.com", 101),
        ("https://deep.trusted.org:8443", 101),
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 101),
        ("http://127.0.0.1.evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_a_page_from_elsewhere_cannot_open_a_socket(origin: str | None, status: int) -> None:
    app = App(
        "test",
        settings=Settings(
            log_level="critical",
            allowed_hosts=("127.0.0.1", ".trusted.org"),
            cors_origins=("https://app.example.com",),
        ),
    )

    @app.websocket("/", allow=anyone)
    async def greet(socket: WebSocket) -> None:
        await socket.send_text("hello")

    async with on_own(app) as port, contextlib.AsyncExitStack() as stack:
        line = Line(port, stack)
        shown = origin.format(port=port) if origin else None
        if status == 101:
            assert await (await line.open("/", origin=shown)).recv() == "hello"
        else:
            assert (await line.refusal("/", origin=shown))[0] == status


async def test_any_origin_means_any_that_brings_no_cookies() -> None:
    app = App("test", settings=Settings(log_level="critical", cors_origins=("*",)))

    @app.websocket("/", allow=anyone)
    async def greet(socket: WebSocket) -> None:
        await socket.send_text("hello")

    async with on_own(app) as port, contextlib.AsyncExitStack() as stack:
        line = Line(port, stack)
        client = await line.open("/", origin="https://elsewhere.example")
        assert await client.recv() == "hello"
        status, _ = await line.refusal(
            "/", origin="https://elsewhere.example", additional_headers={"Cookie": "session=1"}
        )
    assert status == 403


async def test_an_unknown_host_or_address_is_refused(serve: Any, app: App) -> None:
    @app.websocket("/here", allow=anyone)
    async def here(socket: WebSocket) -> None: ...

    async with serve(app) as line:
        assert (await line.refusal("/nowhere"))[0] == 404
        refused = await line.refusal("/here", additional_headers={"Host": "evil.example"})
        assert refused[0] in {400, 404}


async def test_a_plain_request_for_a_socket_is_told_to_upgrade(app: App) -> None:
    from mainspring.http import Request

    @app.websocket("/here", allow=anyone)
    async def here(socket: WebSocket) -> None: ...

    core = app.compile()
    request = Request("GET", "/here", headers={b"host": b"localhost"})
    core.route(request)
    response = await core.answer(request)
    assert (response.status, response.get_header("upgrade")) == (426, "websocket")


async def test_typed_messages_are_json_as_text_and_messagepack_as_bytes(
    serve: Any, app: App
) -> None:
    @app.websocket("/game", allow=anyone)
    async def game(socket: WebSocket) -> None:
        async for move in socket.each(Move):
            await socket.send_text(f"{move.piece} to {move.to}")

    async with serve(app) as line:
        client = await line.open("/game")
        await client.send('{"piece": "queen", "to": "d8"}')
        assert await client.recv() == "queen to d8"
        await client.send(msgspec.msgpack.encode(Move("rook", "a1")))
        assert await client.recv() == "rook to a1"
        await client.send('{"piece": "queen", "to": "z9"}')
        await client.wait_closed()
    assert client.close_code == 1007
    assert "cannot be accepted" in (client.close_reason or "")


async def test_a_wrong_message_names_all_of_its_faults_and_the_handler_may_go_on(
    serve: Any, app: App
) -> None:
    @app.websocket("/game", allow=anyone)
    async def game(socket: WebSocket) -> None:
        while True:
            try:
                await socket.receive(Move)
            except Invalid as exc:
                await socket.send_json(exc.violations)

    async with serve(app) as line:
        client = await line.open("/game")
        await client.send('{"to": 3}')
        found = msgspec.json.decode(await client.recv())
    assert {error["pointer"] for error in found} == {"#/piece", "#/to"}


async def test_the_wrong_kind_of_message_ends_the_conversation_with_1003(
    serve: Any, app: App
) -> None:
    @app.websocket("/text", allow=anyone)
    async def text(socket: WebSocket) -> None:
        await socket.receive_text()

    @app.websocket("/bytes", allow=anyone)
    async def data(socket: WebSocket) -> None:
        await socket.receive_bytes()

    async with serve(app) as line:
        for path, wrong in (("/text", b"x"), ("/bytes", "x")):
            client = await line.open(path)
            await client.send(wrong)
            await client.wait_closed()
            assert client.close_code == 1003


async def test_a_message_above_the_limit_ends_the_conversation_with_1009(
    serve: Any, app: App
) -> None:
    seen: list[Any] = []

    @app.websocket("/small", allow=anyone, body_limit_bytes=1000)
    async def small(socket: WebSocket) -> None:
        async for message in socket:
            seen.append(len(message))
            await socket.send_text("ok")

    async with serve(app) as line:
        client = await line.open("/small")
        await client.send("x" * 1000)
        assert await client.recv() == "ok"
        await client.send("é" * 501)
        await client.wait_closed()
    assert client.close_code == 1009
    assert seen == [1000]


async def test_subprotocol_and_headers_go_with_the_acceptance(serve: Any, app: App) -> None:
    @app.websocket("/", allow=anyone)
    async def choose(socket: WebSocket) -> None:
        assert socket.subprotocols == ("v2.chat", "v1.chat")
        with pytest.raises(SocketMisuse):
            await socket.accept(subprotocol="v3.chat")
        await socket.accept(subprotocol="v1.chat", headers={"X-Room": "attic"})
        with pytest.raises(SocketMisuse):
            await socket.accept()
        await socket.send_text(socket.subprotocol or "")

    async with serve(app) as line:
        client = await line.open("/", subprotocols=["v2.chat", "v1.chat"])
        assert client.subprotocol == "v1.chat"
        assert client.response is not None
        if line.server != "granian":  # which drops the headers of an acceptance
            assert client.response.headers["x-room"] == "attic"
        assert await client.recv() == "v1.chat"


async def test_both_sides_learn_code_and_reason_of_the_end(serve: Any, app: App) -> None:
    heard: asyncio.Queue[SocketClosed | None] = asyncio.Queue()

    @app.websocket("/theirs", allow=anyone)
    async def theirs(socket: WebSocket) -> None:
        assert socket.closed is None
        async for _ in socket:
            pass
        heard.put_nowait(socket.closed)

    @app.websocket("/ours", allow=anyone)
    async def ours(socket: WebSocket) -> None:
        for bad in (1005, 1006, 999, 5000):
            with pytest.raises(SocketMisuse):
                await socket.close(bad)
        with pytest.raises(SocketMisuse):
            await socket.close(1000, "x" * 124)
        await socket.close(4001, "moved")
        await socket.close(4002, "again")
        with pytest.raises(SocketClosed):
            await socket.send_text("more")

    async with serve(app) as line:
        client = await line.open("/theirs")
        await client.close(4000, "enough")
        closed = await heard.get()
        assert closed is not None
        # Hypercorn tells an application only that it ended.
        assert closed.close_code == (1006 if line.server == "hypercorn" else 4000)
        client = await line.open("/ours")
        await client.wait_closed()
    assert (client.close_code, client.close_reason) == (4001, "moved")


async def test_what_arrived_before_the_client_left_is_still_received(serve: Any, app: App) -> None:
    got: list[Any] = []
    may_read, done = asyncio.Event(), asyncio.Event()

    @app.websocket("/", allow=anyone)
    async def collect(socket: WebSocket) -> None:
        await socket.accept()
        await may_read.wait()
        got.extend([message async for message in socket])
        with pytest.raises(SocketClosed):
            await socket.receive_any()
        done.set()

    async with serve(app) as line:
        client = await line.open("/")
        for number in range(5):
            await client.send(str(number))
        closing = asyncio.ensure_future(client.close())
        may_read.set()
        await done.wait()
        await closing
    assert got == ["0", "1", "2", "3", "4"]


async def test_a_handler_that_only_sends_ends_when_the_client_has_left(
    serve: Any, app: App
) -> None:
    ended = asyncio.Event()

    @app.websocket("/ticks", allow=anyone)
    async def ticks(socket: WebSocket) -> None:
        try:
            while True:
                await socket.send_text("tick")
                await asyncio.sleep(0)
        except SocketClosed:
            ended.set()
            raise

    async with serve(app) as line:
        client = await line.open("/ticks")
        await client.recv()
        client.transport.abort()
        await ended.wait()


async def test_a_handler_that_waits_for_something_else_is_cancelled_after_a_grace(
    serve: Any, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_conversation, "LEAVING_GRACE_SECONDS", 0.05)
    outcome: asyncio.Queue[str] = asyncio.Queue()

    @app.websocket("/", allow=anyone)
    async def wait(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            outcome.put_nowait("cancelled")
            raise

    async with serve(app) as line:
        client = await line.open("/")
        client.transport.abort()
        assert await outcome.get() == "cancelled"


async def test_a_handler_that_goes_on_receiving_is_left_alone(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_conversation, "LEAVING_GRACE_SECONDS", 0.05)
    got: list[Any] = []
    left, done = asyncio.Event(), asyncio.Event()

    @app.websocket("/", allow=anyone)
    async def slow(socket: WebSocket) -> None:
        await socket.accept()
        await left.wait()
        async for message in socket:
            got.append(message)
            await asyncio.sleep(0.03)
        done.set()

    async with on_own(app) as port, contextlib.AsyncExitStack() as stack:
        client = await Line(port, stack).open("/")
        for number in range(5):
            await client.send(str(number))
        await client.close()
        left.set()
        await done.wait()
    assert got == ["0", "1", "2", "3", "4"]


async def test_an_error_of_the_handler_closes_with_1011_and_is_reported(
    serve: Any, app: App
) -> None:
    seen: list[telemetry.Event] = []

    @app.websocket("/", allow=anyone)
    async def fail(socket: WebSocket) -> None:
        await socket.send_text("now")
        raise LookupError("secret detail")

    @app.websocket("/forbidden", allow=anyone)
    async def forbid(socket: WebSocket) -> None:
        await socket.accept()
        raise Forbidden("not in this room")

    unsubscribe = telemetry.subscribe(seen.append)
    try:
        async with serve(app) as line:
            client = await line.open("/")
            assert await client.recv() == "now"
            await client.wait_closed()
            assert client.close_code == 1011
            assert "secret" not in (client.close_reason or "")
            client = await line.open("/forbidden")
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (1008, "not in this room")
    finally:
        unsubscribe()
    assert [type(event.error) for event in seen if event.error] == [LookupError]


async def test_sending_waits_for_a_client_that_does_not_read(serve: Any, app: App) -> None:
    blocked = asyncio.Event()
    most = 2000  # of 64 KiB each: more than every buffer on the way together

    @app.websocket("/flood", allow=anyone)
    async def flood(socket: WebSocket) -> None:
        for _ in range(most):
            sending = asyncio.ensure_future(socket.send_bytes(bytes(65536)))
            done, _ = await asyncio.wait({sending}, timeout=0.3)
            if not done:
                blocked.set()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                return

    async with serve(app) as line:
        client = await line.open("/flood", max_queue=1, compression=None)
        await blocked.wait()
        client.transport.abort()


async def test_a_client_that_floods_is_slowed_down(serve: Any, app: App) -> None:
    go = asyncio.Event()
    received = 0

    @app.websocket("/sink", allow=anyone)
    async def sink(socket: WebSocket) -> None:
        nonlocal received
        await socket.accept()
        await go.wait()
        async for message in socket:
            received += len(message)

    async with serve(app) as line:
        client = await line.open("/sink", compression=None)
        sent = 0
        for _ in range(2000):
            sending = asyncio.ensure_future(client.send(bytes(65536)))
            done, _ = await asyncio.wait({sending}, timeout=0.3)
            if not done:
                break
            sent += 65536
        else:
            pytest.fail("everything was taken, though nobody received")
        go.set()
        await sending
        await client.close()
    assert received == sent + 65536


async def test_what_only_one_request_may_hold_is_refused_at_start(app: App) -> None:
    @app.websocket("/", allow=anyone)
    async def talk(socket: WebSocket, db: Session) -> None: ...

    with pytest.raises(RouteError, match="belongs to a transaction"):
        app.compile()


def test_a_socket_is_led_by_a_coroutine_without_a_body(app: App) -> None:
    def plain(socket: WebSocket) -> None: ...

    app.websocket("/plain", allow=anyone)(plain)
    with pytest.raises(RouteError, match="WEBSOCKET /plain: a web socket needs a coroutine"):
        app.compile()

    async def with_body(socket: WebSocket, move: Move) -> None: ...

    other = App("test", settings=Settings())
    other.websocket("/body", allow=anyone)(with_body)
    with pytest.raises(RouteError, match="has no body"):
        other.compile()


def test_a_socket_without_a_policy_stops_the_start_and_is_named(app: App) -> None:
    @app.websocket("/open")
    async def forgotten(socket: WebSocket) -> None: ...

    with pytest.raises(UndeclaredPolicy, match=r"WEBSOCKET /open .*forgotten"):
        app.compile()


async def test_a_socket_and_a_route_may_share_an_address(serve: Any, app: App) -> None:
    from mainspring.http import Request

    @app.get("/both", allow=anyone)
    async def page() -> str:
        return "page"

    @app.websocket("/both", allow=anyone)
    async def talk(socket: WebSocket) -> None:
        await socket.send_text("talk")

    async with serve(app) as line:
        assert await (await line.open("/both")).recv() == "talk"
    request = Request("GET", "/both", headers={b"host": b"localhost"})
    app.core.route(request)
    assert (await app.core.answer(request)).body == b"page"


async def test_an_inbox_says_when_to_stop_and_when_to_go_on() -> None:
    resumed: list[int] = []
    inbox = Inbox(lambda: resumed.append(1), messages=3, size_bytes=10)
    assert inbox.put("a")
    assert inbox.put("b")
    assert not inbox.put("c")
    assert await inbox.take() == "a"
    assert resumed == [1]
    assert not inbox.put("x" * 50)
    inbox.end(SocketClosed(1000))
    assert [await inbox.take() for _ in range(3)] == ["b", "c", "x" * 50]
    for _ in range(2):
        with pytest.raises(SocketClosed):
            await inbox.take()


async def test_a_cancelled_receive_has_taken_nothing() -> None:
    inbox = Inbox(lambda: None)
    waiting = asyncio.ensure_future(inbox.take())
    await asyncio.sleep(0)
    inbox.put("kept")
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        assert await waiting == "kept"
        return
    assert await inbox.take() == "kept"


async def test_a_server_without_the_denial_extension_says_403(app: App) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/members",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "ws",
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_send_that_the_server_refuses_is_the_end(app: App) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            raise OSError("gone")

    transport = AsgiTransport(receive, send)
    await transport.accept(subprotocol=None, headers=(), limit_bytes=100)
    with pytest.raises(SocketClosed):
        await transport.send("hello")
    assert transport.ended.result().close_code == 1006
    with pytest.raises(SocketClosed):
        await transport.receive()
    await transport.release()
