from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tests.serve.processes import ROOT, free_port, serving
from tests.serve.wire import exchange

_APP = """
    import os
    from mainspring.app import App
    from mainspring.auth import anyone

    app = App("demo")
    WORD = "first"

    @app.get("/", allow=anyone)
    async def home() -> dict[str, str | int]:
        return {"word": WORD, "pid": os.getpid()}
"""


def _ask(port: int, *, patience: float = 5.0) -> dict:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return json.loads(exchange(port, [request], answers=1, patience=patience).answers[0].body)


def _until(condition, *, bound: float = 15.0):
    ends = time.monotonic() + bound
    while time.monotonic() < ends:
        with contextlib.suppress(OSError, IndexError):
            if found := condition():
                return found
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


def _workers(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children()}


@pytest.fixture
def served(tmp_path: Path):
    """Starts the server on an application in a folder of its own."""
    (tmp_path / "demo.py").write_text(dedent(_APP))
    started = []
    errors = (tmp_path / "errors").open("w")

    def begin(*flags: str, app: str = "demo:app") -> tuple[subprocess.Popen[str], int]:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "mainspring.serve", app, "--port", str(port), *flags],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stderr=errors,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process, port

    yield begin
    for process in started:
        process.kill()
        process.wait()
    errors.close()


def test_all_workers_of_a_socket_get_connections():
    with serving("mainspring", "--workers", "2") as running:
        _until(lambda: running.stderr().count("serves on") == 2)
        both = _workers(running.process.pid)
        assert len(both) == 2
        crowd = [exchange(running.port, [], patience=0.01) for _ in range(3)]
        assert crowd
        used = {pid: psutil.Process(pid).cpu_times().user for pid in both}
        request = b"GET /stream?count=2000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        _until(
            lambda: (
                exchange(running.port, [request])
                and all(psutil.Process(p).cpu_times().user > used[p] for p in both)
            )
        )


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(served, tmp_path):
    process, port = served("--workers", "2")
    _until(lambda: (tmp_path / "errors").read_text().count("serves on") == 2)
    before = _workers(process.pid)
    os.kill(min(before), signal.SIGKILL)
    assert _ask(port)["pid"] in before | _workers(process.pid)
    _until(lambda: len(_workers(process.pid) - before) == 1)


def test_workers_end_with_their_parent(served):
    process, port = served("--workers", "2")
    _until(lambda: len(_workers(process.pid)) == 2 and _ask(port))
    children = _workers(process.pid)
    process.kill()
    _until(lambda: not any(psutil.pid_exists(pid) for pid in children))


def test_an_application_that_cannot_start_ends_the_server_with_its_reason(served, tmp_path):
    (tmp_path / "demo.py").write_text("raise RuntimeError('no luck')")
    process, _ = served("--workers", "2")
    assert process.wait(20) == 1
    assert "no luck" in (tmp_path / "errors").read_text()


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("nothing:app", "there is no module 'nothing'"),
        ("demo:other", "demo:other is NoneType"),
        ("demo", ""),
    ],
)
def test_a_wrong_name_is_explained(served, tmp_path, app, said):
    process, port = served(app=app)
    if said:
        assert process.wait(20) == 1
        assert said in (tmp_path / "errors").read_text()
        assert "Traceback" not in (tmp_path / "errors").read_text()
    else:
        assert _until(lambda: _ask(port))


def test_a_change_of_a_file_is_served_a_moment_later(served, tmp_path):
    _, port = served("--reload")
    assert _until(lambda: _ask(port))["word"] == "first"
    source = tmp_path / "demo.py"
    source.write_text(source.read_text().replace("first", "second"))
    assert _until(lambda: _ask(port)["word"] == "second")


def test_a_change_that_does_not_work_is_shown_and_the_next_one_served(served, tmp_path):
    _, port = served("--reload")
    _until(lambda: _ask(port))
    source = tmp_path / "demo.py"
    good = source.read_text()
    source.write_text("this is no Python")
    _until(lambda: "waiting for a change" in (tmp_path / "errors").read_text())
    assert "SyntaxError" in (tmp_path / "errors").read_text()
    # Whoever asks meanwhile waits in the queue of the socket, and is not refused.
    source.write_text(good.replace("first", "third"))
    assert _ask(port, patience=15)["word"] == "third"


@pytest.mark.parametrize("flags", [(), ("--workers", "2"), ("--reload",)])
def test_a_second_signal_does_not_wait(flags):
    with serving("mainspring", *flags) as running:
        _until(lambda: "serv" in running.stderr())
        sock = _slow_request(running.port)
        running.process.send_signal(signal.SIGTERM)
        _until(lambda: _refused(running.port))
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(8) == 0
        sock.close()


def test_a_request_that_does_not_end_is_cancelled_at_the_bound():
    with serving("mainspring", "--timeout-graceful-shutdown", "1") as running:
        sock = _slow_request(running.port)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
        assert sock.recv(100) == b""
        sock.close()


def _slow_request(port: int):
    from tests.serve.wire import connect

    sock = connect(port, patience=15)
    sock.sendall(b"GET /sleep?seconds=8 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # The server is at it: an answer on another connection came after the request was sent.
    exchange(port, [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"], answers=1)
    return sock


def _refused(port: int) -> bool:
    from tests.serve.wire import connect

    try:
        connect(port, patience=0.2).close()
    except (ConnectionRefusedError, TimeoutError):
        return True
    return False
