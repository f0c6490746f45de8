"""Mainspring with everything on: policy, deadline, telemetry and one JSON log line a request.

`BENCH_BARE=1` (with `LOG_LEVEL=warning`) takes off what may be taken off: deadline and log line.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

from mainspring import App, Created, Meta, Struct, anyone

app = App("bench")
DEADLINE = None if os.environ.get("BENCH_BARE") else timedelta(seconds=10)

Short = Annotated[str, Meta(min_length=1, max_length=100)]
ItemId = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Search = Annotated[str, Meta(min_length=1, max_length=50)]


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


class Item(Struct):
    id: int
    name: str
    price: float
    in_stock: bool
    tags: list[str]


@app.get("/json", allow=anyone, deadline=DEADLINE)
async def greet() -> Greeting:
    return Greeting(message="Hello, World!")


@app.post("/orders", allow=anyone, deadline=DEADLINE)
async def order(new: NewOrder) -> Created[Order]:
    total = sum(line.quantity * line.price for line in new.items)
    return Created(Order(customer=new.customer, lines=len(new.items), total=round(total, 2)))


@app.get("/items/{item_id}", allow=anyone, deadline=DEADLINE)
async def items(item_id: ItemId, q: Search, limit: Limit = 10) -> list[Item]:
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
