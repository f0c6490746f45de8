"""One answer names everything that is wrong, at its place, and in time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from mainspring.http import Email
from mainspring.http._explain import VIOLATIONS_LIMIT, _Walk, violations

Name = Annotated[str, Meta(min_length=2)]


class Line(Struct, forbid_unknown_fields=True):
    sku: Name
    count: Annotated[int, Meta(ge=1)] = 1


class Card(Struct, tag="card"):
    number: str


class Cash(Struct, tag="cash"):
    amount: int


@dataclass
class Place:
    city: str
    floor: int = 0


class Order(Struct, rename="camel"):
    first_line: Line
    spare_line: Line | None = None
    lines: Annotated[list[Line], Meta(min_length=1)] = []
    by_name: dict[str, Line] = {}
    by_number: dict[int, Name] = {}
    pair: tuple[int, Name] | None = None
    many: tuple[Line, ...] = ()
    paid: Card | Cash | None = None
    state: Literal["new", "old"] = "new"
    when: datetime | None = None
    place: Place | None = None
    maybe: list[Line] | Line | None = None
    email: Email = "a@b.c"


class Chain(Struct):
    link: "Chain | None" = None
    payload: list[int] = []


LINE = {"sku": "ab"}


@pytest.mark.parametrize(
    ("part", "places"),
    [
        ({"firstLine": {}}, ["#/firstLine/sku"]),
        ({"firstLine": {"sku": "a", "count": 0, "x~/": 1}},
         ["#/firstLine/sku", "#/firstLine/count", "#/firstLine/x~0~1"]),
        ({"firstLine": 3}, ["#/firstLine"]),
        ({"spareLine": {"sku": 1}}, ["#/spareLine/sku"]),
        ({"spareLine": None}, []),
        ({"lines": []}, ["#/lines"]),
        ({"lines": [LINE, {}, LINE, 3]}, ["#/lines/1/sku", "#/lines/3"]),
        ({"byName": {"a": LINE, "b/c": {"sku": 1}}}, ["#/byName/b~1c/sku"]),
        ({"byNumber": {"1": "ab", "x": "ab", "2": "a"}}, ["#/byNumber/x", "#/byNumber/2"]),
        ({"pair": [1, "ab"]}, []),
        ({"pair": ["x", "a"]}, ["#/pair/0", "#/pair/1"]),
        ({"pair": [1]}, ["#/pair"]),
        ({"many": [LINE, {"sku": 1}]}, ["#/many/1/sku"]),
        ({"paid": {"type": "cash", "amount": "x"}}, ["#/paid/amount"]),
        ({"paid": {"type": "gold"}}, ["#/paid"]),
        ({"paid": {}}, ["#/paid"]),
        ({"state": "odd", "when": "inf"}, ["#/state", "#/when"]),
        ({"place": {"floor": "x"}}, ["#/place/city", "#/place/floor"]),
        ({"maybe": [LINE, {}]}, ["#/maybe/1/sku"]),
        ({"maybe": {"count": 0}}, ["#/maybe/sku", "#/maybe/count"]),
        ({"email": "nobody"}, ["#/email"]),
    ],
)  # fmt: skip
def test_every_violation_has_its_place(part: dict[str, Any], places: list[str]) -> None:
    sent = {"firstLine": LINE, **part}
    found = violations(sent, Order)
    assert [violation.pointer for violation in found] == places
    if not places:
        msgspec.convert(sent, Order)


def test_a_pattern_is_explained_by_its_description() -> None:
    [found] = violations({"firstLine": LINE, "email": "nobody"}, Order)
    assert found.detail == "is not an e-mail address"


def test_a_rule_over_several_fields_belongs_to_the_whole() -> None:
    class Span(Struct):
        first: int
        last: int

        def __post_init__(self) -> None:
            if self.last < self.first:
                raise ValueError("last comes before first")

    [found] = violations([{"first": 1, "last": 2}, {"first": 2, "last": 1}], list[Span])
    assert (found.pointer, found.detail) == ("#/1", "last comes before first")


def test_at_most_a_hundred_are_named() -> None:
    assert len(violations([{}] * 10_000, list[Line])) == VIOLATIONS_LIMIT


@pytest.fixture
def tried(monkeypatch) -> list[Any]:
    """Every value that the explanation decodes."""
    seen: list[Any] = []
    why_not = _Walk._why_not

    def counting(self, value, kind):
        seen.append(value)
        return why_not(self, value, kind)

    monkeypatch.setattr(_Walk, "_why_not", counting)
    return seen


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([1] * 500_000 + ["x"], list[int]),
        ({str(n): 1 for n in range(500_000)} | {"x": "x"}, dict[str, int]),
        ([[1, 2]] * 500_000 + [[1, "x"]], list[list[int]]),
    ],
)
def test_items_of_a_large_body_are_tried_many_at_once(value, kind, tried) -> None:
    assert len(violations(value, kind)) == 1
    assert len(tried) < 500_000 / 64 + 200


def test_a_type_that_holds_itself_is_not_explained_level_by_level_without_end(tried) -> None:
    value: dict[str, Any] = {"payload": ["x"]}
    for _ in range(300):
        value = {"link": value}
    [found] = violations(value, Chain)
    assert found.pointer == "#" + "/link" * 16
    assert len(tried) < 100


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a@b.c", True), ("first.last+tag@sub.example.co.uk", True), ("a@localhost", True),
        ("x" * 64 + "@example.com", True), ("x" * 65 + "@example.com", False),
        ("a@" + "b" * 64 + ".com", False), ("a@b..c", False), ("a@-b.c", False), ("a@b-.c", False),
        ("a@b.c\n", False), ("a@b.c\r\nBcc: x@y.z", False), ("a b@c.d", False), ("@b.c", False),
        ("a@", False), ("a@b@c", False), ('"a b"@c.d', False), ("é@b.c", False), ("a@b.c.", False),
        ("a@" + "b." * 100_000 + "c", False), ("a" * 1_000_000, False),
        ("a@" + "-" * 500_000, False),
    ],
)  # fmt: skip
def test_an_email_is_told_by_its_form_in_linear_time(text: str, fits: bool) -> None:
    # What is not linear in these lengths runs into the bound of every test's time.
    assert (violations(text, Email) == []) is fits
