"""What page 500 of a list costs beside page 1: `python bench/data/page.py [DATABASE_URL]`.

Time of the whole call, `Session.page`, on an index that has the list's order.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from sqlalchemy import MetaData, text

from mainspring.data import Database, Mapped, Model, Page, column, insert, select

LIMIT, PAGES, CALLS, ROUNDS = 20, 500, 100, 7


class PagedRow(Model):
    metadata = MetaData()
    __tablename__ = "bench_paged_rows"
    year: Mapped[int]
    title: Mapped[str] = column(max_length=100)


ORDER = (PagedRow.year.desc(), PagedRow.title.desc())


async def ratio(database: Database) -> tuple[float, float]:
    """Microseconds of page 1 and of page 500, each the median of interleaved rounds."""
    async with database.unit(write=False) as db:
        cursor: str | None = ""
        for _ in range(PAGES - 1):
            page = await db.page(
                select(PagedRow), Page(cursor=cursor or "", limit=LIMIT), order=ORDER
            )
            cursor = page.next
        pages = (Page(limit=LIMIT), Page(cursor=cursor or "", limit=LIMIT))
        rounds = [[await _timed(db, page) for page in pages] for _ in range(ROUNDS)]
    first, last = (statistics.median(column) for column in zip(*rounds, strict=True))
    return first, last


async def _timed(db, page: Page) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        found = await db.page(select(PagedRow), page, order=ORDER)
        assert len(found.items) == LIMIT
        db.expunge_all()
    return (time.perf_counter() - began) / CALLS * 1e6


async def fill(database: Database) -> None:
    """The table, its rows and the index of its order."""

    def make(connection) -> None:
        PagedRow.metadata.drop_all(connection)
        PagedRow.metadata.create_all(connection)
        connection.execute(
            text("CREATE INDEX ix_bench_paged ON bench_paged_rows (year, title, id)")
        )
        rows = [{"year": n // 1000, "title": f"t{n:06}"} for n in range(LIMIT * PAGES + 1000)]
        for start in range(0, len(rows), 1000):
            connection.execute(insert(PagedRow), rows[start : start + 1000])
        connection.commit()

    await database.on_connection(make)


async def main(url: str) -> None:
    async with Database(url) as database:
        await fill(database)
        first, last = await ratio(database)
        await database.on_connection(lambda c: (PagedRow.metadata.drop_all(c), c.commit()))
    name = url.partition(":")[0]
    print(f"{name}: page 1 {first:.0f} us, page {PAGES} {last:.0f} us, {last / first:.2f} times")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "sqlite://"))
