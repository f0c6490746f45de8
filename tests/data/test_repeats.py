from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mainspring import telemetry
from mainspring.data import Database, RepeatedStatement, select
from mainspring.data._repeats import fingerprint, watch
from mainspring.testing import QueryBudgetExceeded, queries
from tests.data.library import Author, Book, Tag
from tests.data.repeated import CASES, FINE, find_in_a_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mainspring.data import Session

    Case = Callable[[Session], Awaitable[None]]


def test_there_are_twenty_cases() -> None:
    assert len(CASES) == 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_statement_for_each_row_is_found(library: Database, case: Case) -> None:
    with pytest.raises(RepeatedStatement) as found, queries():
        async with library.unit() as db:
            await case(db)
    assert "repeated.py" in found.value.what


@pytest.mark.parametrize("case", FINE, ids=lambda case: case.__name__)
async def test_what_is_no_loop_is_left_alone(library: Database, case: Case) -> None:
    with queries():
        async with library.unit() as db:
            await case(db)


async def test_units_are_counted_apart(library: Database) -> None:
    with queries() as seen:
        for _ in range(5):
            async with library.unit(write=False) as db:
                await db.scalar(select(Author.id))
    assert len(seen) == 5


class TestWhatIsToldOfIt:
    @pytest.fixture
    def events(self) -> Iterator[list[telemetry.Event]]:
        seen: list[telemetry.Event] = []
        stop = telemetry.subscribe(
            lambda event: seen.append(event) if event.name == "data.repeated" else None
        )
        yield seen
        stop()

    async def _loop(self, library: Database, mode: Any) -> None:
        stop = watch(mode)
        try:
            async with library.unit(write=False) as db:
                await find_in_a_loop(db)
        finally:
            stop()

    async def test_a_warning_has_the_statement_and_the_stack(
        self, library: Database, events: list[telemetry.Event]
    ) -> None:
        await self._loop(library, "warning")
        [event] = events
        assert event.facts["level"] == "warning"
        assert "lib_authors" in event.facts["statement"]
        inner, outer = event.facts["stack"][:2]
        assert "find_in_a_loop" in inner
        assert "_loop" in outer

    async def test_a_metric_is_no_line_in_the_log(
        self, library: Database, events: list[telemetry.Event]
    ) -> None:
        await self._loop(library, "metric")
        [event] = events
        assert "level" not in event.facts
        assert "find_in_a_loop" in event.facts["place"]

    async def test_nothing_listens_when_it_is_off(
        self, library: Database, events: list[telemetry.Event]
    ) -> None:
        from mainspring.data import _observed

        stop = watch("off")
        assert not _observed.listening()
        stop()
        watch("error")()
        assert not _observed.listening()
        await self._loop(library, "off")
        assert not events


class TestBudgets:
    async def test_one_that_is_kept(self, library: Database) -> None:
        with queries(max=2, rows=17) as seen:
            async with library.unit(write=False) as db:
                await db.load(await db.scalars(select(Author)), Author.books)
        assert len(seen) == 2
        assert seen.rows == 5 + 11

    async def test_too_many_statements_are_listed(self, library: Database) -> None:
        with pytest.raises(QueryBudgetExceeded, match="3 statements") as failed, queries(max=2):
            async with library.unit(write=False) as db:
                await db.load(await db.scalars(select(Book)), Book.author, Book.tags)
        assert "lib_tags" in failed.value.what
        assert isinstance(failed.value, AssertionError)

    async def test_too_many_rows(self, library: Database) -> None:
        with pytest.raises(QueryBudgetExceeded, match="12 rows came back"), queries(rows=10):
            async with library.unit(write=False) as db:
                await db.scalars(select(Book))

    async def test_a_failure_of_the_block_comes_first(self, library: Database) -> None:
        with pytest.raises(ZeroDivisionError), queries(max=0):
            async with library.unit(write=False) as db:
                await db.scalars(select(Tag))
                _ = 1 / 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE id IN (?, ?)", "SELECT a FROM t WHERE id IN (?)"),
        ("SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 22"),
        ("SELECT a FROM t WHERE b = 'it''s'", "SELECT a FROM t WHERE b = ''"),
    ],
)
def test_statements_that_differ_in_values_are_the_same(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_statements_that_differ_in_tables_are_not() -> None:
    assert fingerprint("SELECT a FROM t1") != fingerprint("SELECT a FROM t2")
