"""FastAPI with return types, so that Pydantic writes the JSON bytes (its advice since 0.130)."""

from typing import Annotated

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, Field

Short = Annotated[str, Field(min_length=1, max_length=100)]


class Greeting(BaseModel):
    message: str


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=32)]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[float, Field(gt=0)]


class Address(BaseModel):
    street: Short
    city: Short
    postcode: Annotated[str, Field(min_length=1, max_length=16)]
    country: Annotated[str, Field(min_length=2, max_length=2)]


class NewOrder(BaseModel):
    customer: Short
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
    items: Annotated[list[Line], Field(min_length=1, max_length=50)]
    address: Address
    note: Annotated[str, Field(max_length=500)] | None = None


class Order(BaseModel):
    customer: str
    lines: int
    total: float


class Item(BaseModel):
    id: int
    name: str
    price: float
    in_stock: bool
    tags: list[str]


app = FastAPI()


@app.get("/json")
async def greet() -> Greeting:
    return Greeting(message="Hello, World!")


@app.post("/orders", status_code=201)
async def order(new: NewOrder) -> Order:
    total = sum(line.quantity * line.price for line in new.items)
    return Order(customer=new.customer, lines=len(new.items), total=round(total, 2))


@app.get("/items/{item_id}")
async def items(
    item_id: Annotated[int, Path(ge=1)],
    q: Annotated[str, Query(min_length=1, max_length=50)],
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> list[Item]:
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
