"""From method and path to route.

Patterns are `/items/{id}`, `/items/{id:int}` and, for all that remains, `/files/{rest:path}`.
A capture without a type takes the type of the handler's parameter. A segment that does not
fit its type does not match, so that a wrong id is a 404 and not an error of the query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import timedelta

    from mainspring.http._formats import StructuredBody
    from mainspring.http._forms import FormBody
    from mainspring.http._request import Request
    from mainspring.http._response import Response
    from mainspring.http._signature import Signature

    Handler = Callable[[Request], Awaitable[Response]]


class RouteError(ConfigError):
    """A route cannot be served the way it is declared."""

    code = "http.route"


def _whole_number(text: str) -> int:
    # `int` alone also takes "1_0", " 7", "+7" and digits of every script.
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _INT64_DIGITS):
        raise ValueError(text)
    return int(text)


def _day(text: str) -> date:
    # From 3.11 on `fromisoformat` also takes "20260131" and weeks: names of the same day.
    if len(text) != _DAY_LENGTH or text[4] != "-" or text[7] != "-":
        raise ValueError(text)
    return date.fromisoformat(text)


def _uuid(text: str) -> UUID:
    if len(text) != _UUID_LENGTH:
        raise ValueError(text)
    return UUID(text)


_INT64_DIGITS: Final = 18
_UUID_LENGTH: Final = 36
_DAY_LENGTH: Final = 10
CONVERTERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    str: str,
    int: _whole_number,
    UUID: _uuid,
    date: _day,
}
_TYPES: Final = {"str": str, "int": int, "uuid": UUID, "date": date, "path": str}
_CAPTURE: Final = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-z]+))?\}")


@dataclass(frozen=True, slots=True)
class Capture:
    """One `{…}` of a pattern.

    Attributes:
        kind: the type it is converted to; None until the handler's signature is known.
        tail: it takes all that remains, slashes included.
    """

    name: str
    kind: Any = None
    tail: bool = False


def parse_pattern(pattern: str) -> tuple[str | Capture, ...]:
    """The segments of a pattern: text, or a capture.

    Raises:
        RouteError: it does not begin with a slash, a segment mixes text and capture, a type
            is unknown, a name comes twice, or something follows a `path` capture.
    """
    if not pattern.startswith("/"):
        raise RouteError(f"pattern {pattern!r} does not begin with '/'")
    segments = tuple(_segment(part, pattern) for part in pattern[1:].split("/"))
    names = [segment.name for segment in segments if isinstance(segment, Capture)]
    if len(set(names)) < len(names):
        raise RouteError(f"pattern {pattern!r} captures a name twice")
    if any(isinstance(segment, Capture) and segment.tail for segment in segments[:-1]):
        raise RouteError(f"pattern {pattern!r} goes on after a path capture, which takes all")
    return segments


def _segment(part: str, pattern: str) -> str | Capture:
    if "{" not in part and "}" not in part:
        return part
    found = _CAPTURE.fullmatch(part)
    if found is None:
        raise RouteError(
            f"pattern {pattern!r}: {part!r} is neither text nor one capture",
            fix="a segment is text or {name} or {name:type}",
        )
    name, kind = found.groups()
    if kind is not None and kind not in _TYPES:
        raise RouteError(f"pattern {pattern!r}: no path type {kind!r}", fix=f"use {list(_TYPES)}")
    return Capture(name, _TYPES[kind] if kind else None, tail=kind == "path")


@dataclass(slots=True, kw_only=True)
class Route:
    """One operation: what it answers, for whom, and within which bounds.

    It is declared by a decorator, completed by `App.compile`, and not changed afterwards.

    Attributes:
        methods: upper case; empty takes every method.
        pattern: as declared, prefixes included.
        endpoint: the user's function.
        allow: the policy; a route without one stops the start.
        deadline: how long it may take; None for as long as it likes (streams, sockets).
        body_limit_bytes: the largest body that it takes.
        decompress: it takes bodies with a `Content-Encoding`.
        attempts: how often the endpoint is run at most when the database asks for it.
        cpu: run a `def` endpoint in a process pool instead of a thread.
        status: of a plain answer; None for 200, or 204 when nothing is returned.
        hidden: not in the API description.
        deprecated: said to be so in the API description.
        body: what reads the body; None for a route without one.
        in_place: it need not wait, so that a server may try `now` before it makes a task.
        now: the same as `answer`, at once, if it is in place and the body is all here. None if
            that cannot be done after all, and `answer` has to be awaited.
    """

    methods: frozenset[str]
    pattern: str
    endpoint: Callable[..., Any]
    allow: Any = None
    name: str = ""
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    deadline: timedelta | None = None
    body_limit_bytes: int = 0
    decompress: bool = False
    attempts: int = 3
    cpu: bool = False
    status: int | None = None
    hidden: bool = False
    deprecated: bool = False
    kind: Literal["http", "websocket", "mount"] = "http"
    # filled in at start
    segments: tuple[str | Capture, ...] = ()
    signature: Signature | None = None
    answer: Handler = field(default=None, repr=False)  # type: ignore[assignment]  # set by compile, before any request
    body: FormBody | StructuredBody | None = None
    in_place: bool = False
    now: Callable[[Request], Response | None] = field(default=None, repr=False)  # type: ignore[assignment]  # set with `in_place`
    json_headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def title(self) -> str:
        """How messages name it: `GET /items/{id}`."""
        what = self.kind.upper() if self.kind != "http" else "|".join(sorted(self.methods)) or "ANY"
        return f"{what} {self.pattern}"


class _Node:
    """One position in the tree of segments."""

    __slots__ = ("captures", "static", "tails", "targets")

    def __init__(self) -> None:
        self.static: dict[str, _Node] = {}
        self.captures: list[tuple[Callable[[str], Any], str, _Node]] = []
        self.tails: list[tuple[str, dict[str, Route]]] = []
        self.targets: dict[str, Route] = {}


_ANY = "*"


class Routes:
    """Every route of an application, ready to be matched."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._static: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        targets: dict[str, Route] | None = None
        for segment in route.segments:
            if isinstance(segment, str):
                node = node.static.setdefault(segment, _Node())
            elif segment.tail:
                targets = _tail_targets(node, segment.name)
            else:
                names.append(segment.name)
                node = _capture_node(node, segment)
        if targets is None:
            targets = node.targets
            if not names:
                targets = self._static.setdefault(route.pattern, targets)
        for method in route.methods or (_ANY,):
            if method in targets:
                raise RouteError(
                    f"{method} {route.pattern} is declared twice: by"
                    f" {targets[method].endpoint.__qualname__} and {route.endpoint.__qualname__}",
                    fix="remove one of them",
                )
            targets[method] = route

    def match(self, request: Request) -> Route | frozenset[str]:
        """The route of the request, whose captures are written into the request.

        Returns:
            The methods that the path does have when it lacks this one; empty if no route
            has the path at all.
        """
        targets = self._static.get(request.path)
        if targets is not None:
            route = targets.get(request.method)
            if route is not None:
                request.path_params = _NONE
                return route
        found = self._straight(request)
        if found is not None:
            return found
        allowed: set[str] = set()
        captured: dict[str, Any] = {}
        found = _walk(self._root, request.path.split("/"), 1, request.method, captured, allowed)
        if found is None:
            return frozenset(allowed)
        request.path_params = captured
        return found

    def _straight(self, request: Request) -> Route | None:
        """The route, if no position leaves a choice; None sends the request the long way."""
        node = self._root
        captured: dict[str, Any] = {}
        for part in request.path[1:].split("/"):
            child = node.static.get(part)
            if child is None:
                if len(node.captures) != 1 or not part:
                    return None
                convert, name, child = node.captures[0]
                try:
                    captured[name] = convert(part)
                except ValueError:
                    return None
            elif node.captures:
                return None
            node = child
        found = node.targets.get(request.method)
        if found is not None:
            request.path_params = captured
        return found


_NONE: dict[str, Any] = {}


def _capture_node(node: _Node, capture: Capture) -> _Node:
    convert = CONVERTERS[capture.kind or str]
    for known, name, child in node.captures:
        if known is convert and name == capture.name:
            return child
    child = _Node()
    node.captures.append((convert, capture.name, child))
    # Text takes every segment, so whatever is narrower is tried before it.
    node.captures.sort(key=lambda entry: entry[0] is str)
    return child


def _tail_targets(node: _Node, name: str) -> dict[str, Route]:
    for known, targets in node.tails:
        if known == name:
            return targets
    fresh: dict[str, Route] = {}
    node.tails.append((name, fresh))
    return fresh


def _target(targets: dict[str, Route], method: str, allowed: set[str]) -> Route | None:
    route = targets.get(method) or targets.get(_ANY)
    if route is None:
        allowed.update(targets)
    return route


def _walk(  # a recursion over its own state
    node: _Node,
    parts: list[str],
    at: int,
    method: str,
    captured: dict[str, Any],
    allowed: set[str],
) -> Route | None:
    if at == len(parts):
        return _target(node.targets, method, allowed)
    part = parts[at]
    child = node.static.get(part)
    if child is not None:
        route = _walk(child, parts, at + 1, method, captured, allowed)
        if route is not None:
            return route
    if part:
        for convert, name, child in node.captures:
            try:
                value = convert(part)
            except ValueError:
                continue
            route = _walk(child, parts, at + 1, method, captured, allowed)
            if route is not None:
                captured[name] = value
                return route
    for name, targets in node.tails:
        route = _target(targets, method, allowed)
        if route is not None:
            captured[name] = "/".join(parts[at:])
            return route
    return None
