"""What a handler takes and gives: the only introspection, done once per route at start."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from mainspring.http._markers import Body, Cookie, Form, Header, Query
from mainspring.http._routing import RouteError
from mainspring.http._rows import without_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container

Source = Literal["path", "query", "header", "cookie", "body", "form", "provided"]
_SOURCES: dict[type, Source] = {
    Header: "header",
    Cookie: "cookie",
    Query: "query",
    Form: "form",
    Body: "body",
}
REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    Attributes:
        name: in the function.
        source: where its value comes from.
        kind: its type, with the constraints of `Annotated`.
        wire_name: its name in the request.
        default: `REQUIRED` if there is none.
        keyword: it is passed by name.
        optional: it is a provided value that may be None.
    """

    name: str
    source: Source
    kind: Any
    wire_name: str
    default: Any = REQUIRED
    keyword: bool = False
    optional: bool = False

    @property
    def plain(self) -> Any:
        """The type without the constraints of `Annotated`."""
        return unwrap(self.kind)[0]


@dataclass(frozen=True, slots=True)
class Signature:
    """A handler's parameters and what it returns; `Any` if it does not say.

    Attributes:
        rows: it may return a statement, whose rows are of the type.
    """

    parameters: tuple[Parameter, ...]
    returns: Any
    rows: bool = False

    def of(self, source: Source) -> list[Parameter]:
        """The parameters of one source, in order."""
        return [parameter for parameter in self.parameters if parameter.source == source]


def read_signature(
    endpoint: Callable[..., Any], *, captured: Collection[str], provided: Container[Any]
) -> Signature:
    """What the handler asks for.

    Args:
        endpoint: the user's function.
        captured: names that the route's pattern captures.
        provided: types that are given by type.

    Raises:
        RouteError: an annotation cannot be resolved, a capture has no parameter, there are
            two bodies, or a parameter cannot be bound.
    """
    hints = _hints(endpoint)
    parameters = tuple(
        _parameter(endpoint, raw, hints.get(raw.name, str), captured, provided)
        for raw in inspect.signature(endpoint).parameters.values()
    )
    signature = Signature(parameters, *without_rows(hints.get("return", Any)))
    missing = set(captured) - {parameter.name for parameter in signature.of("path")}
    if missing:
        raise RouteError(
            f"{_name(endpoint)} has no parameter for {', '.join(sorted(missing))} of its pattern",
            fix="add the parameter, or take the capture out of the pattern",
        )
    if len(signature.of("body")) + len(signature.of("form")) > 1:
        raise RouteError(
            f"{_name(endpoint)} has more than one body",
            fix="put the parts into one Struct, or mark what belongs to the query with Query()",
        )
    return signature


def _hints(endpoint: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(endpoint, include_extras=True)
    except NameError as exc:
        raise RouteError(
            f"{_name(endpoint)}: the annotation {exc.name!r} is not known at run time",
            fix=f"import {exc.name} outside of `if TYPE_CHECKING:`; handlers are bound by type",
        ) from exc


def _parameter(
    endpoint: Callable[..., Any],
    raw: inspect.Parameter,
    kind: Any,
    captured: Collection[str],
    provided: Container[Any],
) -> Parameter:
    if raw.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise RouteError(f"{_name(endpoint)}: *{raw.name} cannot be bound", fix="name each one")
    keyword = raw.kind is inspect.Parameter.KEYWORD_ONLY
    plain, marker = unwrap(kind)
    if raw.name in captured:
        return Parameter(raw.name, "path", kind, raw.name, raw.default, keyword)
    inner = without_none(plain)
    for candidate in (plain, inner):
        if _provided(candidate, provided):
            optional = inner is not plain or raw.default is None
            return Parameter(
                raw.name, "provided", candidate, raw.name, raw.default, keyword, optional
            )
    if marker is None:
        # A type may say where it comes from, as `data.Page` does, which knows no markers.
        said: Source | None = getattr(inner, "__source__", None)
        source: Source = said or ("body" if _is_structured(inner) else "query")
        if source == "query":
            _check_text(endpoint, raw.name, kind)
        return Parameter(raw.name, source, kind, raw.name, raw.default, keyword)
    source = _SOURCES[type(marker)]
    default_name = raw.name.replace("_", "-") if source == "header" else raw.name
    name = getattr(marker, "name", "") or default_name
    return Parameter(raw.name, source, kind, name, raw.default, keyword)


def _check_text(endpoint: Callable[..., Any], name: str, kind: Any) -> None:
    """Refuse a class that no text of a query can become: nobody provides it, most likely."""
    try:
        strange = _unknown_class(msgspec.inspect.type_info(kind))
    except TypeError:
        return  # the reader of the parameter says what is wrong with it
    if strange is not None:
        raise RouteError(
            f"{_name(endpoint)}: nothing provides a {strange.__name__} for {name!r}",
            fix=f"app.provide({strange.__name__}, …), or give {name!r} a type that text can hold",
        )


def _unknown_class(info: Any) -> type | None:
    if isinstance(info, msgspec.inspect.CustomType):
        return info.cls
    inner = getattr(info, "types", None) or [getattr(info, "item_type", None)]
    return next((found for part in inner if part and (found := _unknown_class(part))), None)


def _provided(kind: Any, provided: Container[Any]) -> bool:
    try:
        return kind in provided
    except TypeError:  # not hashable, so not a key
        return False


def unwrap(kind: Any) -> tuple[Any, Any]:
    """A type without `Annotated`, and our marker if one was in it."""
    if get_origin(kind) is not Annotated:
        return kind, None
    plain, *notes = get_args(kind)
    return plain, next((note for note in notes if type(note) in _SOURCES), None)


def without_none(kind: Any) -> Any:
    """`X` of `X | None`; any other type as it is."""
    if get_origin(kind) not in {Union, UnionType}:
        return kind
    rest = [part for part in get_args(kind) if part is not NoneType]
    return rest[0] if len(rest) == 1 else kind


def is_struct(kind: Any) -> bool:
    """Whether the type has named fields that can be decoded; `Page[Note]` has those of `Page`."""
    plain = get_origin(kind) or kind
    return isinstance(plain, type) and (
        issubclass(plain, msgspec.Struct) or dataclasses.is_dataclass(plain)
    )


def _is_structured(kind: Any) -> bool:
    """Whether a type is a body's: something with fields, or a list of such."""
    if get_origin(kind) in {list, tuple, set}:
        return any(is_struct(part) for part in get_args(kind))
    if get_origin(kind) in {Union, UnionType}:
        return all(is_struct(part) for part in get_args(kind))
    return is_struct(kind) or kind is dict or get_origin(kind) is dict


def _name(endpoint: Callable[..., Any]) -> str:
    return f"{endpoint.__module__}.{endpoint.__qualname__}"
