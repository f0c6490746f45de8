"""A database, opened from its URL: connections, units of work, a health check."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.util import greenlet_spawn

from mainspring.data._backend import BACKENDS
from mainspring.data._cursor import Cursors
from mainspring.data._glance import glance
from mainspring.data._pool import Connections, Pool
from mainspring.data._retry import ATTEMPTS, another, retrying
from mainspring.data._uninterrupted import Uninterrupted
from mainspring.data._unit import UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from sqlalchemy.engine import Connection, Engine

    from mainspring.data._backend import Backend
    from mainspring.data._retry import Retry
    from mainspring.data._unit import Session

T = TypeVar("T")

CHECKOUT = timedelta(seconds=5)
MAX_AGE = timedelta(minutes=30)
_CLOSE_LIMIT = timedelta(seconds=5)


class Database:
    """One database and its connections. Opens nothing until a unit needs it.

    Args:
        url: `sqlite:///app.db`, `postgresql://…`, `mysql://…` or `mariadb://…`.
        pool_size: the most connections of this process; None for the backend's own number. On
            SQLite the one for writing comes on top.
        checkout: how long a unit waits for a connection, if its deadline is not nearer.
        cursors: what signs those of pages; by default with a key of this process only.

    Raises:
        UnknownBackend: nothing answers to the URL's scheme.
        MissingExtra: the scheme's driver is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int | None = None,
        checkout: timedelta = CHECKOUT,
        cursors: Cursors | None = None,
    ) -> None:
        self.cursors = cursors or Cursors()
        self._url = url
        self._backend = BACKENDS.load(url)(url)
        self._connections = _connections(
            self._backend, size=pool_size or self._backend.pool_size, checkout=checkout
        )

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, which opens a connection of its own for every use."""
        return self._backend.engine

    @property
    def sibling_url(self) -> str:
        """What opens the same database once more, for another thread with a loop of its own.

        It is the URL, except for a SQLite database without a file, which has a path all the
        same.
        """
        return getattr(self._backend, "sibling_url", self._url)

    @property
    def pool(self) -> Connections:
        """The connections that units borrow."""
        return self._connections

    def unit(self, *, write: bool = True) -> UnitOfWork:
        """A new unit of work; costs nothing until it is used.

        Args:
            write: whether it may write. On SQLite writing units wait for each other and
                reading ones wait for nobody.
        """
        connections = self._connections
        pool = connections.writing if write else connections.reading
        return UnitOfWork(self._backend, pool, write=write, cursors=self.cursors)

    @property
    def reads_in_place(self) -> bool:
        """Whether `glance` may answer."""
        return self._backend.reads_in_place

    def glance(self, query: Any, into: Any, verb: str) -> Any:
        """A read that needs no unit of work, if it takes no waiting; see `_glance.glance`."""
        return glance(self._backend, self._connections.reading, query, into, verb)

    async def retrying(
        self,
        work: Callable[[Session], Awaitable[T]],
        *,
        write: bool = True,
        attempts: int = ATTEMPTS,
    ) -> T:
        """What `work` returns for the session of a new unit, which is then committed.

        If the database asks for it, the unit is rolled back and `work` called again with
        another: after a serialization conflict, a deadlock, an outdated snapshot of SQLite, a
        statement that was prepared before a migration. So `work` should have no effects
        outside of the database; those belong into its unit's hooks.

        Args:
            work: a coroutine function.
            write: as for `unit`.
            attempts: how often `work` is called at most; between them is an irregular pause,
                and none begins that the deadline would end at once.

        Raises:
            Contended: the last attempt failed for such a reason too.
        """
        return await retrying(self, work, write=write, attempts=attempts)

    async def another(
        self, unit: UnitOfWork, error: Exception, *, attempt: int, of: int
    ) -> UnitOfWork | None:
        """A new unit to do the same again in; None if the error would come again.

        For whoever ends units without `retrying`; see `_retry.another` for the arguments.
        """
        return await another(self, unit, error, attempt=attempt, of=of)

    def retry(self, error: BaseException) -> Retry | None:
        """Why a unit that ended with this error may be done again; None if that is in vain."""
        return self._backend.retry(error)

    async def on_connection(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns for a connection of its own, outside the pool.

        `work` is a plain function that uses SQLAlchemy's synchronous API: schema changes,
        reflection, bulk loads. It begins and ends its transactions itself.
        """
        link = await self._backend.open()
        try:
            return await greenlet_spawn(work, link.connection)
        finally:
            link.connection.invalidate()
            await Uninterrupted(self._backend.bury(link.raw), grace=_CLOSE_LIMIT, bounded=True)

    async def ping(self) -> None:
        """Raise whatever keeps a statement from being answered."""
        async with self.unit(write=False) as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()
        await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _connections(backend: Backend, *, size: int, checkout: timedelta) -> Connections:
    reading = Pool(backend, size=size, checkout=checkout, max_age=MAX_AGE)
    if not backend.one_writer:
        return Connections(reading, reading)
    return Connections(
        reading, Pool(backend, size=1, checkout=checkout, max_age=MAX_AGE, one_writer=True)
    )
