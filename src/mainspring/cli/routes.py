"""`mainspring routes`: every route with its policy and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cli._command import OK, takes_application, takes_json
from mainspring.cli._project import open_application
from mainspring.http._mount import Mounted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from datetime import timedelta

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.http import Route


def arguments(parser: Parser) -> None:
    """Take the application and a form of output."""
    takes_application(parser)
    takes_json(parser)
    parser.add_argument(
        "--all", action="store_true", help="those too that the framework adds, such as /docs"
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """List the routes as they will be served, in the order of their paths."""
    app = open_application(options.app)
    routes = sorted(app.compile().declared, key=lambda r: (r.pattern, sorted(r.methods)))
    if not options.all:
        routes = [route for route in routes if not _is_ours(route)]
    if options.json:
        terminal.json([_facts(route) for route in routes])
    else:
        _table(routes, terminal)
    return OK


def _facts(route: Route) -> dict[str, Any]:
    return {
        "methods": sorted(route.methods),
        "path": route.pattern,
        "kind": route.kind,
        "handler": _handler(route),
        "policy": str(route.allow),
        "deadline_seconds": None if route.deadline is None else route.deadline.total_seconds(),
        "in_place": route.in_place,
    }


def _is_ours(route: Route) -> bool:
    """Whether the framework added the route by itself."""
    return route.hidden and getattr(route.endpoint, "__module__", "") == "mainspring.http._docs"


def _table(routes: Iterable[Route], terminal: Terminal) -> None:
    rows = [
        (
            "|".join(sorted(route.methods)) if route.kind == "http" else route.kind.upper(),
            route.pattern,
            _handler(route),
            str(route.allow),
            "none" if route.deadline is None else _seconds(route.deadline),
            "yes" if route.in_place else "",
        )
        for route in routes
    ]
    terminal.table(
        ("METHOD", "PATH", "HANDLER", "POLICY", "DEADLINE", "IN PLACE"),
        rows,
        colours={0: "green", 2: "dim", 3: "cyan"},
    )


def _handler(route: Route) -> str:
    # A mounted application has no function of its own to name.
    endpoint = type(route.endpoint.app) if isinstance(route.endpoint, Mounted) else route.endpoint
    name: str = getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
    return f"{endpoint.__module__}.{name.rpartition('<locals>.')[2]}"


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
