"""What every subject of the group is asked, what it must answer, and what it must refuse."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    path: str
    body: bytes = b""

    @property
    def headers(self) -> dict[str, str]:
        """What a client of this call sends beside `Host`."""
        return {"Content-Type": "application/json"} if self.body else {}


@dataclass(frozen=True, slots=True)
class Workload:
    """A call, its one right answer, and calls that deserve a 4xx."""

    name: str
    call: Call
    status: int
    answer: Any
    wrong: tuple[Call, ...] = field(default=())


_ORDER: dict[str, Any] = {
    "customer": "Ada Lovelace",
    "email": "ada.lovelace@analytical.example",
    "items": [
        {"sku": "BOOK-0001-EN", "quantity": 2, "price": 19.99},
        {"sku": "PENCIL-0042", "quantity": 12, "price": 0.85},
        {"sku": "NOTEBOOK-A5-7", "quantity": 3, "price": 4.5},
    ],
    "address": {
        "street": "12 St James's Square",
        "city": "London",
        "postcode": "SW1Y 4JH",
        "country": "GB",
    },
    "note": "Please leave it with the porter between nine and five.",
}


def _posted(**changes: Any) -> Call:
    return Call("POST", "/orders", json.dumps({**_ORDER, **changes}).encode())


_line = _ORDER["items"][0]

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "W1",
            Call("GET", "/json"),
            200,
            {"message": "Hello, World!"},
            wrong=(Call("GET", "/nothing"), Call("DELETE", "/json")),
        ),
        Workload(
            "W2",
            _posted(),
            201,
            {"customer": "Ada Lovelace", "lines": 3, "total": 63.68},
            wrong=(
                Call("POST", "/orders", b'{"customer": '),
                Call("POST", "/orders", b"{}"),
                _posted(email="ada at example"),
                _posted(items=[]),
                _posted(items=[{**_line, "quantity": "two"}]),
                _posted(items=[{**_line, "quantity": 0}]),
                _posted(address={"street": "1", "city": "London", "postcode": "SW1"}),
                _posted(customer="x" * 101),
            ),
        ),
        Workload(
            "W3",
            Call("GET", "/items/7?limit=10&q=abc"),
            200,
            [
                {
                    "id": 7 + n,
                    "name": f"abc {n}",
                    "price": 2.5 * (n + 1),
                    "in_stock": n % 2 == 0,
                    "tags": ["new", "sale"],
                }
                for n in range(10)
            ],
            wrong=(
                Call("GET", "/items/seven?limit=10&q=abc"),
                Call("GET", "/items/7?limit=many&q=abc"),
                Call("GET", "/items/7?limit=1000&q=abc"),
                Call("GET", "/items/7?limit=10"),
                Call("GET", f"/items/7?limit=10&q={'x' * 51}"),
            ),
        ),
    )
}
