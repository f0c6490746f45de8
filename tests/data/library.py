"""Models of the tests of queries: relations of every kind, and rows that are worth paging."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, MetaData, Table, and_
from sqlalchemy.orm import attribute_keyed_dict, registry

from mainspring.data import Mapped, Model, column, foreign_key, relationship
from mainspring.data._model import NAMING
from mainspring.data.types import PYTHON_TYPES


class LibraryModel(Model):
    """A base with tables of its own, so that no other test's models come along."""

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)
    # Other tests have classes of the same names.
    _sa_registry = registry(metadata=metadata, type_annotation_map=PYTHON_TYPES)


class City(LibraryModel):
    __tablename__ = "lib_cities"
    name: Mapped[str] = column(max_length=100)


class Author(LibraryModel):
    __tablename__ = "lib_authors"
    name: Mapped[str] = column(max_length=100)
    city_id: Mapped[int | None] = foreign_key(City.id)
    mentor_id: Mapped[int | None] = foreign_key("lib_authors.id")
    city: Mapped[City | None] = relationship()
    books: Mapped[list[Book]] = relationship(
        back_populates="author",
        order_by=lambda: Book.title.desc(),  # noqa: PLW0108  # there is no Book yet
    )
    mentor: Mapped[Author | None] = relationship(
        remote_side=lambda: Author.id, back_populates="pupils"
    )
    pupils: Mapped[list[Author]] = relationship(back_populates="mentor")
    passport: Mapped[Passport | None] = relationship(back_populates="owner")
    long_books: Mapped[list[Book]] = relationship(
        primaryjoin=lambda: and_(Author.id == Book.author_id, Book.pages > 100), viewonly=True
    )


class Passport(LibraryModel):
    __tablename__ = "lib_passports"
    owner_id: Mapped[int] = foreign_key(Author.id, unique=True)
    number: Mapped[str] = column(max_length=20)
    owner: Mapped[Author] = relationship(back_populates="passport")


book_tags = Table(
    "lib_book_tags",
    LibraryModel.metadata,
    Column("book_id", ForeignKey("lib_books.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("lib_tags.id"), primary_key=True),
)


class Tag(LibraryModel):
    __tablename__ = "lib_tags"
    name: Mapped[str] = column(max_length=50)


class Book(LibraryModel):
    __tablename__ = "lib_books"
    title: Mapped[str] = column(max_length=100)
    pages: Mapped[int] = column(default=0)
    rating: Mapped[float | None]
    printed: Mapped[datetime | None]
    author_id: Mapped[int | None] = foreign_key(Author.id)
    author: Mapped[Author | None] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags, order_by=Tag.name)


class Shelf(LibraryModel):
    __tablename__ = "lib_shelves"
    room: Mapped[int] = column(primary_key=True)
    number: Mapped[int] = column(primary_key=True)
    copies: Mapped[list[Copy]] = relationship(back_populates="shelf", order_by=lambda: Copy.id)
    by_label: Mapped[dict[str, Copy]] = relationship(
        collection_class=attribute_keyed_dict("label"), viewonly=True
    )


class Copy(LibraryModel):
    __tablename__ = "lib_copies"
    label: Mapped[str] = column(max_length=20)
    room: Mapped[int]
    number: Mapped[int]
    shelf: Mapped[Shelf] = relationship(back_populates="copies")
    __table_args__ = (ForeignKeyConstraint(["room", "number"], [Shelf.room, Shelf.number]),)


class Person(LibraryModel):
    __tablename__ = "lib_people"
    kind: Mapped[str] = column(max_length=20)
    name: Mapped[str] = column(max_length=50)
    desk_id: Mapped[int | None] = foreign_key(City.id)
    desk: Mapped[City | None] = relationship()
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Manager(Person):
    __tablename__ = "lib_managers"
    id: Mapped[int] = foreign_key(Person.id, primary_key=True)
    clerks: Mapped[list[Clerk]] = relationship(
        back_populates="manager", foreign_keys=lambda: Clerk.manager_id, order_by=lambda: Clerk.id
    )
    __mapper_args__ = {"polymorphic_identity": "manager"}


class Clerk(Person):
    __tablename__ = "lib_clerks"
    id: Mapped[int] = foreign_key(Person.id, primary_key=True)
    manager_id: Mapped[int] = foreign_key(Manager.id)
    manager: Mapped[Manager] = relationship(back_populates="clerks", foreign_keys=[manager_id])
    __mapper_args__ = {
        "polymorphic_identity": "clerk",
        "inherit_condition": id.column == Person.__table__.c.id,  # noqa: A003
    }
