"""A name that comes twice in one JSON object is refused, and nothing else is."""

import json
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import example, given
from msgspec import Struct

from mainspring.auth import anyone
from mainspring.http import BadRequest
from mainspring.http._duplicates import Certain, Duplicates, refuse_duplicates


class Leaf(Struct, forbid_unknown_fields=False):
    a: int = 0
    b: str | None = None
    c: list[int] = []


class Cat(Struct, tag=True):
    a: int


class Dog(Struct, tag=True):
    a: int = 1
    leaf: Leaf | None = None


class Renamed(Struct, rename="camel"):
    first_name: str
    a: int


class Changing(Struct):
    a: int
    leaves: list[Leaf] = []
    b: str = "x"

    def __post_init__(self) -> None:
        self.b = "changed"
        self.leaves = [*self.leaves, Leaf(), Leaf(a=5)]


class Tree(Struct):
    a: str
    leaf: Leaf
    leaves: list[Leaf] = []
    by_name: dict[str, Leaf] = {}
    pet: Cat | Dog | None = None
    tags: dict[str, int] = {}
    anything: Any = None
    pairs: tuple[Leaf, ...] = ()
    fixed: tuple[Leaf, int] | None = None
    renamed: list[Renamed] | None = None
    children: "list[Tree]" = []
    factory: list[Leaf] = msgspec.field(default_factory=lambda: [Leaf(a=9)])
    when: datetime | None = None
    changing: Changing | None = None
    array: "list[Row]" = []


class Row(Struct, array_like=True):
    a: int
    leaf: Leaf | None = None


def pairs(text: str) -> Any:
    """JSON text with objects as lists of pairs, so that they may be written with repetitions."""
    return json.loads(text, object_pairs_hook=Pairs)


class Pairs(list):
    """The members of one object, in order."""


def written(value: Any, draw: Any) -> str:
    """JSON with members left out or repeated, names escaped and white space strewn in, as drawn."""
    space = draw(st.sampled_from(["", "", "", " ", "\n", "\t \r"]))
    if isinstance(value, Pairs):
        members = [pair for pair in value if pair[1] or draw(st.integers(0, 2))]
        if members and draw(st.booleans()):
            at = draw(st.integers(0, len(members) - 1))
            again = (members[at][0], draw(st.sampled_from([members[at][1], None, 0, "x"])))
            members.insert(draw(st.integers(0, len(members))), again)
        body = ",".join(
            f"{space}{name(key, draw)}{space}:{written(inner, draw)}" for key, inner in members
        )
        return f"{{{body}{space}}}"
    if isinstance(value, list):
        return f"[{','.join(written(inner, draw) for inner in value)}{space}]"
    return json.dumps(value, ensure_ascii=False)


def name(text: str, draw: Any) -> str:
    if text and draw(st.integers(0, 9)) == 0:
        return f'"\\u{ord(text[0]):04x}{json.dumps(text[1:], ensure_ascii=False)[1:]}'
    return json.dumps(text, ensure_ascii=False)


texts = st.sampled_from(["", "a", "a:b", '":', '"a":1', " :", "12:30", "\\", "leaf", "é:"])
numbers = st.sampled_from([0, 1, 5])
leaves = st.builds(Leaf, a=numbers, b=st.none() | texts, c=st.lists(numbers, max_size=2))
pets = st.none() | st.builds(Cat, a=numbers) | st.builds(Dog, a=numbers, leaf=st.none() | leaves)
plain = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
flat = st.builds(
    Tree,
    a=texts,
    leaf=leaves,
    leaves=st.lists(leaves, max_size=2),
    by_name=st.dictionaries(texts, leaves, max_size=2),
    pet=pets,
    tags=st.dictionaries(texts, numbers, max_size=2),
    anything=plain,
    pairs=st.lists(leaves, max_size=2).map(tuple),
    fixed=st.none() | st.tuples(leaves, numbers),
    renamed=st.none() | st.lists(st.builds(Renamed, first_name=texts, a=numbers), max_size=2),
    factory=st.lists(leaves, max_size=1),
    when=st.none() | st.just(datetime(2024, 1, 1, 12, 30, tzinfo=UTC)),
    changing=st.none() | st.builds(Changing, a=numbers, leaves=st.lists(leaves, max_size=1)),
    array=st.lists(st.builds(Row, a=numbers, leaf=st.none() | leaves), max_size=2),
)
trees = st.recursive(
    flat, lambda inner: st.builds(Tree, a=texts, leaf=leaves, children=st.lists(inner, max_size=2))
)

KINDS = [
    (Tree, trees),
    (Leaf, leaves),
    (list[Leaf], st.lists(leaves, max_size=3)),
    (dict[str, Leaf], st.dictionaries(texts, leaves, max_size=3)),
    (dict[str, int], st.dictionaries(texts, numbers, max_size=3)),
    (Cat | Dog, st.builds(Cat, a=numbers) | st.builds(Dog, a=numbers)),
    (Changing, st.builds(Changing, a=numbers, leaves=st.lists(leaves, max_size=2))),
    (dict, st.dictionaries(texts, plain, max_size=3)),
    (Any, plain),
]


def members(value: Any) -> int:
    """How many different members the objects of a value have."""
    if isinstance(value, Pairs):
        return len({key for key, _ in value}) + sum(
            members(inner) for inner in dict(value).values()
        )
    return sum(map(members, value)) if isinstance(value, list) else 0


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=lambda k: getattr(k, "__name__", None))
def test_the_fast_check_agrees_with_the_exact_one(kind, values) -> None:
    decode = msgspec.json.Decoder(kind).decode
    duplicates = Duplicates(kind)
    certain = Certain().of(kind)

    @given(st.data())
    def agrees(data) -> None:
        sent = pairs(msgspec.json.encode(data.draw(values)).decode())
        body = written(sent, data.draw).encode()
        try:
            value = decode(body)
        except msgspec.ValidationError:
            return  # a repetition had a value of another type
        count = certain if isinstance(certain, int) else certain(value)
        assert count <= members(pairs(body.decode()))
        assert refused(lambda: duplicates.check(body, value)) == refused(
            lambda: refuse_duplicates(body)
        )

    agrees()


def refused(check: Any) -> bool:
    try:
        check()
    except BadRequest:
        return True
    return False


@given(st.text())
@example('{"a":1,"a":1}')
def test_the_exact_check_finds_what_a_set_of_names_finds(text: str) -> None:
    body = text.encode("utf-8", "replace")
    try:
        value = pairs(body.decode())
    except (ValueError, RecursionError):
        return
    assert refused(lambda: refuse_duplicates(body)) == repeated(value)


def repeated(value: Any) -> bool:
    if isinstance(value, Pairs):
        names = [key for key, _ in value]
        return len(set(names)) < len(names) or any(repeated(inner) for _, inner in value)
    return isinstance(value, list) and any(map(repeated, value))


@pytest.mark.parametrize(
    "body",
    [
        '{"a":"x","leaf":{},"a":"x"}',
        '{"a":"x","leaf":{"a":1,"a":1}}',
        '{"a":"x","leaf":{},"leaves":[{"a":1,"a":2},{}]}',
        '{"a" : "x" , "leaf" : { "b" : null , "b" : null } }',
        '{"a":"x","\\u0061":"x","leaf":{}}',
        '{"a":"x","leaf":{},"unknown":{"y":1,"y":2}}',
        '{"a":"x","leaf":{},"unknown":1,"unknown":2}',
        '{"a":"x","leaf":{},"tags":{"k":1,"k":1}}',
    ],
)
async def test_a_repeated_name_is_a_bad_request(app, serve, body) -> None:
    @app.post("/trees", allow=anyone)
    async def plant(tree: Tree) -> str:
        return tree.a

    peer = await serve(app)
    answer = await peer.post_json("/trees", body)
    assert answer.status == 400
    assert "comes twice in one object" in answer.json()["detail"]
    assert (await peer.post_json("/trees", '{"a":"12:30 \\":","leaf":{}}')).status == 200


class Point(Struct, frozen=True):
    x: int
    y: int


class Placed(Struct):
    a: int
    at: Point = Point(1, 2)


def test_a_default_that_was_not_sent_vouches_for_nothing() -> None:
    data = b'{"a": 1, "a": 2}'
    with pytest.raises(BadRequest, match="'a' comes twice"):
        Duplicates(Placed).check(data, msgspec.json.decode(data, type=Placed))
    sent = b'{"a": 1, "at": {"x": 1, "y": 2}}'
    Duplicates(Placed).check(sent, msgspec.json.decode(sent, type=Placed))
