from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import defaultload, selectinload, with_loader_criteria

from mainspring.data import Database, ModelError, RelationNotLoaded, insert, select
from tests.data.library import (
    Author,
    Book,
    City,
    Clerk,
    Copy,
    Manager,
    Person,
    Shelf,
    Tag,
)
from tests.data.watching import sent

if TYPE_CHECKING:
    pass


async def _books(db: Any) -> list[Book]:
    return list(await db.scalars(select(Book).order_by(Book.id)))


class TestTheFirstThatIsAskedLoadsForAll:
    async def test_what_each_refers_to(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            books = await _books(db)
            with sent() as statements:
                names = [(a := await b.awaitable_attrs.author) and a.name for b in books]
            assert names == [None, *(f"author {n % 5}" for n in range(1, 12))]
            assert len(statements) == 1

    async def test_a_collection_in_its_order(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            authors = list(await db.scalars(select(Author).order_by(Author.id)))
            with sent() as statements:
                titles = [[b.title for b in await a.awaitable_attrs.books] for a in authors]
            assert titles[1] == ["book 11", "book 06", "book 01"]
            assert [len(each) for each in titles] == [2, 3, 2, 2, 2]
            assert len(statements) == 1

    async def test_over_a_table_between(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            books = await _books(db)
            with sent() as statements:
                counts = [len(await book.awaitable_attrs.tags) for book in books]
            assert counts == [n % 4 for n in range(12)]
            assert [tag.name for tag in books[3].tags] == ["tag 0", "tag 1", "tag 2"]
            assert len(statements) == 1

    async def test_a_relation_with_a_condition_of_its_own(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            authors = list(await db.scalars(select(Author).order_by(Author.id)))
            with sent() as statements:
                counts = [len(await a.awaitable_attrs.long_books) for a in authors]
            assert counts == [2, 2, 1, 2, 2]
            assert len(statements) == 1

    async def test_one_to_one(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            authors = list(await db.scalars(select(Author).order_by(Author.id)))
            with sent() as statements:
                found = [await author.awaitable_attrs.passport for author in authors]
            assert [p and p.number for p in found] == [None, "A1", None, None, None]
            assert len(statements) == 1

    async def test_to_the_same_table_in_both_directions(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            pupils = list(await db.scalars(select(Author).where(Author.mentor_id.is_not(None))))
            with sent() as statements:
                mentors = {(await pupil.awaitable_attrs.mentor).name for pupil in pupils}
            assert mentors == {"author 0"}
            assert len(statements) == 1
        async with library.unit(write=False) as db:
            authors = list(await db.scalars(select(Author).order_by(Author.id)))
            with sent() as statements:
                counts = [len(await author.awaitable_attrs.pupils) for author in authors]
            assert counts == [4, 0, 0, 0, 0]
            assert len(statements) == 1

    async def test_further_and_further(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            books = await _books(db)
            with sent() as statements:
                for book in books:
                    author = await book.awaitable_attrs.author
                    if author is not None:
                        await author.awaitable_attrs.city
                        for other in await author.awaitable_attrs.books:
                            await other.awaitable_attrs.tags
            assert len(statements) == 4

    async def test_within_a_plain_function(self, library: Database) -> None:
        def told(session: object, books: list[Book]) -> list[str]:
            return [f"{b.title} by {b.author.name}" for b in books if b.author is not None]

        async with library.unit(write=False) as db:
            books = await _books(db)
            with sent() as statements:
                lines = await db.run_sync(told, books)
            assert lines[0] == "book 01 by author 1"
            assert len(statements) == 1

    async def test_what_the_session_has_already_is_not_read(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            authors = list(await db.scalars(select(Author)))
            books = await _books(db)
            with sent() as statements:
                found = {await book.awaitable_attrs.author for book in books}
            assert found == {None, *authors}
            assert not statements

    async def test_objects_of_another_result_are_left_alone(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            first = list(await db.scalars(select(Author).where(Author.name == "author 0")))
            others = list(await db.scalars(select(Author).where(Author.name != "author 0")))
            await others[0].awaitable_attrs.books
            assert "books" not in first[0].__dict__
            assert all("books" in other.__dict__ for other in others)

    async def test_what_was_added_to_one_of_them_stays(self, library: Database) -> None:
        async with library.unit() as db:
            authors = list(await db.scalars(select(Author).order_by(Author.id)))
            added = Book(title="zz")
            added.author = authors[2]
            db.add(added)
            await authors[0].awaitable_attrs.books
            assert added in authors[2].books
            assert len(authors[2].books) == 3


class TestEveryKindOfObject:
    async def test_keys_of_several_columns(self, library: Database) -> None:
        async with library.unit() as db:
            shelves = [Shelf(room=room, number=n) for room in range(2) for n in range(3)]
            db.add_all(shelves)
            db.add_all(Copy(label=f"c{n}", room=n % 2, number=n % 3) for n in range(12))
        async with library.unit(write=False) as db:
            copies = list(await db.scalars(select(Copy).order_by(Copy.id)))
            with sent() as statements:
                places = [await copy.awaitable_attrs.shelf for copy in copies]
            assert [(p.room, p.number) for p in places] == [(n % 2, n % 3) for n in range(12)]
            assert len(statements) == 1
        async with library.unit(write=False) as db:
            shelves = list(await db.scalars(select(Shelf).order_by(Shelf.room, Shelf.number)))
            with sent() as statements:
                counts = [len(await shelf.awaitable_attrs.copies) for shelf in shelves]
                labels = [sorted(await s.awaitable_attrs.by_label) for s in shelves]
            assert counts == [2] * 6
            assert labels[0] == ["c0", "c6"]
            assert len(statements) == 2

    async def test_subclasses(self, library: Database) -> None:
        async with library.unit() as db:
            city = City(name="hall")
            managers = [Manager(name=f"m{n}", desk=city) for n in range(3)]
            db.add_all(managers)
            await db.flush()
            db.add_all(
                Clerk(name=f"c{n}", manager_id=managers[n % 3].id, desk=city) for n in range(6)
            )
        async with library.unit(write=False) as db:
            people = list(await db.scalars(select(Person).order_by(Person.id)))
            with sent() as statements:
                assert {(await each.awaitable_attrs.desk).name for each in people} == {"hall"}
            assert len(statements) == 1
            with sent() as statements:
                counts = [
                    len(await each.awaitable_attrs.clerks)
                    for each in people
                    if isinstance(each, Manager)
                ]
            assert counts == [2, 2, 2]
            assert len(statements) == 1

    async def test_expired_ones_are_read_again_together(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            books = await _books(db)
            await db.load(books, Book.author)
            db.expire_all()
            with sent() as statements:
                names = {(a := await b.awaitable_attrs.author) and a.name for b in books}
            assert len(names) == 6
            assert len(statements) == 2  # the books, and their authors
            assert books[3].title == "book 03"

    async def test_one_whose_row_is_gone(self, library: Database) -> None:
        from sqlalchemy import text
        from sqlalchemy.orm.exc import ObjectDeletedError

        async with library.unit() as db:
            books = await _books(db)
            db.expire_all()
            await db.execute(text("DELETE FROM lib_books WHERE title = 'book 00'"))
            await books[1].awaitable_attrs.author
            assert books[2].author is not None
            with pytest.raises(ObjectDeletedError):
                await books[0].awaitable_attrs.author

    async def test_new_ones_that_were_flushed(self, library: Database) -> None:
        async with library.unit() as db:
            ids = list(await db.scalars(select(Author.id).order_by(Author.id)))
            books = [Book(title=f"new {n}", author_id=ids[n]) for n in range(3)]
            db.add_all(books)
            await db.flush()
            with sent() as statements:
                names = [(await book.awaitable_attrs.author).name for book in books]
            assert names == ["author 0", "author 1", "author 2"]
            assert len(statements) == 1

    @pytest.mark.timeout(60)
    async def test_ten_thousand(self, library: Database) -> None:
        async with library.unit() as db:
            ids = list(await db.scalars(select(Author.id)))
            rows = [{"title": f"t{n}", "pages": 1, "author_id": ids[n % 5]} for n in range(10_000)]
            await db.execute(insert(Book), rows)
        async with library.unit(write=False) as db:
            books = await _books(db)
            with sent() as statements:
                await books[1].awaitable_attrs.author
                await books[1].awaitable_attrs.tags
            assert len(books) == 10_012
            assert all("author" in b.__dict__ and "tags" in b.__dict__ for b in books)
            assert len(statements) == 2


class TestLoad:
    async def test_several_and_what_they_lead_to(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            with sent() as statements:
                books = await db.load(
                    await db.scalars(select(Book).order_by(Book.id)),
                    Book.tags,
                    Book.author,
                    Author.city,
                    Author.books,
                )
            assert len(statements) == 5
            with sent() as statements:
                assert [b.author.city.name for b in books[1:3] if b.author] == ["city 1", "city 0"]
                assert books[1].author.books[0].title == "book 11"
                await db.load(books, Book.tags, Book.author)
            assert not statements

    async def test_what_is_no_relation_is_refused(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            with pytest.raises(ModelError, match="title"):
                await db.load(await _books(db), Book.title)

    async def test_objects_of_a_unit_that_has_ended_are_refused(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            books = await _books(db)
        async with library.unit(write=False) as db:
            with pytest.raises(RelationNotLoaded, match="Book"):
                await db.load(books, Book.author)

    async def test_options_of_the_query_hold(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            found = await db.scalars(
                select(Book)
                .where(Book.author_id.is_not(None))
                .options(
                    selectinload(Book.tags), defaultload(Book.author).load_only(Author.city_id)
                )
            )
            books = list(found)
            with sent() as statements:
                for book in books:
                    await book.awaitable_attrs.author
            assert len(statements) == 1
            assert "name" not in books[0].author.__dict__
            assert "city_id" in books[0].author.__dict__

    async def test_conditions_that_a_query_gives_to_all_its_rows_hold(
        self, library: Database
    ) -> None:
        live = with_loader_criteria(Tag, Tag.name != "tag 1")
        async with library.unit(write=False) as db:
            books = list(await db.scalars(select(Book).order_by(Book.id).options(live)))
            await books[3].awaitable_attrs.tags
        assert [tag.name for tag in books[7].tags] == ["tag 0", "tag 2"]


class TestReadingWhereNothingCanWait:
    async def test_it_is_refused_with_what_to_do(self, library: Database) -> None:
        async with library.unit(write=False) as db:
            books = await _books(db)
            with pytest.raises(RelationNotLoaded) as refused:
                _ = books[1].author
            assert "db.load(objects, Book.author)" in refused.value.fix
            with pytest.raises(RelationNotLoaded):
                _ = books[1].tags

    async def test_new_objects_have_nothing_to_load(self, library: Database) -> None:
        book = Book(title="new")
        assert book.author is None
        assert book.tags == []
        async with library.unit() as db:
            db.add(book)
            assert book.author is None

    async def test_setting_a_relation_reads_nothing(self, library: Database) -> None:
        async with library.unit() as db:
            books = await _books(db)
            author = Author(name="new")
            with sent() as statements:
                for book in books:
                    book.author = author
            assert not statements
        async with library.unit(write=False) as db:
            [ids] = [{book.author_id for book in await _books(db)}]
            assert ids == {author.id}
