"""Models of the data layer's tests: one with every type, and two that refer to each other."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import MetaData

from mainspring.data import Mapped, Model, Timestamped, column, foreign_key, relationship
from mainspring.data._model import NAMING


class ShopModel(Model):
    """A base with tables of its own, so that no other test's models come along."""

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)


class Everything(ShopModel):
    text: Mapped[str]
    short: Mapped[str] = column(max_length=20)
    number: Mapped[int]
    flag: Mapped[bool]
    ratio: Mapped[float]
    instant: Mapped[datetime]
    day: Mapped[date]
    amount: Mapped[Decimal]
    price: Mapped[Decimal] = column(precision=10, scale=2)
    key: Mapped[UUID]
    blob: Mapped[bytes]
    facts: Mapped[dict[str, Any]]
    words: Mapped[list[str]]
    maybe: Mapped[dict[str, Any] | None]
    nothing: Mapped[str | None]


class Sparse(ShopModel):
    """Every type again, and any of them may be NULL."""

    text: Mapped[str | None]
    short: Mapped[str | None] = column(max_length=20)
    number: Mapped[int | None]
    flag: Mapped[bool | None]
    ratio: Mapped[float | None]
    instant: Mapped[datetime | None]
    day: Mapped[date | None]
    amount: Mapped[Decimal | None]
    price: Mapped[Decimal | None] = column(precision=10, scale=2)
    key: Mapped[UUID | None]
    blob: Mapped[bytes | None]
    facts: Mapped[dict[str, Any] | None]
    words: Mapped[list[str] | None]


class Customer(Timestamped, ShopModel):
    email: Mapped[str] = column(max_length=100, unique=True)
    name: Mapped[str] = column(default="nobody")
    orders: Mapped[list[Order]] = relationship(back_populates="customer", passive_deletes=True)


class Order(ShopModel):
    customer_id: Mapped[int] = foreign_key(Customer.id, on_delete="cascade")
    total: Mapped[int] = column(default=0)
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Coupon(ShopModel):
    customer_id: Mapped[int] = foreign_key(Customer.id)


class Hint(ShopModel):
    customer_id: Mapped[int | None] = foreign_key(Customer.id, on_delete="set null")
