"""The values of the workloads as msgspec structs, for the peers that can use them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Short = Annotated[str, Meta(min_length=1, max_length=100)]


class Greeting(Struct):
    message: str


class Line(Struct):
    sku: Annotated[str, Meta(min_length=1, max_length=32)]
    quantity: Annotated[int, Meta(ge=1, le=1000)]
    price: Annotated[float, Meta(gt=0)]


class Address(Struct):
    street: Short
    city: Short
    postcode: Annotated[str, Meta(min_length=1, max_length=16)]
    country: Annotated[str, Meta(min_length=2, max_length=2)]


class NewOrder(Struct):
    customer: Short
    email: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
    items: Annotated[list[Line], Meta(min_length=1, max_length=50)]
    address: Address
    note: Annotated[str, Meta(max_length=500)] | None = None


class Order(Struct):
    customer: str
    lines: int
    total: float

    @classmethod
    def of(cls, new: NewOrder) -> Order:
        total = sum(line.quantity * line.price for line in new.items)
        return cls(customer=new.customer, lines=len(new.items), total=round(total, 2))


class Item(Struct):
    id: int
    name: str
    price: float
    in_stock: bool
    tags: list[str]


def found(item_id: int, *, limit: int, q: str) -> list[Item]:
    return [
        Item(
            id=item_id + n,
            name=f"{q} {n}",
            price=2.5 * (n + 1),
            in_stock=n % 2 == 0,
            tags=["new", "sale"],
        )
        for n in range(limit)
    ]
