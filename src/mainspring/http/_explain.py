"""All that is wrong with a value, where the fast decoder stops at the first thing.

This runs only after a decoding failed. It walks the type and the value side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from mainspring.http._problem import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

VIOLATIONS_LIMIT = 100
"""More than these nobody reads, and an answer must not be larger than its request."""


def violations(value: object, kind: Any, *, strict: bool = True) -> list[Violation]:
    """What keeps `value` from being a `kind`, each with a JSON pointer; at most a hundred.

    Args:
        value: built-in values, as decoded without a type.
        kind: what it should have been.
        strict: whether text may stand for a number, as `msgspec.convert` has it.
    """
    found: list[Violation] = []
    for violation in _walk(value, kind, "#", strict=strict):
        found.append(violation)
        if len(found) == VIOLATIONS_LIMIT:
            break
    return found


def _walk(value: object, kind: Any, at: str, *, strict: bool) -> Iterator[Violation]:
    shape = inspect.type_info(kind)
    if isinstance(shape, inspect.StructType) and isinstance(value, dict):
        yield from _struct(value, shape, at, strict=strict)
        return
    if isinstance(shape, inspect.ListType) and isinstance(value, list):
        inner = _item_type(kind)
        if inner is not None:
            before = 0
            for number, item in enumerate(value):
                for violation in _walk(item, inner, f"{at}/{number}", strict=strict):
                    before += 1
                    yield violation
            if before:
                return
    wrong = _why_not(value, kind, strict=strict)
    if wrong is not None:
        yield Violation(wrong, pointer=at)


def _struct(
    value: dict[str, Any], shape: inspect.StructType, at: str, *, strict: bool
) -> Iterator[Violation]:
    hints = {f.name: f.type for f in msgspec.structs.fields(shape.cls)}
    clean = True
    for field in shape.fields:
        pointer = f"{at}/{_escaped(field.encode_name)}"
        if field.encode_name in value:
            inner = value[field.encode_name]
            for violation in _walk(inner, hints[field.name], pointer, strict=strict):
                clean = False
                yield violation
        elif field.required:
            clean = False
            yield Violation("is required", pointer=pointer)
    if shape.forbid_unknown_fields:
        for name in value.keys() - {field.encode_name for field in shape.fields}:
            clean = False
            yield Violation("is not known", pointer=f"{at}/{_escaped(str(name))}")
    if clean:
        # The fields are fine one by one, so what is wrong is a rule over several of them.
        wrong = _why_not(value, shape.cls, strict=strict)
        if wrong is not None:
            yield Violation(wrong, pointer=at)


def _why_not(value: object, kind: Any, *, strict: bool) -> str | None:
    try:
        msgspec.convert(value, kind, strict=strict)
    except (msgspec.ValidationError, ValueError, RecursionError) as exc:
        return readable(exc)
    return None


def readable(error: Exception) -> str:
    """A decoder's message without its own way of naming places."""
    text = str(error).partition(" - at `")[0].replace("`", "")
    return text[:1].lower() + text[1:]


def _escaped(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _item_type(kind: Any) -> Any:
    arguments: tuple[Any, ...] = getattr(kind, "__args__", ())
    return arguments[0] if len(arguments) == 1 else None
