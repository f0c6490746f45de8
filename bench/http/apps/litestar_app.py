"""Litestar with msgspec structs in and out, its own recommendation for speed."""

from typing import Annotated

from litestar import Litestar, get, post
from litestar.params import Parameter

from bench.http.apps.orders import Greeting, Item, NewOrder, Order, found


@get("/json")
async def greet() -> Greeting:
    return Greeting("Hello, World!")


@post("/orders")
async def order(data: NewOrder) -> Order:
    return Order.of(data)


@get("/items/{item_id:int}")
async def items(
    item_id: Annotated[int, Parameter(ge=1)],
    q: Annotated[str, Parameter(min_length=1, max_length=50)],
    limit: Annotated[int, Parameter(ge=1, le=100)] = 10,
) -> list[Item]:
    return found(item_id, limit=limit, q=q)


app = Litestar([greet, order, items])
