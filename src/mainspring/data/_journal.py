"""The journal: effects that are written with the data and happen after the commit.

A row is written by the transaction that wants the effect, so there is an effect exactly when
there is a commit. Afterwards the process that wrote it makes it happen at once; if that process
is dead by then, any other one that runs a relay does.

An effect happens **at least once**: whoever dies after making it happen and before noting that
leaves it to be repeated, with the same `uid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

from mainspring import telemetry
from mainspring.data import _journal_table as table
from mainspring.data._lease import SPAN, LeaseLost
from mainspring.data._relay import Relay
from mainspring.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from types import TracebackType

    from mainspring.data._database import Database
    from mainspring.data._journal_table import Entry
    from mainspring.data._unit import Session, UnitOfWork


class UnknownEffect(ConfigError):
    """A row was to be written for an effect that nobody has declared."""

    code = "journal.unknown-effect"


class Run(Protocol):
    """Makes one effect happen; raises if it did not, and `GiveUp` if it never will.

    It runs outside of any request, may be called again with the same entry, and finds in
    `entry.uid` what tells a repetition apart.
    """

    async def __call__(self, entry: Entry, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and when an effect that failed is attempted again.

    The wait doubles from `first` up to `longest`, and each is shortened at random by up to a
    half, so that what failed together is not attempted together.
    """

    attempts: int = 12
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(hours=1)

    def wait(self, attempt: int, *, chance: float) -> timedelta | None:
        """How long to wait after so many attempts; None if there were enough.

        Args:
            attempt: how many there were.
            chance: between 0 and 1, anew for each call.
        """
        if attempt >= self.attempts:
            return None
        # Beyond 2 ** 40 the longest has long been reached.
        doubled = self.first * 2 ** min(attempt - 1, 40) if attempt < 40 else self.longest
        return min(doubled, self.longest) * (1 - chance / 2)


@dataclass(frozen=True, slots=True)
class Effect:
    """A kind of effect, as it was declared."""

    run: Run
    retry: RetryPolicy
    timeout: timedelta


class Journal:
    """Writes effects into units of work and, while it is entered, makes them happen.

    Args:
        database: where the table is.
        concurrency: how many effects run at the same time in this process.
        span: how long the claims of this process outlive its last heartbeat.
    """

    def __init__(self, database: Database, *, concurrency: int = 8, span: timedelta = SPAN) -> None:
        self._effects: dict[str, Effect] = {}
        self._relay = Relay(database, self._effects, concurrency=concurrency, span=span)

    def declare(
        self,
        kind: str,
        run: Run,
        *,
        retry: RetryPolicy | None = None,
        timeout: timedelta = timedelta(minutes=1),
    ) -> None:
        """Say how effects of a kind happen. A relay leaves kinds alone that it does not know.

        Args:
            kind: stable, since rows of it outlive the program; at most 100 characters.
            run: makes it happen.
            retry: when it is attempted again.
            timeout: after which one attempt is cancelled and counts as failed.
        """
        self._effects[kind] = Effect(run, retry or RetryPolicy(), timeout)

    @property
    def kinds(self) -> frozenset[str]:
        """Which effects are declared."""
        return frozenset(self._effects)

    @property
    def running(self) -> bool:
        """Whether effects happen in this process."""
        return self._relay.running

    def write(self, unit: UnitOfWork, kind: str, payload: bytes, *, key: str | None = None) -> str:
        """Let an effect happen once the unit has committed, and never if it does not.

        The rows of a unit are written together, with one statement just before the commit. A
        savepoint that is undone takes its own along.

        Args:
            unit: what the effect belongs to.
            kind: which effect.
            payload: what its function needs to know.
            key: effects of one key happen in the order in which they were committed, each
                after the one before has happened.

        Returns:
            The `uid` of the entry.

        Raises:
            UnknownEffect: nobody has declared the kind.
        """
        if kind not in self._effects:
            raise UnknownEffect(
                f"the journal knows no effect {kind!r}",
                fix=suggestion(kind, list(self._effects))
                or "declare it before the application starts",
            )
        uid = telemetry.new_id()
        row = {"uid": uid, "kind": kind, "order_key": key, "payload": payload}
        unit.before_commit(_Write(self._relay, unit, row))
        return uid

    async def finish(self, session: Session, entry: Entry) -> None:
        """Note within the session's own transaction that the effect has happened.

        For effects that change only this database: they then happen exactly once.

        Raises:
            LeaseLost: somebody else has taken the effect over; roll back.
        """
        if await table.finish(session, [entry], entry.owner) != 1:
            raise LeaseLost(f"entry {entry.id} of the journal is another owner's by now")

    def wake(self) -> None:
        """Let the relay of this process look for rows now."""
        self._relay.wake()

    async def __aenter__(self) -> Self:
        await self._relay.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._relay.stop()


class _Write:
    """One row that waits for the commit, as a hook: a savepoint that is undone forgets it."""

    __slots__ = ("_relay", "_row", "_unit")

    def __init__(self, relay: Relay, unit: UnitOfWork, row: dict[str, Any]) -> None:
        self._relay = relay
        self._unit = unit
        self._row = row

    def __call__(self) -> None:
        hooks = self._unit.hooks.before_commit
        # The hooks run one after the other, and what they register runs after all of them.
        if not (hooks and isinstance(hooks[-1], _Flush) and hooks[-1].relay is self._relay):
            self._unit.before_commit(_Flush(self._relay, self._unit))
        last = hooks[-1]
        assert isinstance(last, _Flush)
        last.rows.append(self._row)


class _Flush:
    """All rows of a unit, written with one statement."""

    __slots__ = ("_unit", "relay", "rows")

    def __init__(self, relay: Relay, unit: UnitOfWork) -> None:
        self.relay = relay
        self._unit = unit
        self.rows: list[dict[str, Any]] = []

    async def __call__(self) -> None:
        owner = self.relay.owner_for(len(self.rows))
        rows = [_claimed(row, owner) for row in self.rows]
        ids = await table.add(self._unit.session, rows)
        mine = [] if ids is None else [_entry(row, ids) for row in rows if row["owner"]]
        self._unit.after_commit(lambda: self.relay.committed(mine, others=len(mine) < len(rows)))


def _claimed(row: dict[str, Any], owner: str | None) -> dict[str, Any]:
    """The row as it is written: a claim already, where this process will make it happen."""
    if owner is None or row["order_key"] is not None:
        # What has to keep an order must look at the rows before it, and so is claimed later.
        return {**row, "state": table.WAITING, "owner": None, "attempts": 0}
    return {**row, "state": table.CLAIMED, "owner": owner, "attempts": 1}


def _entry(row: dict[str, Any], ids: dict[str, int]) -> Entry:
    uid = row["uid"]
    return table.Entry(ids[uid], uid, row["kind"], None, row["payload"], 1, row["owner"])
