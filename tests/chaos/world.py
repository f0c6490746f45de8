"""What is there to be broken: nodes, a database server, a mail server, and dice with a seed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    import random
    from collections import Counter

    from tests.chaos.servers import Server

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0


class Capability(Protocol):
    """Something that the application promises; a later one adds itself to `CAPABILITIES`."""

    name: str

    async def prepare(self, world: World) -> None:
        """Write what has to be there before the first request."""
        ...

    async def load(self, world: World) -> None:
        """Use it until cancelled, and remember what was acknowledged."""
        ...

    async def check(self, world: World) -> Verdict:
        """Compare what is there with what was acknowledged, when all is quiet again."""
        ...


@dataclass
class Verdict:
    """What one capability found.

    Attributes:
        counts: figures worth printing.
        faults: sentences; none means exact.
    """

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class World:
    """Everything that a run has.

    Attributes:
        dice: decides everything that is left to chance.
        server: the database.
        sink: the mail server.
        nodes: the application's processes.
        done: what was done to them, counted.
        folder: for logs.
    """

    dice: random.Random
    server: Server
    sink: Sink
    nodes: list[Node]
    done: Counter[str]
    folder: Path


class Sink:
    """A mail server that remembers what it took: Message-ID and subject, once for each time."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        head = envelope.content.partition(b"\r\n\r\n")[0].decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
        self.taken.append((fields["Message-ID"].strip("<>"), fields["Subject"]))
        return "250 taken"


class Node:
    """One `mainspring serve` or `mainspring relay`, started again whenever it was killed."""

    def __init__(self, number: int, environ: dict[str, str], folder: Path, *, serves: bool) -> None:
        self.port = free_port() if serves else 0
        self.serves = serves
        self._log = folder / f"node-{number}.log"
        self._environ = environ
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped_until = 0.0

    def start(self) -> None:
        words = ["serve", "--port", str(self.port)] if self.serves else ["relay"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mainspring", *words, "--app", "tests.chaos.app:app"],
                cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def stopped(self) -> bool:
        return self.stopped_until > 0

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.stopped_until = 0.0
        if self.process is not None:
            self.process.wait()

    def stop_for(self, seconds: float) -> None:
        self.stopped_until = time.monotonic() + seconds
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.stopped_until = 0.0
        self.signal(signal.SIGCONT)

    async def answers(self) -> None:
        """Wait until it takes connections."""
        until = time.monotonic() + _START_SECONDS
        while self.serves:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if time.monotonic() > until:
                    raise AssertionError(f"a node does not start:\n{self.said()}") from None
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-4000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
