"""Worker processes that share one set of sockets: started, replaced, seen off.

The sockets belong to the supervisor, so that whatever happens to a worker, the connections in
their queue are another's, and nobody who connects is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mainspring.errors import MainspringError
from mainspring.serve._order import READY, RETIRE, order
from mainspring.serve._process import Stop, say
from mainspring.serve._reload import changed
from mainspring.serve._sockets import Listening, refuse_newcomers

if TYPE_CHECKING:
    from mainspring.serve._config import Config

_HANDSHAKE_SECONDS: Final = 0.2
_BACKOFF_SECONDS: Final = 0.5
_BACKOFF_LIMIT_SECONDS: Final = 30.0
_LONG_LIFE_SECONDS: Final = 10.0
_KILL_AFTER_SECONDS: Final = 10.0
_RELOAD_DRAIN: Final = timedelta(seconds=2)


class WorkerFailed(MainspringError):
    """A worker process ended before it could serve; it has said why."""

    code = "serve.worker-failed"


class _Child:
    """One worker process, as its parent sees it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: asyncio.StreamReader,
        lifeline: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        # The child stops when this is closed, or when this process is gone.
        self.lifeline = lifeline
        self.began = time.monotonic()
        self.ready = asyncio.Event()
        self.retires = asyncio.Event()
        self.ended = asyncio.Event()
        self._channel = channel
        self._dismissed = False
        self._watching = asyncio.gather(self._read(), self._wait())

    async def _read(self) -> None:
        while line := await self._channel.readline():
            if line == READY:
                self.ready.set()
            elif line == RETIRE:
                self.retires.set()

    async def _wait(self) -> None:
        await self.process.wait()
        self.ended.set()

    def dismiss(self, number: signal.Signals) -> None:
        """Tell it to stop. Only once: a second signal would not wait for its requests."""
        if not self._dismissed:
            self._dismissed = True
            self.signal(number)

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Supervisor:
    """Keeps as many workers running as the configuration says, until a signal.

    SIGHUP replaces every worker by one with the code and settings of that moment.
    """

    def __init__(self, app_path: str, config: Config) -> None:
        self._app_path = app_path
        self._config = config
        if config.reload:
            limits = replace(
                config.limits,
                drain=min(config.limits.drain, _RELOAD_DRAIN),
                drain_idle=timedelta(0),
            )
            self._config = replace(config, workers=1, limits=limits)
        self._stop = Stop()
        self._stopping = False
        self._children: set[_Child] = set()
        self._seeing_off: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._listening: Listening

    async def run(self) -> None:
        """Serve until a signal.

        Raises:
            WorkerFailed: no worker could start.
            ConfigError: the sockets cannot be opened.
        """
        self._stop.listen()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._replace_all)
        self._listening = await asyncio.to_thread(Listening, self._config)
        with contextlib.closing(self._listening):
            try:
                async with asyncio.TaskGroup() as group:
                    keeping = [
                        group.create_task(
                            self._reloading() if self._config.reload else self._slot()
                        )
                        for _ in range(self._config.workers)
                    ]
                    await self._stop.wait()
                    await self._see_everybody_off(keeping)
            except* WorkerFailed as failed:
                await self._kill()
                raise failed.exceptions[0] from None

    # workers

    async def _start(self) -> _Child:
        """Start a worker; returns when it is ready.

        Raises:
            WorkerFailed: it ended before.
        """
        ours, theirs = socket.socketpair()
        sockets = self._listening.sockets
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mainspring.serve._child",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno(), *(sock.fileno() for sock in sockets)],
                # A terminal's Ctrl-C goes to the whole group, but is ours to pass on.
                process_group=0,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(order(self._app_path, self._config, sockets))
        child = _Child(process, reader, writer)
        self._children.add(child)
        await _first(child.ready, child.ended)
        if not child.ready.is_set():
            self._forget(child)
            raise WorkerFailed(f"worker {process.pid} ended with status {process.returncode}")
        return child

    def _forget(self, child: _Child) -> None:
        self._children.discard(child)
        child.lifeline.close()

    async def _slot(self) -> None:
        """Keep one worker running."""
        child = await self._start()
        say(f"worker {child.process.pid} serves on {self._listening.address}")
        failures = 0
        while not self._stopping:
            await _first(child.ended, child.retires)
            if self._stopping:
                return
            if not child.ended.is_set():
                child = await self._replaced(child)
                continue
            self._forget(child)
            lived = time.monotonic() - child.began
            failures = 0 if lived > _LONG_LIFE_SECONDS else failures + 1
            say(f"worker {child.process.pid} ended with status {child.process.returncode}")
            child = await self._restarted(failures)

    async def _replaced(self, child: _Child) -> _Child:
        """The successor of a worker; the worker itself if there is none to be had."""
        child.retires.clear()
        async with self._one_at_a_time:
            try:
                successor = await self._start()
            except WorkerFailed as exc:
                say(f"{exc.what}; worker {child.process.pid} goes on")
                return child
        say(f"worker {successor.process.pid} takes over from {child.process.pid}")
        child.dismiss(signal.SIGTERM)
        seeing_off = asyncio.create_task(self._see_off(child))
        self._seeing_off.add(seeing_off)
        seeing_off.add_done_callback(self._seeing_off.discard)
        return successor

    async def _restarted(self, failures: int) -> _Child:
        while True:
            if failures:
                pause = min(_BACKOFF_SECONDS * 2 ** (failures - 1), _BACKOFF_LIMIT_SECONDS)
                await asyncio.sleep(pause)
            try:
                return await self._start()
            except WorkerFailed as exc:
                failures += 1
                say(exc.what)

    def _replace_all(self) -> None:
        for child in self._children:
            child.retires.set()

    async def _reloading(self) -> None:
        """Keep one worker running that has the newest code."""
        folders = self._config.reload_folders or (".",)
        while not self._stopping:
            change = asyncio.create_task(changed(folders))
            child: _Child | None = None
            try:
                child = await self._start()
                say(f"serving on {self._listening.address}, watching {', '.join(folders)}")
            except WorkerFailed:
                say("waiting for a change")
            try:
                path = await change
            finally:
                change.cancel()
            say(f"{path} has changed")
            if child is not None:
                child.dismiss(signal.SIGINT)
                await self._see_off(child)

    # ends

    async def _see_off(self, child: _Child) -> None:
        """Wait for a worker that was told to stop; kill it if it does not."""
        limits = self._config.limits
        bound = limits.drain.total_seconds() + _KILL_AFTER_SECONDS
        try:
            async with asyncio.timeout(bound):
                await child.ended.wait()
        except TimeoutError:
            say(f"worker {child.process.pid} does not stop, and is killed")
            child.signal(signal.SIGKILL)
            await child.ended.wait()
        self._forget(child)

    async def _see_everybody_off(self, keeping: list[asyncio.Task[None]]) -> None:
        self._stopping = True
        for task in keeping:
            task.cancel()
        patient = self._stop.idle is None
        if patient and self._listening.owned:
            filtered = [sock for sock in self._listening.sockets if refuse_newcomers(sock)]
            if filtered:
                await asyncio.sleep(_HANDSHAKE_SECONDS)
        number = signal.SIGTERM if patient else signal.SIGINT
        for child in self._children:
            child.dismiss(number)
        forcing = asyncio.create_task(self._force(number))
        await asyncio.gather(*(self._see_off(child) for child in list(self._children)))
        forcing.cancel()

    async def _force(self, number: signal.Signals) -> None:
        await self._stop.force.wait()
        for child in self._children:
            child.signal(number)

    async def _kill(self) -> None:
        for child in list(self._children):
            child.signal(signal.SIGKILL)
            await child.ended.wait()
            self._forget(child)


async def _first(*events: asyncio.Event) -> None:
    """Wait for whichever event comes first."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
