from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

import pytest
from sqlalchemy import Index, MetaData, String, UniqueConstraint
from sqlalchemy.schema import CreateTable

from mainspring.data import Mapped, Model, ModelError, column, foreign_key
from mainspring.data._model import NAMING, table_name
from mainspring.data.mysql import MySQLDialect
from tests.data.shop import Customer, Order


class Isolated(Model):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("User", "users"),
        ("ArticleTag", "article_tags"),
        ("Category", "categories"),
        ("Day", "days"),
        ("Box", "boxes"),
        ("Address", "addresses"),
        ("HTTPLog", "http_logs"),
        ("Branch", "branches"),
    ],
)
def test_a_table_is_named_after_its_class(name: str, table: str) -> None:
    assert table_name(name) == table


def test_a_class_may_name_its_table() -> None:
    class Person(Isolated):
        __tablename__ = "people"

    assert Person.__table__.name == "people"


def test_a_class_without_a_key_gets_an_id_in_front() -> None:
    assert [c.key for c in Order.__table__.primary_key] == ["id"]
    assert next(iter(Order.__table__.columns)).key == "id"


def test_a_class_with_a_key_of_its_own_gets_none() -> None:
    class Country(Isolated):
        code: Mapped[str] = column(max_length=2, primary_key=True)

    assert [c.key for c in Country.__table__.columns] == ["code"]


def test_a_key_of_foreign_keys_is_not_counted_up() -> None:
    class Favourite(Isolated):
        customer_id: Mapped[int] = foreign_key("customers.id", primary_key=True)
        order_id: Mapped[int] = foreign_key("orders.id", primary_key=True)

    assert Favourite.__table__.autoincrement_column is None
    assert [c.key for c in Favourite.__table__.primary_key] == ["customer_id", "order_id"]


def test_a_subclass_of_a_model_shares_its_table() -> None:
    class Animal(Isolated):
        kind: Mapped[str] = column(max_length=10)
        __mapper_args__: ClassVar = {
            "polymorphic_on": "kind",
            "polymorphic_identity": "animal",
        }

    class Dog(Animal):
        __mapper_args__: ClassVar = {"polymorphic_identity": "dog"}

    assert Dog.__table__ is Animal.__table__


def test_every_constraint_has_a_name() -> None:
    constraints = [c for t in (Customer, Order) for c in t.__table__.constraints]
    assert all(c.name for c in constraints)
    assert {str(i.name) for i in Order.__table__.indexes} == {"ix_orders_customer_id"}


def test_a_foreign_key_has_the_type_of_what_it_refers_to() -> None:
    class Nation(Isolated):
        code: Mapped[str] = column(max_length=2, primary_key=True)

    class City(Isolated):
        country: Mapped[str] = foreign_key(Nation.code)

    kind = City.__table__.c.country.type
    assert isinstance(kind, String)
    assert kind.length == 2


def test_a_foreign_key_to_something_else_is_refused() -> None:
    with pytest.raises(ModelError, match="not a column"):
        foreign_key(7)  # type: ignore[arg-type]


class TestTextThatMySQLCannotIndex:
    def test_unique_without_a_length(self) -> None:
        with pytest.raises(ModelError, match=r"Account\.email .*not limited"):

            class Account(Isolated):
                email: Mapped[str] = column(unique=True)

    def test_indexed_and_too_long(self) -> None:
        with pytest.raises(ModelError, match="length is 1000"):

            class Page(Isolated):
                slug: Mapped[str] = column(max_length=1000, index=True)

    def test_a_key_without_a_length(self) -> None:
        with pytest.raises(ModelError, match="Word"):

            class Word(Isolated):
                text: Mapped[str] = column(primary_key=True)

    def test_in_a_constraint_of_several(self) -> None:
        with pytest.raises(ModelError, match=r"Label\.name"):

            class Label(Isolated):
                owner: Mapped[int]
                name: Mapped[str]
                __table_args__ = (UniqueConstraint("owner", "name"),)

    def test_in_an_index_of_one_database_it_may_be(self) -> None:
        class Essay(Isolated):
            body: Mapped[str]
            __table_args__ = (Index("ix_essays_body", "body", postgresql_using="gin"),)

        assert Essay.__table__.indexes


def test_mysql_compares_text_by_code_point_whatever_the_server_is_set_to() -> None:
    made = str(CreateTable(Customer.__table__).compile(dialect=MySQLDialect()))
    assert "ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin" in made


def test_a_naive_datetime_is_refused_before_the_database_sees_it() -> None:
    from mainspring.data.types import Instant

    with pytest.raises(ValueError, match="no time zone"):
        Instant().process_bind_param(datetime(2026, 1, 1), MySQLDialect())  # noqa: DTZ001
    aware = datetime(2026, 1, 1, tzinfo=UTC)
    assert Instant().process_bind_param(aware, MySQLDialect()) == aware.replace(tzinfo=None)


def test_a_decimal_is_never_stored_inexactly_on_sqlite() -> None:
    from mainspring.data import _sqlite_dbapi as dbapi
    from mainspring.data._sqlite_dialect import ExactNumeric, SqliteDialect

    bind = ExactNumeric(18, 6).bind_processor(SqliteDialect())
    assert bind(Decimal("12345678.123456")) == 12345678.123456
    with pytest.raises(dbapi.DataError, match="digits"):
        bind(Decimal("1234567890.123456"))
