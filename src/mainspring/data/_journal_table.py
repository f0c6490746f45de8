"""The journal's table and every statement on it.

A row waits, is claimed by an owner, or is dead; when its effect has happened it is gone. Each
write that follows a claim names the owner, and an owner that was lost is never the same again,
so whoever comes too late changes nothing.

This module adds the table `mainspring_journal` to `Model.metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Column,
    Index,
    SmallInteger,
    String,
    Table,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from mainspring.data._lease import LEASES, NAME_LENGTH
from mainspring.data._model import Model
from mainspring.data._server_clock import server_now
from mainspring.data.types import Integer64, LongBytes, LongText

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.engine import Row
    from sqlalchemy.sql import ColumnElement

    from mainspring.data._unit import Session

WAITING: Final = 0
CLAIMED: Final = 1
DEAD: Final = 2
STATES: Final = {WAITING: "waiting", CLAIMED: "claimed", DEAD: "dead"}
_ERROR_LENGTH: Final = 4000

JOURNAL: Final = Table(
    "mainspring_journal",
    Model.metadata,
    Column("id", Integer64(), primary_key=True, autoincrement=True),
    Column("uid", String(32), nullable=False),
    Column("kind", String(100), nullable=False),
    Column("order_key", String(NAME_LENGTH)),
    Column("payload", LongBytes(), nullable=False),
    Column("state", SmallInteger(), nullable=False, default=WAITING),
    Column("written_at", Integer64(), nullable=False, default=server_now()),
    Column("due_at", Integer64(), nullable=False, default=server_now()),
    Column("attempts", Integer64(), nullable=False, default=0),
    Column("owner", String(NAME_LENGTH)),
    Column("error", LongText()),
    Index("ix_mainspring_journal_due", "state", "due_at", "id"),
    Index("ix_mainspring_journal_order", "order_key", "id"),
)
_J = JOURNAL.c


@dataclass(frozen=True, slots=True)
class Entry:
    """An effect that was committed and has to happen.

    Attributes:
        id: grows with every row that is written.
        uid: the same at every attempt, and nobody else's: what to hand to a partner who can
            recognise a repetition.
        kind: which effect.
        key: effects of one key happen in the order in which they were committed.
        payload: whatever was written.
        attempt: which one this is, from 1.
        owner: whose claim it is.
    """

    id: int
    uid: str
    kind: str
    key: str | None
    payload: bytes
    attempt: int
    owner: str


async def add(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    """Write rows with one statement; their ids by `uid`, or None where there is no RETURNING."""
    connection = await session.connection()
    statement = insert(JOURNAL)
    if not connection.dialect.insert_returning:  # MySQL
        unclaimed = {"owner": None, "state": WAITING, "attempts": 0}
        await session.execute(statement, [{**row, **unclaimed} for row in rows])
        return None
    found = await session.execute(statement.returning(_J.uid, _J.id), list(rows))
    return {uid: number for uid, number in found}  # noqa: C416  # mypy: a Row is no tuple of two


async def anything_due(session: Session, kinds: Collection[str]) -> bool:
    """Whether a claim would find something; takes no lock."""
    return await session.scalar(select(_J.id).where(*_due(kinds)).limit(1)) is not None


async def claim(session: Session, owner: str, kinds: Collection[str], *, limit: int) -> list[Entry]:
    """Make due rows the owner's, those that wait longest first.

    It always looks from the beginning. A reader that went on from the highest id it has seen
    would skip the row of a transaction that got a lower id and commits later.
    """
    chosen = select(JOURNAL).where(*_due(kinds)).order_by(_J.due_at, _J.id).limit(limit)
    taken = {"state": CLAIMED, "owner": owner, "attempts": _J.attempts + 1}
    connection = await session.connection()
    if connection.dialect.name == "sqlite":
        found = await session.execute(
            update(JOURNAL)
            .where(_J.id.in_(chosen.with_only_columns(_J.id)))
            .values(**taken)
            .returning(*JOURNAL.c)
        )
        return sorted((_entry(row, row.attempts, owner) for row in found), key=lambda e: e.id)
    rows = (await session.execute(chosen.with_for_update(skip_locked=True))).all()
    if rows:
        await session.execute(
            update(JOURNAL).where(_J.id.in_([row.id for row in rows])).values(**taken)
        )
    return [_entry(row, row.attempts + 1, owner) for row in rows]


def _due(kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    # Of one key only the first row there is: also behind a dead one, whose effect was to
    # happen before.
    before = JOURNAL.alias("before")
    is_first = ~exists().where(before.c.order_key == _J.order_key, before.c.id < _J.id)
    return (
        _J.state == WAITING,
        _J.due_at <= server_now(),
        _J.kind.in_(sorted(kinds)),
        or_(_J.order_key.is_(None), is_first),
    )


def _entry(row: Row[Any], attempt: int, owner: str) -> Entry:
    return Entry(row.id, row.uid, row.kind, row.order_key, bytes(row.payload), attempt, owner)


async def finish(session: Session, entries: Iterable[Entry], owner: str) -> int:
    """Remove rows whose effects have happened; how many were the owner's still."""
    ids = sorted(entry.id for entry in entries)
    return await _changed(session, delete(JOURNAL).where(_J.owner == owner, _J.id.in_(ids)))


async def put_back(session: Session, entry: Entry, *, error: str, after_ms: int | None) -> None:
    """Let an effect that failed wait for its next attempt, or count it among the dead.

    Args:
        session: to write with.
        entry: the claim.
        error: what it failed with.
        after_ms: how long it waits; None for ever.
    """
    values: dict[str, Any] = {"owner": None, "error": error[:_ERROR_LENGTH]}
    if after_ms is None:
        values["state"] = DEAD
    else:
        values |= {"state": WAITING, "due_at": server_now() + after_ms}
    await _changed(
        session,
        update(JOURNAL).where(_J.owner == entry.owner, _J.id == entry.id).values(**values),
    )


async def claimed_by(session: Session, owner: str) -> set[int]:
    """The ids of what the owner has claimed."""
    found = await session.scalars(select(_J.id).where(_J.state == CLAIMED, _J.owner == owner))
    return set(found)


async def release(session: Session, owner: str, ids: Collection[int] | None = None) -> int:
    """Let others have what the owner has claimed and will not do: all, or only some ids.

    It was interrupted and has not failed, so the attempt does not count.
    """
    mine = [_J.state == CLAIMED, _J.owner == owner]
    if ids is not None:
        if not ids:
            return 0
        mine.append(_J.id.in_(sorted(ids)))
    free = {"state": WAITING, "owner": None, "attempts": _J.attempts - 1}
    return await _changed(session, update(JOURNAL).where(*mine).values(**free))


async def rescue(session: Session, *, prefix: str) -> int:
    """Let others have what the dead have claimed, and forget the dead.

    Dead is an owner without a lease that is alive by the database's clock. How long a row has
    been claimed plays no part.
    """
    alive = select(LEASES.c.name).where(
        LEASES.c.name == _J.owner, LEASES.c.expires_at > server_now()
    )
    found = await _changed(
        session,
        update(JOURNAL)
        .where(_J.state == CLAIMED, ~alive.exists())
        .values(state=WAITING, owner=None),
    )
    await session.execute(
        delete(LEASES).where(
            LEASES.c.name.startswith(prefix, autoescape=True), LEASES.c.expires_at <= server_now()
        )
    )
    return found


async def counts(session: Session) -> Sequence[Row[*tuple[Any, ...]]]:
    """Kind, state, how many, and the age of the oldest in milliseconds."""
    found = await session.execute(
        select(
            _J.kind,
            _J.state,
            func.count().label("rows"),
            (server_now() - func.min(_J.written_at)).label("oldest_ms"),
        )
        .group_by(_J.kind, _J.state)
        .order_by(_J.kind, _J.state)
    )
    return found.all()


async def listed(
    session: Session, *, state: int | None = None, kind: str | None = None, limit: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Rows without their payloads, the oldest first."""
    wanted = [_J.state == state] if state is not None else []
    wanted += [_J.kind == kind] if kind is not None else []
    found = await session.execute(
        select(
            _J.id, _J.uid, _J.kind, _J.order_key, _J.state, _J.attempts, _J.error,
            (server_now() - _J.written_at).label("age_ms"),
            (_J.due_at - server_now()).label("due_in_ms"),
        ).where(*wanted).order_by(_J.id).limit(limit)
    )  # fmt: skip
    return found.all()


async def revive(session: Session, ids: Collection[int], kind: str | None) -> int:
    """Let the dead have all their attempts anew; those of the ids, or of the kind, or all."""
    alive = {"state": WAITING, "attempts": 0, "due_at": server_now()}
    return await _changed(session, update(JOURNAL).where(*_dead(ids, kind)).values(**alive))


async def discard(session: Session, ids: Collection[int], kind: str | None) -> int:
    """Remove the dead; their effects will never happen."""
    return await _changed(session, delete(JOURNAL).where(*_dead(ids, kind)))


def _dead(ids: Collection[int], kind: str | None) -> list[ColumnElement[bool]]:
    wanted = [_J.state == DEAD]
    wanted += [_J.id.in_(sorted(ids))] if ids else []
    wanted += [_J.kind == kind] if kind is not None else []
    return wanted


async def _changed(session: Session, statement: Any) -> int:
    result: Any = await session.execute(statement)
    return int(result.rowcount)
