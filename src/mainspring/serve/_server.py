"""A server in this process: opens the application, listens, serves, loses nothing at the end."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, Self

from mainspring.http._forwarded import Proxies
from mainspring.serve._config import Config
from mainspring.serve._drain import drain
from mainspring.serve._listener import Listener
from mainspring.serve._sockets import Listening
from mainspring.serve._tls import tls_context
from mainspring.serve._worker import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from mainspring.http._core import Core


class Application(Protocol):
    """What can be served: `App` is one."""

    def running(self) -> AbstractAsyncContextManager[Core]: ...


# Files that the application itself has open: databases, logs, sources.
_RESERVED_FILES: Final = 128


class Server:
    """Serves an application while its block is entered.

        async with Server(app, port=0) as server:
            print(server.address)

    Args:
        app: what is served.
        config: all about the server.
        host: instead of the configuration's.
        port: instead of the configuration's.
        sockets: listening sockets that a supervisor holds, instead of own ones.
        retire: called when the process has answered as many requests as it should.
    """

    def __init__(
        self,
        app: Application,
        *,
        config: Config | None = None,
        host: str | None = None,
        port: int | None = None,
        sockets: Sequence[socket.socket] | None = None,
        retire: Callable[[], None] | None = None,
    ) -> None:
        self.app = app
        config = config or Config()
        self.config = replace(
            config,
            host=config.host if host is None else host,
            port=config.port if port is None else port,
        )
        self._inherited = sockets
        self._retire = retire
        self._stack = AsyncExitStack()
        self._stopped = False
        self._listening: Listening | None = None
        self.worker: Worker
        self.listener: Listener

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return int(self.listener.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """Where it listens, such as `http://127.0.0.1:8000`."""
        return self._listening.address if self._listening is not None else "inherited sockets"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            tls = tls_context(self.config)
            sockets = await self._open(stack)
            core = await stack.enter_async_context(self.app.running())
            self.worker = self._made_worker(core, secure=tls is not None)
            stack.callback(self.worker.stop)
            self.listener = Listener(
                self.worker,
                sockets,
                connections=self.config.limits.connections or _files_left(),
                tls=tls,
            )
            self.worker.start()
            self.listener.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(idle=timedelta(0))

    async def stop(
        self, *, idle: timedelta | None = None, force: asyncio.Event | None = None
    ) -> None:
        """Finish what has begun, and close everything.

        Args:
            idle: how long to wait for requests on connections where nothing happens; as
                `Limits.drain_idle` says by default.
            force: when it is set, requests are not waited for any longer.
        """
        if self._stopped:
            return
        self._stopped = True
        limits = self.config.limits
        try:
            await drain(
                self.worker,
                self.listener,
                last=self._listening is not None and self._listening.owned,
                bound=limits.drain,
                idle=limits.drain_idle if idle is None else idle,
                force=force or asyncio.Event(),
            )
        finally:
            await self._stack.aclose()

    async def _open(self, stack: AsyncExitStack) -> Sequence[socket.socket]:
        if self._inherited is not None:
            return self._inherited
        # Names are looked up and files are touched.
        listening = self._listening = await asyncio.to_thread(Listening, self.config)
        stack.push_async_callback(asyncio.to_thread, listening.close)
        return listening.sockets

    def _made_worker(self, core: Core, *, secure: bool) -> Worker:
        config = self.config
        return Worker(
            core,
            limits=config.limits,
            proxies=Proxies(config.forwarded_allow_ips if config.proxy_headers else None),
            secure=secure,
            retire=self._retire,
        )


def _files_left() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _RESERVED_FILES, soft // 2, 1)
