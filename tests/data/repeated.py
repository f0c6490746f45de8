"""Twenty ways to ask once for each row, and some that only look like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, insert, select, text, update
from sqlalchemy.orm import defer, undefer

from tests.data.library import Author, Book, City, Tag

if TYPE_CHECKING:
    from mainspring.data import Session


async def _books(db: Session, *options: Any) -> list[Book]:
    return list(await db.scalars(select(Book).where(Book.author_id > 0).options(*options)))


async def _ids(db: Session) -> list[int]:
    return list(await db.scalars(select(Book.author_id).where(Book.author_id > 0)))


async def get_in_a_loop(db: Session) -> None:
    for number in await _ids(db):
        await db.get(Author, number, populate_existing=True)


async def find_in_a_loop(db: Session) -> None:
    for number in await _ids(db):
        await db.find(Author, id=number)


async def a_query_in_a_loop(db: Session) -> None:
    for book in await _books(db):
        await db.scalar(select(Author.name).where(Author.id == book.author_id))


async def a_deferred_column(db: Session) -> None:
    for book in await _books(db, defer(Book.title)):
        await book.awaitable_attrs.title


async def relations_of_rows_read_one_by_one(db: Session) -> None:
    numbers = list(await db.scalars(select(Author.id)))
    for number in numbers:
        found = await db.scalars(select(Author).where(Author.id == number))
        await found.one().awaitable_attrs.books


async def a_count_for_each_row(db: Session) -> None:
    for author in list(await db.scalars(select(Author))):
        await db.scalar(select(func.count()).where(Book.author_id == author.id))


async def an_exists_for_each_row(db: Session) -> None:
    for author in list(await db.scalars(select(Author))):
        await db.scalar(select(exists().where(Book.author_id == author.id)))


async def _author_line(db: Session, book: Book) -> str:
    author = await db.scalar(select(Author).where(Author.id == book.author_id))
    return f"{book.title} by {author.name if author else 'nobody'}"


async def a_function_that_asks(db: Session) -> None:
    for book in await _books(db):
        await _author_line(db, book)


async def a_comprehension(db: Session) -> None:
    _ = [await _author_line(db, book) for book in await _books(db)]


async def _told(db: Session, author: Author) -> dict[str, Any]:
    pupils = await db.scalars(select(Author).where(Author.mentor_id == author.id))
    return {"name": author.name, "pupils": [await _told(db, pupil) for pupil in pupils.all()]}


async def nested_serialisation(db: Session) -> None:
    root = await db.scalar(select(Author).where(Author.mentor_id.is_(None)))
    assert root is not None
    await _told(db, root)


async def up_a_chain(db: Session) -> None:
    pupil = (await db.scalars(select(Author).where(Author.mentor_id > 0))).first()
    assert pupil is not None
    above = pupil.id
    for _ in range(4):
        next_one = select(Author.mentor_id).where(Author.id == above)
        above = await db.scalar(next_one) or pupil.id


async def an_update_for_each_row(db: Session) -> None:
    for number in await _ids(db):
        await db.execute(update(Author).where(Author.id == number).values(name="same"))


async def an_insert_for_each_row(db: Session) -> None:
    for number in range(4):
        await db.execute(insert(City).values(name=f"new {number}"))


async def a_flush_for_each_row(db: Session) -> None:
    for number in range(4):
        db.add(City(name=f"new {number}"))
        await db.flush()


async def a_refresh_for_each_row(db: Session) -> None:
    for book in await _books(db):
        await db.refresh(book)


async def sql_of_ones_own(db: Session) -> None:
    for number in await _ids(db):
        await db.execute(text("SELECT name FROM lib_authors WHERE id = :id"), {"id": number})


async def sql_with_its_values_inside(db: Session) -> None:
    for number in await _ids(db):
        await db.execute(text(f"SELECT name FROM lib_authors WHERE id = {number}"))


async def short_lists_of_different_lengths(db: Session) -> None:
    numbers = list(await db.scalars(select(Tag.id)))
    for count in range(1, 4):
        await db.execute(select(Tag.name).where(Tag.id.in_(numbers[:count])))


async def _named(db: Session, name: str) -> City:
    found = await db.scalar(select(City).where(City.name == name))
    if found is None:
        found = City(name=name)
        db.add(found)
    return found


async def get_or_create_for_each_row(db: Session) -> None:
    for number in range(4):
        await _named(db, f"somewhere {number}")


async def a_plain_function_over_single_rows(db: Session) -> None:
    def said(session: Any, number: int) -> str:
        return str(session.get(Author, number, populate_existing=True).name)

    for number in await _ids(db):
        await db.run_sync(said, number)


CASES = [
    get_in_a_loop,
    find_in_a_loop,
    a_query_in_a_loop,
    a_deferred_column,
    relations_of_rows_read_one_by_one,
    a_count_for_each_row,
    an_exists_for_each_row,
    a_function_that_asks,
    a_comprehension,
    nested_serialisation,
    up_a_chain,
    an_update_for_each_row,
    an_insert_for_each_row,
    a_flush_for_each_row,
    a_refresh_for_each_row,
    sql_of_ones_own,
    sql_with_its_values_inside,
    short_lists_of_different_lengths,
    get_or_create_for_each_row,
    a_plain_function_over_single_rows,
]


async def relations_in_batches(db: Session) -> None:
    for author in await db.scalars(select(Author)):
        for book in await author.awaitable_attrs.books:
            await book.awaitable_attrs.tags
    for book in await _books(db):
        await book.awaitable_attrs.author


async def down_a_tree_by_its_levels(db: Session) -> None:
    level = list(await db.scalars(select(Author)))
    for _ in range(4):
        level = [pupil for each in level for pupil in await each.awaitable_attrs.pupils]


async def different_places(db: Session) -> None:
    numbers = await _ids(db)
    await db.get(Author, numbers[0], populate_existing=True)
    await db.get(Author, numbers[1], populate_existing=True)
    await db.get(Author, numbers[2], populate_existing=True)


async def batches_of_rows(db: Session) -> None:
    for start in range(0, 400, 100):
        await db.execute(insert(City), [{"name": f"c{start + n}"} for n in range(100)])
        numbers = list(range(start, start + 100))
        await db.execute(select(City.id).where(City.id.in_(numbers)))


async def one_flush_of_many(db: Session) -> None:
    db.add_all(City(name=f"new {n}") for n in range(20))
    for number, book in enumerate(await _books(db)):
        book.pages = number
        if number % 2:
            book.title = func.lower(book.title)
    await db.flush()


async def what_says_that_it_repeats(db: Session) -> None:
    for number in await _ids(db):
        wanted = select(Author).where(Author.id == number)
        await db.execute(wanted.execution_options(repeats=True))


async def twice(db: Session) -> None:
    for number in (await _ids(db))[:2]:
        await db.get(Author, number, populate_existing=True)


async def savepoints(db: Session) -> None:
    for _ in range(5):
        async with db.begin_nested():
            pass


async def options_that_read_at_once(db: Session) -> None:
    for book in await _books(db, undefer(Book.title)):
        assert book.title


FINE = [
    relations_in_batches,
    down_a_tree_by_its_levels,
    different_places,
    batches_of_rows,
    one_flush_of_many,
    what_says_that_it_repeats,
    twice,
    savepoints,
    options_that_read_at_once,
]
