"""The unit of work: one session, one connection, one transaction, ended exactly once."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import orm, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only

from mainspring import telemetry
from mainspring.data import _observed
from mainspring.data._cursor import Cursors
from mainspring.data._errors import RowNotFound, UnitEnded
from mainspring.data._queries import Queries
from mainspring.data._uninterrupted import Uninterrupted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from sqlalchemy.engine import Connection, Dialect

    from mainspring.data._backend import Backend
    from mainspring.data._link import Link
    from mainspring.data._pool import Pool

    Hook = Callable[[], Awaitable[object] | object]

T = TypeVar("T")

# A commit that was begun is finished, so that its outcome is known and its hooks run; a
# rollback is worth no more than a new connection.
_COMMIT_GRACE = timedelta(seconds=5)
_ROLLBACK_LIMIT = timedelta(seconds=2)


class UnitOfWork:
    """What belongs together: everything that one request, task or script does to the data.

    Nothing is opened before `session` is used, and no connection is taken before its first
    statement. Whoever made the unit ends it with `commit` or `rollback`, also when it was
    cancelled: the connection then goes back clean or is thrown away.

    As a context manager it gives the session, commits at the end, and rolls back if the block
    raised or was cancelled.
    """

    __slots__ = ("_backend", "_ended", "_hooks", "_link", "_pool", "_session", "cursors", "write")

    def __init__(
        self, backend: Backend, pool: Pool, *, write: bool, cursors: Cursors | None = None
    ) -> None:
        self.cursors = cursors or Cursors()
        self._backend = backend
        self._pool = pool
        self.write = write
        self._session: Session | None = None
        self._link: Link | None = None
        self._hooks: list[Hook] | None = None
        self._ended = False

    @property
    def session(self) -> Session:
        """The session; made on first use."""
        if self._session is None:
            self._session = Session(self)
        return self._session

    @property
    def dialect(self) -> Dialect:
        """Which kind of database it is; known without a connection."""
        return self._backend.engine.dialect

    @property
    def opened(self) -> bool:
        """Whether the session has been asked for; if not, there is nothing to end."""
        return self._session is not None

    def after_commit(self, hook: Hook) -> None:
        """Call or await `hook` once the data is safe; never after a rollback.

        A hook that fails is reported to telemetry and changes nothing else.
        """
        if self._hooks is None:
            self._hooks = []
        self._hooks.append(hook)

    async def commit(self) -> None:
        """Make it all durable, end the unit, and run the hooks.

        If it raises, nothing was written and the unit is rolled back. A cancellation that
        comes while the database is committing is raised when the outcome is known.
        """
        await self.save()
        self._end()

    async def rollback(self) -> None:
        """Undo everything and end the unit; the hooks are forgotten."""
        try:
            await self.undo()
        finally:
            self._end()

    async def save(self) -> None:
        """Commit, and leave the unit open for another transaction."""
        session = self._session
        if session is not None:
            try:
                if session.new or session.dirty or session.deleted:
                    await session.flush()
            except BaseException:
                await self.undo()
                raise
        if self._link is not None or self._hooks:
            await Uninterrupted(self._save(), grace=_COMMIT_GRACE)

    async def undo(self) -> None:
        """Roll back, and leave the unit open for another transaction."""
        self._hooks = None
        if self._link is not None:
            await Uninterrupted(self._undo(self._link), grace=_ROLLBACK_LIMIT, bounded=True)
        elif self._session is not None:
            self._session.sync_session.close()

    def connection_now(self) -> Connection:
        """The connection of the unit, inside SQLAlchemy's greenlet; taken at the first call."""
        link = self._link
        if link is None:
            link = self._take_now() or await_only(self._take())
        return link.connection

    async def _save(self) -> None:
        link, session = self._link, self._session
        if link is not None and session is not None:
            try:
                await AsyncSession.commit(session)
            except BaseException:
                await self._undo(link)
                raise
            self._release(link)
        hooks, self._hooks = self._hooks, None
        for hook in hooks or ():
            await _run(hook)

    async def _undo(self, link: Link) -> None:
        clean = False
        try:
            if self._session is not None:
                await AsyncSession.close(self._session)
            clean = not link.connection.in_transaction()
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001  # see below
            # The time is up or the connection is gone. Either way the database rolls back
            # when it is closed, so for the caller this is a rollback like any other.
            telemetry.failed("data.rollback", exc)
        if clean:
            self._release(link)
        else:
            self._link = None
            self._pool.discard(link)

    def _release(self, link: Link) -> None:
        self._link = None
        self._pool.give_back(link)

    def _end(self) -> None:
        self._ended = True
        if self._session is not None and self._session.sync_session.identity_map:
            # The objects live on without it, and may be added to another session.
            self._session.sync_session.close()

    def _take_now(self) -> Link | None:
        if self._ended:
            raise UnitEnded(
                "this session's unit of work has been committed or rolled back",
                fix="do the work before the unit ends, or open another with database.unit()",
            )
        link = self._pool.take_idle()
        if link is None:
            return None
        try:
            begun = self._backend.begin_now(link.raw, write=self.write)
        except BaseException:
            self._pool.discard(link)
            raise
        if not begun:
            self._pool.give_back(link)
            return None
        self._link = link
        return link

    async def _take(self) -> Link:
        link = await self._pool.take()
        try:
            if not self._backend.begin_now(link.raw, write=self.write):
                await self._backend.begin(link.raw, write=self.write)
        except BaseException:
            self._pool.give_back(link)
            raise
        self._link = link
        return link

    async def __aenter__(self) -> Session:
        return self.session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            await self.commit()
        else:
            await self.rollback()


async def _run(hook: Hook) -> None:
    try:
        result = hook()
        if inspect.isawaitable(result):
            await result
    except Exception as exc:  # noqa: BLE001  # the data is committed; a hook cannot change that
        telemetry.failed("data.after_commit", exc, hook=getattr(hook, "__qualname__", repr(hook)))


class _BoundSession(orm.Session):
    """SQLAlchemy's session, bound to whatever connection its unit holds."""

    loads_together = True  # see _peers

    def __init__(self, *, unit: UnitOfWork, **options: Any) -> None:
        super().__init__(**options)
        self._unit = unit

    def get_bind(self, *_args: Any, **_options: Any) -> Connection:
        connection = self._unit.connection_now()
        if _observed.listening():
            _observed.entered(self, connection)
        return connection


class Session(Queries):
    """SQLAlchemy's `AsyncSession` within a unit of work.

    Objects stay readable after the commit. `commit` and `rollback` end the transaction, and
    the next statement begins another; the unit itself is ended by whoever made it, which for
    a request is the framework.
    """

    sync_session_class = _BoundSession

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(expire_on_commit=False, unit=unit)
        self._unit = unit

    @property
    def unit(self) -> UnitOfWork:
        """The unit of work that the session belongs to."""
        return self._unit

    async def find(self, kind: type[T], /, **equal: Any) -> T:
        """The one row of a model whose columns have these values: `find(User, email=…)`.

        Raises:
            RowNotFound: there is none; answers with 404 if nobody catches it.
        """
        found = (await self.execute(select(kind).filter_by(**equal))).scalar_one_or_none()
        if found is None:
            listed = ", ".join(f"{name} {value!r}" for name, value in equal.items())
            raise RowNotFound(f"there is no {kind.__name__.lower()} with {listed}")
        return found

    async def commit(self) -> None:
        """Commit what was done so far, and run the hooks that wait for it."""
        await self._unit.save()

    async def rollback(self) -> None:
        """Undo what was done since the last commit."""
        await self._unit.undo()

    async def close(self) -> None:
        """Undo what was not committed and give the connection back."""
        await self._unit.undo()
