"""Duplicate names in a JSON object, found at almost no cost.

What a decoder makes of `{"admin": false, "admin": true}` is left open by RFC 8259, section 4,
so two programs may read two things. Such a body is refused.

The decoder keeps no trace of a repeated name, and a second parser would cost more than the
first. But every member of an object has one colon outside of its strings. So: if a body has
no more colons than the decoded value certainly had members, no member came twice. Only when
there are more (a colon within a string, a name that the type does not know, a default that
was sent) the body is parsed again, exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin

import msgspec

from mainspring.http._problem import BadRequest
from mainspring.http._signature import unwrap

Count = Callable[[Any], int]


class Duplicates:
    """Refuses JSON bodies of one type in which a name comes twice in one object."""

    def __init__(self, kind: Any) -> None:
        self._certain = Certain().of(kind)

    def check(self, data: bytes, value: Any) -> None:
        """Raise `BadRequest` if a name comes twice, or objects are nested too deeply to tell.

        Args:
            data: well-formed JSON.
            value: what it was decoded to.
        """
        certain = self._certain
        if not isinstance(certain, int):
            try:
                certain = certain(value)
            except RecursionError:
                # The decoder goes deeper than Python does, several times so since 3.12.
                raise BadRequest("the body cannot be read: it is nested too deeply") from None
        if data.count(b":") <= certain:
            return
        # Between a name and its colon there is white space and nothing else, so that without
        # any every one of those colons follows a quote.
        if data.translate(None, b" \n\t\r").count(b'":') > certain:
            refuse_duplicates(data)


def refuse_duplicates(data: bytes) -> None:
    """Raise `BadRequest` if a name comes twice in one object of the body, or it is no JSON."""
    try:
        # `str` instead of `int` and `float`: the numbers are not wanted, and could be long.
        json.loads(data.decode(), object_pairs_hook=_distinct, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"the body cannot be read: {exc}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise BadRequest(f"the name {twice[:64]!r} comes twice in one object")


class Certain:
    """From a type to how many members its values certainly had in their JSON.

    That is a number, or a function of the value. Too few is never wrong, only slow, so
    whatever is not understood had none.
    """

    def __init__(self) -> None:
        self._known: dict[Any, int | Count] = {}

    def of(self, kind: Any) -> int | Count:
        """The members of values of `kind`."""
        kind = unwrap(kind)[0]
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if origin in {Union, UnionType}:
            return self._union([unwrap(part)[0] for part in arguments])
        if origin in {list, set, frozenset} and arguments:
            return self._many(arguments[0])
        if origin is tuple and arguments[1:] == (...,):
            return self._many(arguments[0])
        if origin is dict:
            return self._dict(arguments)
        if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
            return self._struct(kind)
        return 0

    def _many(self, kind: Any) -> int | Count:
        inner = self.of(kind)
        if isinstance(inner, int):
            return (lambda value: inner * len(value)) if inner else 0
        return lambda value: sum(map(inner, value))

    def _dict(self, arguments: tuple[Any, ...]) -> Count:
        inner = self._many(arguments[1]) if arguments else 0
        if isinstance(inner, int):
            return len
        return lambda value: len(value) + inner(value.values())

    def _union(self, parts: list[Any]) -> int | Count:
        structs = [part for part in parts if _is_struct(part)]
        # Among several structs only the tag decides, so that it was there.
        tags = len(structs) > 1
        counts: dict[Any, Count] = {}
        for part in parts:
            count = self.of(part)
            if count != 0:
                counts[get_origin(part) or part] = _plus(
                    count, 1 if tags and part in structs else 0
                )
        if not counts:
            return 0
        return lambda value: counts.get(type(value), _none)(value)

    def _struct(self, kind: Any) -> int | Count:
        if kind in self._known:
            return self._known[kind]
        cell: list[Count] = []

        def again(value: Any) -> int:  # for a type that holds itself
            return cell[0](value)

        self._known[kind] = again
        made = self._summed(_members(kind))
        cell.append(_plus(made, 0))
        self._known[kind] = made
        return made

    def _summed(self, members: _Members) -> int | Count:
        nested = [(name, self.of(inner)) for name, inner in members.nested]
        always = members.required + sum(count for _, count in nested if isinstance(count, int))
        inner = [(name, count) for name, count in nested if not isinstance(count, int)]
        if not inner and not members.defaults and not members.lists:
            return always
        return _sum(always, members, inner)


class _Members(NamedTuple):
    """What is known of a struct's members.

    Attributes:
        required: how many are always there.
        defaults: field and default; there if the value is another object.
        lists: fields whose default is an empty collection; there if they are not empty.
        nested: field and type of those whose values may have members.
    """

    required: int
    defaults: list[tuple[str, Any]]
    lists: list[str]
    nested: list[tuple[str, Any]]


_EMPTY: Final = frozenset({list, dict, set})
_NOTHING: Final = (msgspec.NODEFAULT, None)


def _members(kind: Any) -> _Members:
    struct = get_origin(kind) or kind
    if struct.__struct_config__.array_like:
        return _Members(0, [], [], [(f.name, f.type) for f in msgspec.structs.fields(kind)])
    fields = msgspec.structs.fields(kind)
    required = sum(field.required for field in fields)
    if hasattr(struct, "__post_init__"):
        # It may have put other values into the fields, so only the required ones are certain.
        return _Members(required, [], [], [])
    return _Members(
        required,
        [(f.name, f.default) for f in fields if f.default is not msgspec.NODEFAULT],
        [f.name for f in fields if f.default_factory in _EMPTY],
        # What is a default, or what another factory made, did not come from the body.
        [
            (f.name, f.type)
            for f in fields
            if f.default_factory in _EMPTY
            or (f.default_factory is msgspec.NODEFAULT and f.default in _NOTHING)
        ],
    )


def _sum(always: int, members: _Members, nested: list[tuple[str, Count]]) -> Count:
    defaults, lists = members.defaults, members.lists

    def count(value: Any) -> int:
        total = always
        for name, default in defaults:
            # A field that is missing holds the very default; one that was sent mostly not.
            if getattr(value, name) is not default:
                total += 1
        for name in lists:
            if getattr(value, name):
                total += 1
        for name, inner in nested:
            total += inner(getattr(value, name))
        return total

    return count


def _plus(count: int | Count, more: int) -> Count:
    if isinstance(count, int):
        total = count + more
        return lambda _: total
    return (lambda value: count(value) + more) if more else count


def _none(_value: Any) -> int:
    return 0


def _is_struct(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, msgspec.Struct)
