"""From a route's name back to its address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from mainspring.errors import MainspringError, suggestion
from mainspring.http._routing import CONVERTERS, Capture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.http._routing import Route


class UnknownPath(MainspringError):
    """There is no such address: no route of the name, two of them, or a wrong parameter."""

    code = "http.unknown-path"


class Paths:
    """The addresses of an application's routes by their names.

    A name is the handler's, unless the route has another.

    Args:
        routes: all of them, compiled; several may share a name, as long as nobody asks for it.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._known: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._known.setdefault(route.name, {})[route.pattern] = route

    def path_for(self, name: str, /, **parameters: Any) -> str:
        """The path of a route, such as `/notes/3` for `path_for("read_note", id=3)`.

        Args:
            name: of the route.
            parameters: of the pattern; all others become the query.

        Raises:
            UnknownPath: no route, or several, have the name; a parameter is missing or would
                not come back as the same value.
        """
        route = self._route(name)
        captured = [segment.name for segment in route.segments if isinstance(segment, Capture)]
        missing = [f"{each}=" for each in captured if each not in parameters]
        if missing:
            raise UnknownPath(f"the path of {name!r} needs {', '.join(missing)}: {route.pattern}")
        path = "".join(f"/{_segment(segment, parameters, name)}" for segment in route.segments)
        query = {k: v for k, v in parameters.items() if k not in captured and v is not None}
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

    def _route(self, name: str) -> Route:
        found = self._known.get(name, {})
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise UnknownPath(
                f"several routes are named {name!r}: {', '.join(found)}",
                fix="give them names of their own: name='…'",
            )
        raise UnknownPath(
            f"no route is named {name!r}",
            fix=suggestion(name, list(self._known)) or "a route has the name of its handler",
        )


def _segment(segment: str | Capture, parameters: dict[str, Any], name: str) -> str:
    if isinstance(segment, str):
        return segment
    text = str(parameters[segment.name])
    if segment.tail:
        return quote(text, safe="/")
    if not _comes_back(text, segment):
        raise UnknownPath(f"{text!r} cannot be {segment.name} in the path of {name!r}")
    return quote(text, safe="")


def _comes_back(text: str, segment: Capture) -> bool:
    # A browser resolves dots itself, and servers see an escaped slash as a slash.
    if not text or text in {".", ".."} or "/" in text:
        return False
    try:
        CONVERTERS[segment.kind or str](text)
    except ValueError:
        return False
    return True
