"""Page 500 reads what page 1 reads, counted by the database itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw
import pytest
from sqlalchemy import insert, select, text

from mainspring.data._cursor import Place
from mainspring.data._keyset import fingerprint, keys_of, parameters
from mainspring.data._page import page_query
from tests.data.library import Book

if TYPE_CHECKING:
    from mainspring.data import Database, Session

LIMIT, PAGES = 20, 500
ORDERS: dict[str, tuple[Any, ...]] = {
    "ascending": (Book.pages, Book.title),
    "descending": (Book.pages.desc(), Book.title.desc()),
    "primary key": (),
}


async def _filled(database: Database) -> None:
    rows = [{"title": f"t{n:05}", "pages": n // 1000} for n in range(LIMIT * PAGES + 1000)]
    async with database.unit() as db:
        for start in range(0, len(rows), 1000):
            await db.execute(insert(Book), rows[start : start + 1000])
    index = text("CREATE INDEX ix_paged ON lib_books (pages, title, id)")
    analyze = {"sqlite": "ANALYZE", "postgresql": "ANALYZE lib_books"}
    after = analyze.get(database.engine.dialect.name, "ANALYZE TABLE lib_books")
    await database.on_connection(
        lambda c: (c.execute(index), c.commit(), c.execute(text(after)), c.commit())
    )


async def _query(db: Session, order: tuple[Any, ...], place_at: int) -> str:
    dialect = db.dialect
    keys = keys_of(select(Book), order, dialect.name)
    values: list[Any] = []
    if place_at:
        columns = [key.column for key in keys]
        order_by = [c.desc() if k.descending else c for c, k in zip(columns, keys, strict=True)]
        row = await db.execute(select(*columns).order_by(*order_by).offset(place_at - 1).limit(1))
        values = list(row.one())
    place = Place(fingerprint(keys), backward=False, inclusive=False, values=values)
    query = page_query(select(Book), keys, place, LIMIT, dialect.name)
    query = query.params(parameters(values))
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


async def _work(database: Database, db: Session, sql: str) -> int:
    match database.engine.dialect.name:
        case "sqlite":
            return _vm_steps(await _path(db), sql)
        case "postgresql":
            plan = await db.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}"))
            return _visited(plan[0]["Plan"])
        case _:
            await db.execute(text("FLUSH STATUS"))
            await db.execute(text(sql))
            counted = await db.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
            return sum(int(count) for _, count in counted)


async def _path(db: Session) -> str:
    return str((await db.execute(text("PRAGMA database_list"))).one()[2])


def _vm_steps(path: str, sql: str) -> int:
    steps: list[int] = []
    connection = apsw.Connection(path)
    connection.trace_v2(
        apsw.SQLITE_TRACE_PROFILE,
        lambda event: steps.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]),
    )
    assert len(connection.execute(sql).fetchall()) == LIMIT + 1
    connection.trace_v2(0)
    connection.close()
    return sum(steps)


def _visited(plan: dict[str, Any]) -> int:
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return own + sum(_visited(part) for part in plan.get("Plans", ()))


@pytest.mark.timeout(60)
async def test_page_500_reads_what_page_1_reads(library: Database) -> None:
    await _filled(library)
    async with library.unit(write=False) as db:
        for name, order in ORDERS.items():
            # SQLite's steps count the comparison with the cursor too, which the first page lacks.
            begin = LIMIT if library.engine.dialect.name == "sqlite" else 0
            first = await _work(library, db, await _query(db, order, begin))
            last = await _work(library, db, await _query(db, order, LIMIT * (PAGES - 1)))
            print(f"{library.engine.dialect.name}, {name}: {first} then {last}")
            assert last <= 1.2 * first + 2, name
    await library.on_connection(
        lambda c: (
            c.execute(
                text("DROP INDEX ix_paged")
                if c.dialect.name in {"sqlite", "postgresql"}
                else text("DROP INDEX ix_paged ON lib_books")
            ),
            c.commit(),
        )
    )
