"""How many statements a block of a test may send, and how many rows may come back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.data import _observed, _repeats
from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 20


class QueryBudgetExceeded(MainspringError, AssertionError):
    """A block sent more statements, or read more rows, than its test allows."""

    code = "testing.query-budget"


@dataclass(slots=True)
class Queries:
    """What a block has sent so far.

    Attributes:
        statements: SQL, in order; savepoints and their kin are left out.
        rows: how many came back in all.
    """

    statements: list[str] = field(default_factory=list)
    rows: int = 0

    def __len__(self) -> int:
        return len(self.statements)


@contextmanager
def queries(
    *,
    max: int | None = None,  # noqa: A002  # read at the call: queries(max=3)
    rows: int | None = None,
    repeats: _repeats.Mode = "error",
) -> Iterator[Queries]:
    """Bound what the block asks of the database, in this process, whichever task it is in.

    So it holds for a handler too that answers a request which the block makes:
    `with queries(max=3, rows=100): await client.get("/books")`.

    Args:
        max: the most statements.
        rows: the most rows that may come back.
        repeats: what happens to a statement that one place sends again and again in one unit
            of work; by default it fails there, with `RepeatedStatement`.

    Raises:
        QueryBudgetExceeded: at the end of a block that did not fail otherwise.
    """
    seen = Queries()

    def count(statement: _observed.Statement) -> None:
        if not statement.text.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.statements.append(statement.text)
            seen.rows += statement.rows

    stops = [_observed.listen(count), _repeats.watch(repeats)]
    try:
        yield seen
    finally:
        for stop in stops:
            stop()
    _check(seen, most=max, most_rows=rows)


def _check(seen: Queries, *, most: int | None, most_rows: int | None) -> None:
    if most is not None and len(seen) > most:
        raise QueryBudgetExceeded(
            f"{len(seen)} statements, and {most} were allowed:\n{_listed(seen)}",
            fix="load relations together with db.load(…), or allow more",
        )
    if most_rows is not None and seen.rows > most_rows:
        raise QueryBudgetExceeded(
            f"{seen.rows} rows came back, and {most_rows} were allowed:\n{_listed(seen)}",
            fix="bound the query with .limit(…), or read it in pages",
        )


def _listed(seen: Queries) -> str:
    shown = [f"  {' '.join(each.split())}" for each in seen.statements[:_SHOWN]]
    more = len(seen) - _SHOWN
    return "\n".join([*shown, *([f"  … and {more} more"] if more > 0 else [])])
