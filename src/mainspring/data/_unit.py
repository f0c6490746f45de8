"""The unit of work: one session, one connection, one transaction, ended exactly once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import event, orm, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only, greenlet_spawn

from mainspring import telemetry
from mainspring.data import _observed
from mainspring.data._direct import Direct
from mainspring.data._errors import RowNotFound, UnitEnded
from mainspring.data._hooks import Hooks
from mainspring.data._queries import Queries
from mainspring.data._uninterrupted import Uninterrupted

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncSessionTransaction

    from mainspring.data._backend import Backend
    from mainspring.data._cursor import Cursors
    from mainspring.data._database import Database
    from mainspring.data._hooks import Hook, Mark
    from mainspring.data._link import Link
    from mainspring.data._pool import Pool

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

    Attributes:
        write: whether it may write.
        kept: whether something of it has been committed.
        cursors: what signs the cursors of pages; None for a key of this process.

    As a context manager it gives the session, commits at the end, and rolls back if the block
    raised or was cancelled.
    """

    __slots__ = (
        "_backend",
        "_beside",
        "_ended",
        "_hooks",
        "_link",
        "_pool",
        "_session",
        "_taking",
        "cursors",
        "kept",
        "write",
    )

    def __init__(
        self, backend: Backend, pool: Pool, *, write: bool, cursors: Cursors | None = None
    ) -> None:
        self.cursors = cursors
        self._backend = backend
        self._pool = pool
        self.write = write
        self._session: Session | None = None
        self._link: Link | None = None
        self._hooks: Hooks | None = None
        self._ended = False
        self._taking: asyncio.Lock | None = None
        self._beside: dict[Database, UnitOfWork] | None = None
        self.kept = False

    @property
    def session(self) -> Session:
        """The session; made on first use."""
        if self._session is None:
            self._session = Session(self)
        return self._session

    def beside(self, database: Database, kind: type[Session] | None = None) -> UnitOfWork:
        """The unit of another database that ends with this one; the same at each call.

        When this one is committed, everything is flushed first; then the others are
        committed in the order of their first use, and this one last. If one of them fails,
        those before it stay committed and all others are rolled back: there is no
        transaction over several databases.

        Args:
            database: the other one.
            kind: of its session.
        """
        if self._beside is None:
            self._beside = {}
        unit = self._beside.get(database)
        if unit is None:
            self._check_open()
            unit = self._beside[database] = database.unit(write=self.write)
            unit._session = (kind or Session)(unit)  # noqa: SLF001  # one of our own
        return unit

    @property
    def backend(self) -> Backend:
        """The database's."""
        return self._backend

    @property
    def link(self) -> Link | None:
        """The connection, once a statement was sent."""
        return self._link

    async def take(self) -> Link:
        """The connection for a statement; taken at the first call."""
        link = self._link or self._take_now()
        if link is not None:
            return link
        if self._taking is None:
            self._taking = asyncio.Lock()
        async with self._taking:  # two statements at once would take two connections
            return self._link or await self._take()

    def interrupted(self, link: Link) -> None:
        """A statement was cancelled on the way: the connection is not used again."""
        self._backend.driver.cut(link.raw)
        link.connection.invalidate()

    @property
    def opened(self) -> bool:
        """Whether the session has been asked for; if not, there is nothing to end."""
        return self._session is not None

    @property
    def hooks(self) -> Hooks:
        """What is to happen at the end; made on first use."""
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def savepoint(self) -> AsyncSessionTransaction:
        """`async with unit.savepoint():` a part that can be undone alone.

        If the block raises, what it wrote is undone and the hooks that it registered are
        forgotten; the unit goes on if somebody catches the error. The same as the session's
        `begin_nested`.
        """
        return self.session.begin_nested()

    def before_commit(self, hook: Hook) -> None:
        """Call or await `hook` as the last thing before the commit, after the flush.

        It may write through the session. If it raises, the unit is rolled back and the error
        is the caller's.
        """
        self.hooks.before_commit.append(hook)

    def after_commit(self, hook: Hook) -> None:
        """Call or await `hook` once the data is safe; never after a rollback.

        A hook that fails is reported to telemetry and changes nothing else.
        """
        self.hooks.after_commit.append(hook)

    def after_rollback(self, hook: Hook) -> None:
        """Call or await `hook` once the data is undone; never after a commit.

        Registered within a savepoint that is rolled back it is called when the unit ends,
        however that ends. A hook that fails is reported to telemetry and changes nothing else.
        """
        self.hooks.after_rollback.append(hook)

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
        try:
            if session is not None:
                await session.end_streams()
            if self._hooks or self._beside or (session is not None and session.is_loaded):
                await self._prepare()
                if self._beside is not None:
                    await self._save_others(self._beside.values())
        except BaseException:
            await self.undo()
            raise
        if self._link is not None or self._hooks is not None:
            await Uninterrupted(self._save(), grace=_COMMIT_GRACE)

    async def undo(self) -> None:
        """Roll back, and leave the unit open for another transaction."""
        if self._link is not None:
            await Uninterrupted(self._undo(self._link), grace=_ROLLBACK_LIMIT, bounded=True)
        elif self._session is not None and self._session.is_loaded:
            self._session.sync_session.close()
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            await Uninterrupted(hooks.rolled_back(), grace=_COMMIT_GRACE)
        if self._beside is not None:
            for unit in self._beside.values():
                await unit.undo()

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
                if link.connection.in_transaction():
                    await AsyncSession.commit(session)
                else:
                    await self._backend.driver.commit(link.raw)
            except BaseException:
                await self._undo(link)
                raise
            self.kept = True
            self._release(link)
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            await hooks.committed()

    async def _prepare(self) -> None:
        await self._flush()
        while self._hooks is not None and await self._hooks.prepare():
            await self._flush()

    async def _save_others(self, others: Collection[UnitOfWork]) -> None:
        for unit in others:
            await unit._prepare()  # noqa: SLF001  # what is wrong shows before anything is durable
        for unit in others:
            await unit.save()
            self.kept = self.kept or unit.kept

    async def _flush(self) -> None:
        session = self._session
        if session is None or not session.is_loaded:
            return
        if session.new or session.dirty or session.deleted:
            await session.flush()

    async def _undo(self, link: Link) -> None:
        clean = False
        try:
            if self._session is not None:
                await self._session.end_streams()
            if self._session is not None and self._session.is_loaded:
                await AsyncSession.close(self._session)
            left = link.connection.get_transaction()
            if left is not None:
                # The server refused the COMMIT, and the session has let go of it as it is.
                await greenlet_spawn(left.rollback)
            clean = not link.connection.in_transaction()
            if clean and not link.connection.invalidated:
                await self._backend.driver.rollback(link.raw)
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
        session = self._session
        if session is not None and session.is_loaded and session.sync_session.identity_map:
            # The objects live on without it, and may be added to another session.
            session.sync_session.close()
        if self._beside is not None:
            for unit in self._beside.values():
                unit._end()  # noqa: SLF001  # one of our own

    def _check_open(self) -> None:
        if self._ended:
            raise UnitEnded(
                "this session's unit of work has been committed or rolled back",
                fix="do the work before the unit ends, or open another with database.unit()",
            )

    def _take_now(self) -> Link | None:
        self._check_open()
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


class _BoundSession(orm.Session):
    """SQLAlchemy's session, bound to whatever connection its unit holds."""

    loads_together = True  # see _peers

    def __init__(self, *, unit: UnitOfWork, **options: Any) -> None:
        super().__init__(**options)
        self._unit = unit
        self._marks: WeakKeyDictionary[orm.SessionTransaction, Mark] | None = None

    def get_bind(self, *_args: Any, **_options: Any) -> Connection:
        connection = self._unit.connection_now()
        if _observed.listening():
            _observed.entered(self, connection)
        return connection

    def begin_nested(self) -> orm.SessionTransaction:
        savepoint = super().begin_nested()
        if self._marks is None:
            self._marks = WeakKeyDictionary()
        self._marks[savepoint] = self._unit.hooks.mark()
        return savepoint

    def rolled_back(self, transaction: orm.SessionTransaction) -> None:
        mark = None if self._marks is None else self._marks.pop(transaction, None)
        if mark is not None:
            self._unit.hooks.undo_since(mark)


@event.listens_for(_BoundSession, "after_soft_rollback")
def _rolled_back(session: _BoundSession, transaction: orm.SessionTransaction) -> None:
    session.rolled_back(transaction)


class Session(Queries, Direct):
    """SQLAlchemy's `AsyncSession` within a unit of work.

    Objects stay readable after the commit. `commit` and `rollback` end the transaction, and
    the next statement begins another; the unit itself is ended by whoever made it, which for
    a request is the framework.
    """

    sync_session_class = _BoundSession

    def __init__(self, unit: UnitOfWork) -> None:  # SQLAlchemy's part follows on first use
        self._unit = unit

    def __getattr__(self, name: str) -> Any:
        # Two attributes that SQLAlchemy's constructor sets. A unit that sends hot statements
        # only never needs them, and they cost as much as its statements.
        if name in {"sync_session", "_proxied"}:
            super().__init__(expire_on_commit=False, unit=self._unit)
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

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
