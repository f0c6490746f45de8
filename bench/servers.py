"""One subject's server as a process tree: started pinned, asked for its costs, surely stopped."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import psutil

from bench.machine import ROOT, SERVER_CORE, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_START_BOUND_S = 60.0
_STOP_BOUND_S = 10.0


class ServerFailed(Exception):
    """The server ended, or gave no answer within the bound; the text is what it wrote."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process tree holds, in bytes. `pss` shares pages out among those that map them."""

    rss_bytes: int
    pss_bytes: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on loopback."""

    port: int
    process: subprocess.Popen[bytes]
    ready_s: float
    """Seconds from starting the process to its first answer."""

    def tree(self) -> list[psutil.Process]:
        """The process and its descendants."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def cpu_s(self) -> float:
        """Seconds of processor time, user and system, that the tree has used so far."""
        used = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used

    def memory(self) -> Memory:
        """What the tree holds now."""
        held = [process.memory_full_info() for process in self.tree()]
        return Memory(sum(m.rss for m in held), sum(m.pss for m in held))


@contextmanager
def serving(
    command: list[str],
    *,
    path: str,
    environment: Mapping[str, str],
    bound_s: float = _START_BOUND_S,
) -> Iterator[Server]:
    """Start the command, wait for an answer on `path`, and stop its whole tree on the way out.

    `{port}` in the command becomes a free port. Standard output goes to the null device: every
    subject writes what it writes in production, and nobody pays for a terminal.

    Raises:
        ServerFailed: no answer within `bound_s` seconds, or the process ended.
    """
    port = _free_port()
    line = [part.replace("{port}", str(port)) for part in command]
    with tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            pinned(SERVER_CORE, line),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            _await_answer(process, port, path, until=begun + bound_s, errors=errors)
            yield Server(port, process, time.perf_counter() - begun)
        finally:
            _stop(process)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(
    process: subprocess.Popen[bytes], port: int, path: str, *, until: float, errors: IO[bytes]
) -> None:
    while time.perf_counter() < until:
        if process.poll() is not None:
            break
        if _answers(port, path):
            return
        time.sleep(0.002)
    errors.seek(0)
    raise ServerFailed(errors.read().decode(errors="replace").strip()[-2000:] or "no answer")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status > 0
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_BOUND_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
