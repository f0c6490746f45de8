"""From a handler to a mail server: with the commit, never without it, and again when it fails."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from sqlalchemy import select

from mainspring import App, Conflict, Settings, anyone
from mainspring.data import Database, Model
from mainspring.data import _journal_table as table
from mainspring.data._journal import RetryPolicy
from mainspring.errors import MissingExtra
from mainspring.mail import TRANSPORTS, Mailer, MailUrlError, Message
from mainspring.mail import _mailer as mailer_module
from mainspring.mail.smtp import Smtp
from tests.serve.processes import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

J = table.JOURNAL.c


class Sink:
    """A real mail server that keeps what it takes, and refuses what it is told to."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answers: dict[str, list[str]] = {}
        self.data_answers: list[str] = []

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        answers = self.answers.get(address)
        if answers:
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data_answers:
            return self.data_answers.pop(0)
        self.taken.append(envelope)
        return "250 taken"

    @property
    def ids(self) -> list[str]:
        lines = [line for e in self.taken for line in e.content.decode().split("\r\n")]
        return [line[13:-1] for line in lines if line.startswith("Message-ID: <")]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    sink.port = free_port()  # type: ignore[attr-defined]
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)  # type: ignore[attr-defined]
    controller.start()
    yield sink
    controller.stop()


def _app(url: str, mail_url: str, **options: Any) -> App:
    app = App("post", settings=Settings(database_url=url, mail_url=mail_url, **options))

    @app.post("/send", allow=anyone)
    async def send(mail: Mailer, to: str = "ada@example.org") -> str:
        return await mail.send(Message(to=tuple(to.split(",")), subject="hello", text="you"))

    @app.post("/fail", allow=anyone)
    async def fail(mail: Mailer) -> str:
        await mail.send(Message(to="ada@example.org", subject="ghost", text="you"))
        raise Conflict("after the mail")

    return app


@asynccontextmanager
async def _client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with app.running():
        await app.database.on_connection(
            lambda c: (Model.metadata.create_all(c, tables=_TABLES), c.commit())
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


_TABLES = [table.JOURNAL, table.LEASES]


async def _until(condition: Callable[[], Any], *, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert time.monotonic() < until, "the condition never came true"
        await asyncio.sleep(0.01)


async def _states(database: Database) -> list[int]:
    async with database.unit(write=False) as session:
        return list(await session.scalars(select(J.state)))


async def test_a_committed_request_sends_and_a_rolled_back_one_does_not(sink: Sink) -> None:
    app = _app("sqlite://", f"smtp://127.0.0.1:{sink.port}")  # type: ignore[attr-defined]
    async with _client(app) as client:
        assert (await client.post("/fail")).status_code == 409
        answer = await client.post("/send")
        await _until(lambda: sink.taken)
        await _until(lambda: _nothing_left(app.database))
    assert sink.ids == [answer.text]
    (envelope,) = sink.taken
    assert envelope.mail_from == "app@localhost"
    assert envelope.rcpt_tos == ["ada@example.org"]


async def _nothing_left(database: Database) -> bool:
    return not await _states(database)


async def test_a_server_that_is_away_gets_it_later_with_the_same_id(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer_module, "_RETRY", RetryPolicy(first=timedelta(milliseconds=10)))
    sink.data_answers = ["451 come back", "421 not now"]
    app = _app("sqlite://", f"smtp://127.0.0.1:{sink.port}")  # type: ignore[attr-defined]
    async with _client(app) as client:
        answer = await client.post("/send")
        await _until(lambda: sink.taken)
        await _until(lambda: _nothing_left(app.database))
    assert sink.ids == [answer.text]


async def test_what_is_refused_for_good_is_dead_at_once(sink: Sink) -> None:
    sink.data_answers = ["554 no spam here"]
    app = _app("sqlite://", f"smtp://127.0.0.1:{sink.port}")  # type: ignore[attr-defined]
    async with _client(app) as client:
        await client.post("/send")
        await _until(lambda: _is_dead(app.database))
        async with app.database.unit(write=False) as session:
            error = await session.scalar(select(J.error))
    assert "554 no spam here" in str(error)
    assert not sink.taken


async def _is_dead(database: Database) -> bool:
    return await _states(database) == [table.DEAD]


async def test_those_who_were_refused_for_now_get_it_later_and_the_others_once(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.answers = {"b@example.org": ["450 busy"], "c@example.org": ["550 unknown"]}
    app = _app("sqlite://", f"smtp://127.0.0.1:{sink.port}")  # type: ignore[attr-defined]
    async with _client(app) as client:
        await client.post("/send", params={"to": "a@example.org,b@example.org,c@example.org"})
        await _until(lambda: len(sink.taken) == 2)
        await _until(lambda: _nothing_left(app.database))
    assert [envelope.rcpt_tos for envelope in sink.taken] == [["a@example.org"], ["b@example.org"]]
    assert len(set(sink.ids)) == 1


async def test_a_message_that_cannot_be_sent_is_the_handlers_to_know(sink: Sink) -> None:
    app = _app("sqlite://", f"smtp://127.0.0.1:{sink.port}")  # type: ignore[attr-defined]
    async with _client(app) as client:
        answer = await client.post("/send", params={"to": "a@example.org\r\nBcc: x"})
        assert answer.status_code == 500
        assert await _states(app.database) == []


async def test_a_folder_takes_mail_too(tmp_path: Path) -> None:
    app = _app("sqlite://", f"file://{tmp_path}/mail")
    async with _client(app) as client:
        answer = await client.post("/send")
        await _until(lambda: list((tmp_path / "mail" / "new").glob("*")))
    (file,) = (tmp_path / "mail" / "new").iterdir()
    assert file.name == answer.text
    assert b"Subject: hello" in file.read_bytes()


async def test_the_development_mailbox_shows_what_was_sent() -> None:
    app = _app("sqlite://", "", debug=True)

    @app.post("/html", allow=anyone)
    async def html(mail: Mailer) -> str:
        text = "<script>alert(1)</script>"
        return await mail.send(Message(to="a@example.org", subject=text, text=text, html=text))

    async with _client(app) as client:
        assert "Nothing was sent" in (await client.get("/dev/mailbox")).text
        await client.post("/send")
        written = (await client.post("/html")).text
        await _until(lambda: len(app.mail.transport.messages) == 2)  # type: ignore[attr-defined]
        page = await client.get("/dev/mailbox")
        assert "hello</a> to ada@example.org" in page.text
        shown = await client.get(f"/dev/mailbox/{written}")
        assert "<script>" not in page.text + shown.text
        assert 'sandbox=""' in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert (await client.get("/dev/mailbox/unknown")).status_code == 404


async def test_outside_of_development_there_is_no_mailbox_and_no_default(tmp_path: Path) -> None:
    with pytest.raises(MailUrlError, match="MAIL_URL does not say how"):
        _app(f"sqlite:///{tmp_path}/app.db", "").compile()
    app = _app("sqlite://", "console://")
    async with _client(app) as client:
        assert (await client.get("/dev/mailbox")).status_code == 404


async def test_without_a_relay_of_its_own_the_process_leaves_it_to_others(sink: Sink) -> None:
    app = _app("sqlite://", f"smtp://127.0.0.1:{sink.port}", relay=False)  # type: ignore[attr-defined]
    async with _client(app) as client:
        await client.post("/send")
        await asyncio.sleep(0.3)
        assert await _states(app.database) == [table.WAITING]
    assert not sink.taken


@pytest.mark.parametrize(
    ("url", "starttls"),
    [
        ("smtp://127.0.0.1", "auto"),
        ("smtp://mail.example.org", "auto"),
        ("smtp://u:p@127.0.0.1", "auto"),
        ("smtp://u:p@mail.example.org", "require"),
        ("smtp://u:p@mail.example.org?starttls=never", "never"),
    ],
)
def test_a_password_goes_over_the_net_encrypted_or_not_at_all(url: str, starttls: str) -> None:
    assert Smtp(url)._starttls == starttls


@pytest.mark.parametrize(
    "url", ["smtp://", "smtp://host?startls=never", "smtp://host?starttls=maybe"]
)
def test_a_url_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(MailUrlError):
        Smtp(url)


async def test_a_server_with_a_password_and_tls_is_spoken_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    logins: list[tuple[bytes, bytes]] = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> Any:
        logins.append((given.login, given.password))
        return AuthResult(success=True)

    sink, port = Sink(), free_port()
    controller = Controller(
        sink, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
        authenticator=authenticate, auth_require_tls=True,
    )  # fmt: skip
    controller.start()
    try:
        app = _app("sqlite://", f"smtp://ada:s%40cret@127.0.0.1:{port}?starttls=require")
        async with _client(app) as client:
            await client.post("/send")
            await _until(lambda: sink.taken)
    finally:
        controller.stop()
    assert logins[0] == (b"ada", b"s@cret")


def test_a_missing_package_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "mainspring.mail.smtp", raising=False)
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)
    with pytest.raises(MissingExtra) as caught:
        TRANSPORTS.load("smtp://mail.example.org")
    assert caught.value.fix == "pip install 'mainspring[smtp]'"
