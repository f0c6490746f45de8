"""Services: what an application opens once and hands to whoever asks for the type.

A factory is an async context manager, so that what it opens has an owner. Everything is
opened in the order of its registration and closed in the reverse one.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


class UnknownService(ConfigError):
    """Nothing provides a type that was asked for."""

    code = "services.unknown"


class Services:
    """Type to value, for the life of the application."""

    def __init__(self) -> None:
        self._factories: dict[type, Callable[[], AbstractAsyncContextManager[Any]]] = {}
        self._pings: dict[type, Callable[[Any], Awaitable[None]]] = {}
        self._open: dict[type, Any] = {}
        self._stack: AsyncExitStack | None = None

    def provide(
        self,
        kind: type[T],
        factory: Callable[[], AbstractAsyncContextManager[T]],
        *,
        ping: Callable[[T], Awaitable[None]] | None = None,
    ) -> None:
        """Say what gives values of `kind`; a second factory for a kind replaces the first.

        Args:
            kind: the type by which it is asked for.
            factory: opens the value and closes it again.
            ping: raises if the open value does not work; the readiness check awaits it.
        """
        self._factories[kind] = factory
        self._pings.pop(kind, None)
        if ping is not None:
            self._pings[kind] = ping

    def knows(self, kind: object) -> bool:
        """Whether something provides the type."""
        return kind in self._factories

    async def open(self) -> None:
        """Open all; if one fails, those already open are closed and the failure is raised.

        Raises:
            ConfigError: they are open already.
        """
        if self._stack is not None:
            raise ConfigError("the services are open already", fix="close them first")
        async with AsyncExitStack() as stack:
            for kind, factory in self._factories.items():
                self._open[kind] = await stack.enter_async_context(factory())
                stack.callback(self._open.pop, kind)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Close all in reverse order; each may still use those that were opened before it."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    def get(self, kind: type[T]) -> T:
        """The open value.

        Raises:
            UnknownService: nothing provides the type, or the services are not open.
        """
        try:
            return cast("T", self._open[kind])
        except KeyError:
            raise UnknownService(
                f"no open service provides {kind.__name__}",
                fix="register it with app.provide(), and use it while the application runs",
            ) from None

    async def ping(self) -> dict[str, str]:
        """Name of each service that can be pinged, to an empty string or what is wrong."""
        return {kind.__name__: await self._ping(kind) for kind in self._pings}

    async def _ping(self, kind: type) -> str:
        try:
            await self._pings[kind](self.get(kind))
        except Exception as exc:  # noqa: BLE001  # any failure is the answer to the question
            return f"{type(exc).__name__}: {exc}"
        return ""
