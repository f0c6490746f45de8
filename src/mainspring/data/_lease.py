"""Leases: who may do something now, decided by the database, and lost by dying.

One implementation for whatever one process at a time does: the journal's relay, jobs,
schedules. A lease belongs to an owner and has a token that grows with every taking. It lasts
as long as the owner's heartbeat, on the database's clock; how long the work takes plays no
part. Whoever has lost it can change nothing, because what it writes is conditional on owner
and token in the transaction that writes (`guard`).

This module adds the table `mainspring_lease` to `Model.metadata`, and with it to the
migrations of the applications that import it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from sqlalchemy import Column, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from mainspring import telemetry
from mainspring.data._heartbeat import Heartbeat
from mainspring.data._model import Model
from mainspring.data._server_clock import milliseconds, server_now
from mainspring.data.types import Integer64
from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from sqlalchemy.sql import ColumnElement

    from mainspring.data._database import Database
    from mainspring.data._unit import Session

SPAN: Final = timedelta(seconds=15)
NAME_LENGTH: Final = 190

LEASES: Final = Table(
    "mainspring_lease",
    Model.metadata,
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("token", Integer64(), nullable=False),
    Column("expires_at", Integer64(), nullable=False),
)
"""The row stays when a lease is given back, so that its token never counts from 1 again."""


class LeaseLost(MainspringError):
    """The lease ended while its owner believed to hold it; nothing of the transaction is kept."""

    code = "data.lease-lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do what the name says.

    Attributes:
        name: of what is leased.
        owner: whose it is.
        token: larger than that of every lease of this name before it.
    """

    name: str
    owner: str
    token: int


class Leases:
    """The leases of one owner, kept alive by a heartbeat of their own while this is entered.

    The heartbeat is a thread with a connection of its own: a blocked event loop or an
    exhausted pool does not lose a lease. A process that was stopped or cut off does.

    Args:
        database: where they are.
        span: how long a lease outlives the last heartbeat; there are three within it.
    """

    def __init__(self, database: Database, *, span: timedelta = SPAN) -> None:
        self._database = database
        self._span = span
        self.owner = telemetry.new_id()
        self._until: dict[Lease, float] = {}
        self._lock = threading.Lock()
        self._heartbeat = Heartbeat(database.sibling_url, self._renew, every=span / 3)

    async def take(self, name: str) -> Lease | None:
        """The lease of the name, or None while somebody else has it. Never waits for it.

        Raises:
            DatabaseUnavailable: it cannot be known.
        """
        asked = time.monotonic()
        try:
            async with self._database.unit() as session:
                token = await self._take(session, name)
        except IntegrityError:
            return None  # somebody else was the first to take it ever
        if token is None:
            return None
        lease = Lease(name, self.owner, token)
        with self._lock:
            self._until[lease] = asked + self._span.total_seconds()
        return lease

    async def _take(self, session: Session, name: str) -> int | None:
        mine = {"owner": self.owner, "expires_at": server_now() + milliseconds(self._span)}
        taken = await session.execute(
            update(LEASES)
            .where(LEASES.c.name == name, LEASES.c.expires_at <= server_now())
            .values(token=LEASES.c.token + 1, **mine)
        )
        read = select(LEASES.c.token).where(LEASES.c.name == name)
        if taken.rowcount:  # type: ignore[attr-defined]  # SQLAlchemy types it as any result
            return await session.scalar(read)
        if await session.scalar(read) is not None:
            return None
        await session.execute(insert(LEASES).values(name=name, token=1, **mine))
        return 1

    async def give(self, lease: Lease, *, forget: bool = False) -> None:
        """Let others have it at once; nothing happens if it was lost.

        Args:
            lease: which one.
            forget: remove its row too. Only for names that nobody will ever take again.
        """
        with self._lock:
            self._until.pop(lease, None)
        own = _own(lease)
        async with self._database.unit() as session:
            if forget:
                await session.execute(delete(LEASES).where(*own))
            else:
                await session.execute(update(LEASES).where(*own).values(expires_at=0))

    def held(self, lease: Lease) -> bool:
        """Whether it is certain to be held now, without asking the database.

        For what is about to be done outside of the database. It is judged by the monotonic
        clock from before the last successful heartbeat, so that it says no too early and
        never too late; no clock that can be set has a part in it.
        """
        with self._lock:
            return self._until.get(lease, 0.0) > time.monotonic()

    async def guard(self, session: Session, lease: Lease) -> None:
        """Bind the session's transaction to the lease: it commits only while the lease is held.

        The row of the lease stays locked until the end of the transaction, so nobody can take
        it in between.

        Raises:
            LeaseLost: it is not held any more.
        """
        held = select(LEASES.c.token).where(*_own(lease), LEASES.c.expires_at > server_now())
        if await session.scalar(held.with_for_update(read=True)) is None:
            raise LeaseLost(f"the lease {lease.name!r} was lost to another owner or has expired")

    async def _renew(self, database: Database) -> None:
        """One heartbeat, on the thread's own connection."""
        asked = time.monotonic()
        with self._lock:
            known = set(self._until)
        if not known:
            return
        mine = (LEASES.c.owner == self.owner, LEASES.c.expires_at > server_now())
        async with database.unit() as session:
            await session.execute(
                update(LEASES)
                .where(*mine)
                .values(expires_at=server_now() + milliseconds(self._span))
            )
            rows = await session.execute(select(LEASES.c.name, LEASES.c.token).where(*mine))
            alive = {Lease(name, self.owner, token) for name, token in rows}
        self._note(known, alive, until=asked + self._span.total_seconds())

    def _note(self, known: Iterable[Lease], alive: set[Lease], *, until: float) -> None:
        lost = []
        with self._lock:
            for lease in known:
                if lease not in self._until:
                    continue  # given back meanwhile
                if lease in alive:
                    self._until[lease] = until
                else:
                    del self._until[lease]
                    lost.append(lease.name)
        for name in lost:
            telemetry.emit("data.lease.lost", name=name, owner=self.owner)

    async def __aenter__(self) -> Self:
        self._heartbeat.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._heartbeat.stop()


def _own(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        LEASES.c.name == lease.name,
        LEASES.c.owner == lease.owner,
        LEASES.c.token == lease.token,
    )
