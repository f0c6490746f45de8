"""The first minutes of a person with Mainspring: `new`, `dev`, a request, and out again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.plugins.commands import Commands, Running

pytestmark = pytest.mark.timeout(120)


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        headers = {"content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith((b"{", b"[", b'"')) else text


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answering(command: Running, port: int) -> None:
    def answers() -> bool:
        try:
            ask(port, "GET", "/notes")
        except OSError:
            return False
        return True

    command.until(answers, what=f"answer on port {port}")


def test_new_and_dev_and_a_note_and_out(mainspring: Commands, port: int) -> None:
    mainspring.fine("new", "shop")
    shop = mainspring.within("shop")
    with shop.running("dev", "--port", str(port)) as command:
        answering(command, port)
        status, note = ask(port, "POST", "/notes", {"title": "Milk"})
        assert status == 201
        assert ask(port, "GET", f"/notes/{note['id']}") == (200, note)
        status, problem = ask(port, "POST", "/notes", {})
        assert (status, problem["status"]) == (422, 422)
        assert ask(port, "GET", "/docs")[0] == 200
        said = command.said()
        assert "✓ migrated 0001_create_the_notes" in said
        assert f"http://127.0.0.1:{port}\n" in said
        assert f"http://127.0.0.1:{port}/docs\n" in said
        assert command.stop() == 0
    said = command.said()
    assert "POST" in said, "a line a request, readable"
    assert "Traceback" not in said
    assert "\x1b" not in said


def test_what_dev_wrote_is_there_when_it_starts_again(shop: Commands, port: int) -> None:
    for expected in ([], ["Milk"]):
        with shop.running("dev", "--port", str(port)) as command:
            answering(command, port)
            assert [note["title"] for note in ask(port, "GET", "/notes")[1]] == expected
            ask(port, "POST", "/notes", {"title": "Milk"})
            assert command.stop() == 0


def test_dev_starts_again_when_a_file_changes(shop: Commands, port: int) -> None:
    with shop.running("dev", "--port", str(port)) as command:
        answering(command, port)
        assert ask(port, "GET", "/hello")[0] == 404
        app = shop.folder / "shop" / "app.py"
        app.write_text(
            app.read_text().replace("import App, Progress", "import App, Progress, anyone")
            + '\n\n@app.get("/hello", allow=anyone)\n'
            'async def hello() -> str:\n    return "hello"\n'
        )
        command.until(lambda: _hello(port), what="answer of the new route")
        assert command.stop() == 0


def test_ctrl_c_is_quiet_also_while_the_application_is_still_starting(
    shop: Commands, port: int
) -> None:
    app = shop.folder / "shop" / "app.py"
    app.write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with shop.running("dev", "--port", str(port)) as command:
        command.until(lambda: "importing" in command.said(), what="import")
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.process.wait(20) in {0, 1, 130}
        assert "Traceback" not in command.said()


def test_a_mistake_while_developing_is_shown_without_pythons_import(
    shop: Commands, port: int
) -> None:
    app = shop.folder / "shop" / "app.py"
    good = app.read_text()
    app.write_text(f"{good}\n1 / 0\n")
    with shop.running("dev", "--port", str(port)) as command:
        command.until(lambda: "waiting for a change" in command.said(), what="wait for a change")
        assert "ZeroDivisionError" in command.said()
        assert "<frozen importlib" not in command.said()
        app.write_text(good)
        answering(command, port)
        assert command.stop() == 0


def _hello(port: int) -> bool:
    try:
        return ask(port, "GET", "/hello")[0] == 200
    except OSError:
        return False


def test_serve_is_for_production(migrated_shop: Commands, port: int) -> None:
    environ = {"ALLOWED_HOSTS": "127.0.0.1", "PORT": str(port)}
    with migrated_shop.running("serve", environ=environ) as command:
        answering(command, port)
        assert command.stop() == 0
    lines = [json.loads(line) for line in command.said().splitlines() if line.startswith("{")]
    assert any(line["event"] == "request" and line["path"] == "/notes" for line in lines)


def test_an_application_that_cannot_start_says_why_and_does_not_serve(
    shop: Commands, port: int
) -> None:
    notes = shop.folder / "shop" / "notes.py"
    notes.write_text(notes.read_text().replace("allow=anyone", "allow=None"))
    done = shop("serve", "--port", str(port))
    assert done.returncode == 1
    assert "no policy is declared for: GET /notes (list_notes)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_to_be(shop: Commands) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = shop("serve", "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
