"""Servers as processes: ours and others, with the same application."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TARGET = "tests.serve.target:app"
COMMANDS = {
    "mainspring": ["-m", "mainspring.serve", TARGET, "--port", "{port}"],
    "uvicorn": ["-m", "uvicorn", TARGET, "--port", "{port}", "--log-level", "error"],
    "granian": [
        "-m", "granian", TARGET, "--interface", "asgi", "--port", "{port}", "--log-level", "error",
    ],
    "hypercorn": ["-m", "hypercorn", TARGET, "--bind", "127.0.0.1:{port}"],
    "gunicorn": [
        "-m", "gunicorn", TARGET, "-k", "uvicorn.workers.UvicornWorker",
        "--bind", "127.0.0.1:{port}", "--log-level", "error",
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Running:
    """A server process that answers."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    errors: Path

    def stderr(self) -> str:
        return self.errors.read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(
    name: str, *flags: str, port: int | None = None, pass_fds: tuple[int, ...] = ()
) -> Running:
    """Start a server; returns when it answers."""
    port = port or free_port()
    line = [sys.executable, *(part.replace("{port}", str(port)) for part in COMMANDS[name]), *flags]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".log", delete=False) as errors:
        process = subprocess.Popen(
            line, cwd=ROOT, env=environment, stdout=errors, stderr=errors, pass_fds=pass_fds,
            start_new_session=True,
        )  # fmt: skip
    running = Running(name, port, process, Path(errors.name))
    if pass_fds:
        _wait_until_it_says(running, "serving on")
    else:
        _wait_until_it_answers(running)
    return running


def _wait_until_it_answers(running: Running, *, bound: float = 30.0) -> None:
    ends = time.monotonic() + bound
    while time.monotonic() < ends:
        if running.process.poll() is not None:
            raise AssertionError(f"{running.name} ended:\n{running.stderr()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port)):
            return
        time.sleep(0.05)
    raise AssertionError(f"{running.name} does not answer:\n{running.stderr()}")


def _wait_until_it_says(running: Running, word: str, *, bound: float = 30.0) -> None:
    ends = time.monotonic() + bound
    while word not in running.stderr():
        assert running.process.poll() is None, running.stderr()
        assert time.monotonic() < ends, running.stderr()
        time.sleep(0.02)


def stop(running: Running, *, bound: float = 10.0) -> None:
    """End a server and whatever it started."""
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        try:
            running.process.wait(bound)
        except subprocess.TimeoutExpired:
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.errors.unlink(missing_ok=True)


@contextlib.contextmanager
def serving(name: str, *flags: str) -> Iterator[Running]:
    """A server for the length of a block."""
    running = start(name, *flags)
    try:
        yield running
    finally:
        stop(running)
