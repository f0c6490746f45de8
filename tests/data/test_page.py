from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, insert, select

from mainspring.data import BadCursor, Cursors, Database, Page, Paged, PageError
from mainspring.data._cursor import Place
from tests.data.library import Author, Book

if TYPE_CHECKING:
    from mainspring.data import Session

# Texts that collations, encodings and normal forms order in different ways.
TEXTS = [
    "a",
    "A",
    "b",
    "B",
    "ä",
    "a\u0308",
    "z",
    "Z",
    "ß",
    "ss",
    "",
    " ",
    "é",
    "e",
    "日本",
    "🜁",
    "_",
    "%",
]
INSTANT = datetime(2026, 11, 22, 12, 30, 15, 123456, UTC)


def _rows(chance: random.Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "title": chance.choice(TEXTS),
            "pages": chance.randrange(4),
            "rating": chance.choice([None, 0.5, 0.1 + 0.2, 3.75]),
            "printed": chance.choice([None, INSTANT, INSTANT + timedelta(microseconds=1)]),
        }
        for _ in range(count)
    ]


def _orders() -> list[tuple[Any, ...]]:
    return [
        (),
        (Book.id.desc(),),
        (Book.title,),
        (Book.title.desc(),),
        (Book.pages, Book.title),
        (Book.pages.desc(), Book.title.desc()),
        (Book.pages, Book.title.desc()),
        (Book.rating,),
        (Book.rating.desc(), Book.pages),
        (Book.printed.desc(), Book.rating),
        (Book.printed.nulls_last(), Book.rating.desc().nulls_first(), Book.title),
        (Book.rating.desc().nulls_last(), Book.printed.asc().nulls_first()),
        (func.lower(Book.title), Book.rating),
    ]


async def _whole(db: Session, order: tuple[Any, ...], dialect: str) -> list[int]:
    """The ids as the database orders them, NULLs written out for MariaDB."""
    from mainspring.data._keyset import keys_of, ordering

    terms = ordering(keys_of(select(Book), order, dialect), dialect)
    return list(await db.scalars(select(Book.id).order_by(*terms)))


async def _forward(db: Session, order: tuple[Any, ...], limit: int) -> list[Paged[Book]]:
    pages = [await db.page(select(Book), Page(limit=limit), order=order)]
    while pages[-1].next is not None:
        pages.append(
            await db.page(select(Book), Page(cursor=pages[-1].next, limit=limit), order=order)
        )
    return pages


def _ids(pages: list[Paged[Book]]) -> list[int]:
    return [book.id for page in pages for book in page.items]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.timeout(60)
async def test_all_pages_together_are_the_list_forward_and_back(
    library: Database, seed: int
) -> None:
    chance = random.Random(seed)
    dialect = library.engine.dialect.name
    async with library.unit() as db:
        await db.execute(insert(Book), _rows(chance, 40))
    async with library.unit(write=False) as db:
        for order in _orders():
            limit = chance.choice([1, 3, 7, 100]) if order else 7
            whole = await _whole(db, order, dialect)
            pages = await _forward(db, order, limit)
            assert _ids(pages) == whole, order
            assert all(len(page.items) == limit for page in pages[:-1])
            assert pages[0].previous is None
            back = [pages[-1]]
            while back[0].previous is not None:
                page = Page(cursor=back[0].previous, limit=limit)
                back.insert(0, await db.page(select(Book), page, order=order))
            assert _ids(back) == whole, order


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.timeout(60)
async def test_rows_that_stay_are_seen_once_whatever_comes_and_goes(
    library: Database, seed: int
) -> None:
    chance = random.Random(seed)
    dialect = library.engine.dialect.name
    for order in chance.sample(_orders(), 5):
        async with library.unit() as db:
            await db.execute(insert(Book), _rows(chance, 30))
        async with library.unit(write=False) as db:
            before = set(await _whole(db, order, dialect))
        seen: list[int] = []
        cursor: str | None = ""
        gone: set[int] = set()
        while cursor is not None:
            async with library.unit() as db:
                page = await db.page(select(Book), Page(cursor=cursor, limit=4), order=order)
                seen += [book.id for book in page.items]
                cursor = page.next
            async with library.unit() as db:
                # Among the gone may be the very row that the cursor names.
                doomed = {*chance.sample(sorted(before - gone), 1), *seen[-1:]} & before
                gone |= doomed
                await db.execute(delete(Book).where(Book.id.in_(doomed)))
                await db.execute(insert(Book), _rows(chance, 1))
                if len(seen) > 400:
                    pytest.fail("the list does not end")
        assert len(seen) == len(set(seen)), order
        assert before - gone <= set(seen), order
        async with library.unit(write=False) as db:
            rank = {number: at for at, number in enumerate(await _whole(db, order, dialect))}
        ranks = [rank[number] for number in seen if number in rank]
        assert ranks == sorted(ranks), order


async def test_columns_keep_their_names_and_number(library: Database) -> None:
    async with library.unit(write=False) as db:
        query = select(Book.title, Book.pages).where(Book.pages > 100)
        page = await db.page(query, Page(limit=2), order=[Book.pages.desc()])
        [(title, pages), second] = page.items
        assert (title, pages, second.title) == ("book 11", 550, "book 10")
        assert second._fields == ("title", "pages")


async def test_an_order_by_what_was_joined(library: Database) -> None:
    async with library.unit(write=False) as db:
        query = select(Book).outerjoin(Book.author)
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await db.page(query, Page(cursor=cursor, limit=3), order=[Author.name.desc()])
            seen += [book.id for book in page.items]
            cursor = page.next
        assert len(seen) == len(set(seen)) == 12


class TestTheEnds:
    async def test_an_empty_list(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            page = await db.page(select(Book).where(Book.pages < 0), Page())
        assert page == Paged(items=[], next=None, previous=None)

    async def test_when_everything_behind_the_cursor_is_gone_there_is_a_way_back(
        self, library: Database
    ) -> None:
        async with library.unit() as db:
            first = await db.page(select(Book), Page(limit=4))
            kept = [book.id for book in first.items]
            await db.execute(delete(Book).where(Book.id.not_in(kept)))
        async with library.unit(write=False) as db:
            empty = await db.page(select(Book), Page(cursor=first.next or "", limit=4))
            assert (empty.items, empty.next) == ([], None)
            back = await db.page(select(Book), Page(cursor=empty.previous or "", limit=4))
            assert [book.id for book in back.items] == kept
            assert back.previous is None

    async def test_when_everything_before_it_is_gone_too(self, library: Database) -> None:
        async with library.unit() as db:
            first = await db.page(select(Book), Page(limit=4))
            second = await db.page(select(Book), Page(cursor=first.next or "", limit=4))
            await db.execute(delete(Book).where(Book.id.in_([b.id for b in first.items])))
            empty = await db.page(select(Book), Page(cursor=second.previous or "", limit=4))
            assert (empty.items, empty.previous) == ([], None)
            again = await db.page(select(Book), Page(cursor=empty.next or "", limit=4))
        assert [b.id for b in again.items] == [b.id for b in second.items]


class TestCursors:
    PLACE = Place(b"order!", backward=False, inclusive=False, values=["a", 1, None, 0.5, INSTANT])

    def test_one_comes_back_as_it_was(self) -> None:
        cursors = Cursors(lambda: [b"k" * 32])
        assert cursors.read(cursors.write(self.PLACE)) == self.PLACE

    def test_a_key_that_was_replaced_still_verifies(self) -> None:
        old, new = b"o" * 32, b"n" * 32
        cursor = Cursors(lambda: [old]).write(self.PLACE)
        assert Cursors(lambda: [new, old]).read(cursor) == self.PLACE
        with pytest.raises(BadCursor):
            Cursors(lambda: [new]).read(cursor)

    def test_no_change_of_a_single_character_is_taken(self) -> None:
        cursors = Cursors(lambda: [b"k" * 32])
        cursor = cursors.write(self.PLACE)
        for at, had in enumerate(cursor):
            for other in {"A", "_", "9", "="} - {had}:
                with pytest.raises(BadCursor):
                    cursors.read(cursor[:at] + other + cursor[at + 1 :])

    @pytest.mark.parametrize(
        "text", ["x", "é", "====", "a" * 5000, "%00", "AAAA", " ", "\x00", "-_" * 20]
    )
    def test_what_was_never_one_is_refused(self, text: str) -> None:
        with pytest.raises(BadCursor):
            Cursors().read(text)

    async def test_one_of_another_order_is_refused(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            page = await db.page(select(Book), Page(limit=2), order=[Book.title])
            for order in ([Book.pages], [Book.title.desc()], []):
                with pytest.raises(BadCursor, match="another order"):
                    await db.page(select(Book), Page(cursor=page.next or ""), order=order)
            with pytest.raises(BadCursor):
                await db.page(select(Author), Page(cursor=page.next or ""), order=[Author.name])


async def test_a_query_of_no_model_is_refused(library: Database) -> None:
    async with library.unit(write=False) as db:
        with pytest.raises(PageError):
            await db.page(select(func.count()), Page())
