"""A server in this process: opens the application, listens, serves, stops without losing anything."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, Self

from mainspring.http._forwarded import Proxies
from mainspring.serve._config import Config
from mainspring.serve._drain import drain
from mainspring.serve._listener import Listener
from mainspring.serve._sockets import listen
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
            print(server.port)

    Args:
        app: what is served.
        config: all about the server; `host` and `port` are short for two of its fields.
        sockets: listening sockets to use instead of those that the configuration asks for.
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
        self.config = config = config or Config()
        self._address = (host or config.host, config.port if port is None else port)
        self._sockets = sockets
        self._retire = retire
        self._stack = AsyncExitStack()
        self._stopped = False
        self.worker: Worker
        self.listener: Listener

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return int(self.listener.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        from dataclasses import replace  # noqa: PLC0415

        config = replace(self.config, host=self._address[0], port=self._address[1])
        tls = tls_context(config)
        owned = self._sockets is None and config.fd is None
        sockets = listen(config) if self._sockets is None else self._sockets
        try:
            core = await self._stack.enter_async_context(self.app.running())
        except BaseException:
            for sock in sockets:
                sock.close()
            raise
        trusted = config.forwarded_allow_ips if config.proxy_headers else None
        self.worker = Worker(
            core,
            limits=config.limits,
            proxies=Proxies(trusted),
            secure=tls is not None,
            retire=self._retire,
        )
        self.worker.start()
        self.owns_sockets = owned
        self.listener = Listener(
            self.worker,
            sockets,
            connections=config.limits.connections or _files_left(),
            tls=tls,
        )
        self.listener.start()
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
                owns_sockets=self.owns_sockets,
                bound=limits.drain,
                idle=limits.drain_idle if idle is None else idle,
                force=force or asyncio.Event(),
            )
        finally:
            self.worker.stop()
            await self._stack.aclose()


def _files_left() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _RESERVED_FILES, soft // 2, 1)
