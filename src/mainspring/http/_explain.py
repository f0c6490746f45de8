"""All that is wrong with a value, where the fast decoder stops at the first thing.

This runs only after a decoding failed. It goes into the parts of a value that are wrong and
leaves those alone that are fine, so that a large body with one mistake is explained in about
the time that it takes to decode it.
"""

from __future__ import annotations

import dataclasses
import re
from itertools import islice
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from mainspring.http._problem import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VIOLATIONS_LIMIT: Final = 100
"""More than these nobody reads, and an answer must not be larger than its request."""
_DEPTH: Final = 32
"""Deeper parts of a type that holds itself are judged as one."""
_AT_ONCE: Final = 64
"""So many items are tried together before each of them is."""
_TEXT: Final = 200
_LIST: Final[Any] = list
_DICT: Final[Any] = dict


def violations(value: object, kind: Any, *, strict: bool = True) -> list[Violation]:
    """What keeps `value` from being a `kind`, each with a JSON pointer; at most a hundred.

    Args:
        value: built-in values, as decoded without a type.
        kind: what it should have been.
        strict: whether text may stand for a number, as `msgspec.convert` has it.
    """
    return list(islice(_Walk(strict=strict).into(value, kind, "#", 0), VIOLATIONS_LIMIT))


class _Field(NamedTuple):
    name: str
    kind: Any
    required: bool


class _Walk:
    """Goes through a value and its type side by side."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def into(self, value: Any, kind: Any, at: str, depth: int) -> Iterator[Violation]:
        wrong = self._why_not(value, kind)
        if wrong is None:
            return
        found = False
        if depth < _DEPTH:
            for violation in self._parts(value, kind, at, depth + 1):
                found = True
                yield violation
        if not found:
            # The parts are fine one by one, so it is a rule about the whole.
            yield Violation(wrong, pointer=at)

    def _parts(self, value: Any, kind: Any, at: str, depth: int) -> Iterable[Violation]:
        kind = _plain(kind)
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if origin in {Union, UnionType}:
            branch = _branch(value, [_plain(part) for part in arguments])
            return () if branch is None else self.into(value, branch, at, depth)
        if isinstance(value, dict):
            fields = _fields(kind)
            if fields is not None:
                return self._named(value, kind, fields, at, depth)
            if origin is dict and arguments:
                return self._mapped(value, arguments, at, depth)
        if isinstance(value, list) and arguments:
            if origin is tuple and arguments[1:] != (...,):
                return self._in_turn(value, arguments, at, depth)
            return self._many(value, arguments[0], [f"{at}/{n}" for n in range(len(value))], depth)
        return ()

    def _named(
        self, value: dict[str, Any], kind: Any, fields: list[_Field], at: str, depth: int
    ) -> Iterator[Violation]:
        for name, inner, required in fields:
            pointer = f"{at}/{_escaped(name)}"
            if name in value:
                yield from self.into(value[name], inner, pointer, depth)
            elif required:
                yield Violation("is required", pointer=pointer)
        config = getattr(kind, "__struct_config__", None)
        if config is not None and config.forbid_unknown_fields:
            known = {field.name for field in fields} | {config.tag_field}
            for name in sorted(map(str, value.keys() - known)):
                yield Violation("is not known", pointer=f"{at}/{_escaped(name)}")

    def _mapped(
        self, value: dict[Any, Any], arguments: tuple[Any, ...], at: str, depth: int
    ) -> Iterator[Violation]:
        name, inner = arguments
        pointers = [f"{at}/{_escaped(str(key))}" for key in value]
        for key, pointer in zip(value, pointers, strict=True):
            wrong = None if name is str else self._why_not({key: 0}, _DICT[name, Any])
            if wrong is not None:
                yield Violation(f"the name is wrong: {wrong}", pointer=pointer)
        yield from self._many(list(value.values()), inner, pointers, depth)

    def _in_turn(
        self, value: list[Any], kinds: tuple[Any, ...], at: str, depth: int
    ) -> Iterator[Violation]:
        if len(value) == len(kinds):
            for number, (item, kind) in enumerate(zip(value, kinds, strict=True)):
                yield from self.into(item, kind, f"{at}/{number}", depth)

    def _many(
        self, items: list[Any], kind: Any, pointers: list[str], depth: int
    ) -> Iterator[Violation]:
        several = _LIST[kind]
        for start in range(0, len(items), _AT_ONCE):
            part = items[start : start + _AT_ONCE]
            if self._why_not(part, several) is not None:
                for item, pointer in zip(part, pointers[start:], strict=False):
                    yield from self.into(item, kind, pointer, depth)

    def _why_not(self, value: object, kind: Any) -> str | None:
        try:
            msgspec.convert(value, kind, strict=self._strict, str_keys=True)
        except (msgspec.ValidationError, ValueError, RecursionError) as exc:
            return readable(exc, kind)
        return None


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _branch(value: Any, parts: list[Any]) -> Any:
    """The one part of a union that the value can have been meant for, or None."""
    if isinstance(value, dict):
        tagged = [part for part in parts if _fields(part) is not None]
        if len(tagged) > 1:
            tagged = [part for part in tagged if _tag_fits(value, part)]
        candidates = tagged or [part for part in parts if (get_origin(part) or part) is dict]
    elif isinstance(value, list):
        candidates = [part for part in parts if get_origin(part) in {list, tuple, set, frozenset}]
    else:
        candidates = [part for part in parts if part is not NoneType]
    return candidates[0] if len(candidates) == 1 else None


def _tag_fits(value: dict[str, Any], kind: Any) -> bool:
    config = getattr(get_origin(kind) or kind, "__struct_config__", None)
    return (
        config is not None and config.tag is not None and value.get(config.tag_field) == config.tag
    )


def _fields(kind: Any) -> list[_Field] | None:
    """The named fields of a type; None if it has none."""
    origin = get_origin(kind) or kind
    if not isinstance(origin, type):
        return None
    if issubclass(origin, msgspec.Struct):
        if origin.__struct_config__.array_like:
            return None
        return [_Field(f.encode_name, f.type, f.required) for f in msgspec.structs.fields(kind)]
    if dataclasses.is_dataclass(origin):
        hints = get_type_hints(origin, include_extras=True)
        return [
            _Field(f.name, hints[f.name], f.default is f.default_factory is dataclasses.MISSING)
            for f in dataclasses.fields(origin)
        ]
    return None


def readable(error: Exception, kind: Any = None) -> str:
    """A decoder's message as a sentence of ours, without its own way of naming places.

    Args:
        error: what the decoder raised.
        kind: what was wanted; the description of its `Meta` stands for its pattern.
    """
    text = str(error).partition(" - at `")[0].replace("`", "")
    expected, matching, pattern = text.partition(" matching regex ")
    if matching:
        described = _description(kind)
        text = f"is not {described}" if described else f"{expected} matching {pattern}"
    return _in_words(text) or text[:1].lower() + text[1:_TEXT]


_BOUNDS: Final = {
    ("str", ">="): "must have at least {} characters",
    ("str", "<="): "must have at most {} characters",
    ("array", ">="): "must have at least {} items",
    ("array", "<="): "must have at most {} items",
    ("int", ">="): "must be at least {}",
    ("int", "<="): "must be at most {}",
    ("float", ">="): "must be at least {}",
    ("float", "<="): "must be at most {}",
}
_BOUND: Final = re.compile(r"Expected (\w+)(?: of length)? (>=|<=) (\S+)")


def _in_words(text: str) -> str:
    """A bound that was missed, as a person would say it; empty for other messages."""
    found = _BOUND.fullmatch(text)
    if found is None:
        return ""
    kind, relation, bound = found.groups()
    if (kind, relation, bound) == ("str", ">=", "1"):
        return "can't be blank"
    return _BOUNDS.get((kind, relation), "").format(bound)


def _description(kind: Any) -> str:
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((n.description for n in notes if getattr(n, "description", None)), "")


def _escaped(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901, section 3)."""
    return name[:_TEXT].replace("~", "~0").replace("/", "~1")
