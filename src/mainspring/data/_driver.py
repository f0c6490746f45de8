"""The seam below hot statements: a driver's own calls, on the connection that a unit holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mainspring.data._plan import Plan

    Answer = tuple[Sequence[Any], int]
    """Rows, and how many rows the statement changed, or found."""


class Driver(Protocol):
    """Sends statements without SQLAlchemy in between, and ends transactions that are its own.

    Promises: what is sent belongs to the same transaction as what SQLAlchemy sends on the
    connection, and begins it where one is needed; errors are those of the DB-API (PEP 249),
    as SQLAlchemy would wrap them; the plan has been told the columns' types before rows are
    returned.
    """

    def send_now(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]
    ) -> Answer | None:
        """The answer without any waiting; None if it takes waiting, and nothing was done."""
        ...

    async def send(self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...]) -> Answer:
        """The answer."""
        ...

    def chunks(
        self, raw: Any, plan: Plan[Any], sql: str, arguments: tuple[Any, ...], *, size: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        """The rows, `size` at a time; no more are held in memory."""
        ...

    def cut(self, raw: Any) -> None:
        """A statement was interrupted, so that the connection will be buried."""
        ...

    async def commit(self, raw: Any) -> None:
        """Commit what SQLAlchemy knows nothing of; no round trip where there is nothing."""
        ...

    async def rollback(self, raw: Any) -> None:
        """Undo what SQLAlchemy knows nothing of."""
        ...
