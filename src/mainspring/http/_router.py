"""Declaring routes: decorators on an application or on a part of one."""

from __future__ import annotations

import inspect
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar, Unpack

from mainspring.http._mount import Mounted
from mainspring.http._routing import Route
from mainspring.http._static import StaticFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from mainspring.auth import Policy, Principal
    from mainspring.http._row_policy import Rows

F = TypeVar("F", bound="Callable[..., Any]")

UNSET: Final[Any] = object()
"""Not said, where None means something."""


_OPERATIONS: Final = {
    "list": ("GET", ""),
    "create": ("POST", ""),
    "read": ("GET", "/{id}"),
    "update": ("PATCH", "/{id}"),
    "delete": ("DELETE", "/{id}"),
}


class RouteOptions(TypedDict, total=False):
    """What a route may say beside its pattern.

    Attributes:
        allow: who may: `anyone`, `signed_in`, `role("editor")`, or a policy of your own.
        name: in the API description; the function's name by default.
        summary: one line; the first of the docstring by default.
        tags: groups in the API description.
        deadline: after it the answer is 504; the application's (10 s) by default, None for
            as long as it takes.
        body_limit_bytes: larger bodies get 413; the application's (1 MiB) by default.
        decompress: take compressed bodies; the limit is of the bytes that come out.
        attempts: how often it is run at most, 3 by default: again after a deadlock or another
            conflict in the database, with everything undone and nothing answered. 1 for a
            handler whose effects elsewhere must not come twice.
        status: of a plain result, when not 200.
        cpu: run a `def` function in a process instead of a thread.
        hidden: leave it out of the API description.
        deprecated: say there that it should not be used any more.
    """

    allow: Policy
    name: str
    summary: str
    tags: Iterable[str]
    deadline: timedelta | None
    body_limit_bytes: int
    decompress: bool
    attempts: int
    status: int
    cpu: bool
    hidden: bool
    deprecated: bool


class Router:
    """A set of routes under one prefix, such as a version or a part of an application.

    Args:
        prefix: what every pattern begins with, such as `/api/v1`.
        allow: the policy of routes that do not name one.
        tags: of every route, for the API description.
    """

    def __init__(
        self, prefix: str = "", *, allow: Policy | None = None, tags: Iterable[str] = ()
    ) -> None:
        self.prefix = prefix.rstrip("/")
        self.allow = allow
        self.tags = tuple(tags)
        self.routes: list[Route] = []

    def route(
        self, pattern: str, *, methods: Iterable[str], **options: Unpack[RouteOptions]
    ) -> Callable[[F], F]:
        """Answer `pattern` with the decorated function.

        Args:
            pattern: such as `/notes/{id}`.
            methods: such as `["GET"]`; HEAD comes with GET, OPTIONS by itself.
            options: see `RouteOptions`.
        """

        def declare(endpoint: F) -> F:
            self.routes.append(self._declared(endpoint, pattern, methods, options))
            return endpoint

        return declare

    def _declared(
        self,
        endpoint: Callable[..., Any],
        pattern: str,
        methods: Iterable[str],
        options: RouteOptions,
    ) -> Route:
        first, _, rest = inspect.cleandoc(endpoint.__doc__ or "").partition("\n")
        return Route(
            methods=frozenset(method.upper() for method in methods),
            pattern=self.prefix + pattern,
            endpoint=endpoint,
            allow=options.get("allow") or self.allow,
            name=options.get("name") or endpoint.__name__,
            summary=options.get("summary") or first,
            description=rest.strip(),
            tags=(*self.tags, *options.get("tags", ())),
            deadline=options.get("deadline", UNSET),
            body_limit_bytes=options.get("body_limit_bytes", 0),
            decompress=options.get("decompress", False),
            attempts=options.get("attempts", 3),
            status=options.get("status"),
            cpu=options.get("cpu", False),
            hidden=options.get("hidden", False),
            deprecated=options.get("deprecated", False),
        )

    def get(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Answer GET and HEAD; options as for `route`."""
        return self.route(pattern, methods=["GET"], **options)

    def post(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Answer POST; options as for `route`."""
        return self.route(pattern, methods=["POST"], **options)

    def put(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Answer PUT; options as for `route`."""
        return self.route(pattern, methods=["PUT"], **options)

    def patch(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Answer PATCH; options as for `route`."""
        return self.route(pattern, methods=["PATCH"], **options)

    def delete(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Answer DELETE; options as for `route`."""
        return self.route(pattern, methods=["DELETE"], **options)

    def websocket(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Lead the conversations of a web socket with the decorated coroutine function.

        Args:
            pattern: such as `/chat/{room}`.
            options: see `RouteOptions`. `deadline` bounds what comes before the conversation,
                which itself has none; `body_limit_bytes` bounds each message.
        """

        def declare(endpoint: F) -> F:
            route = self._declared(endpoint, pattern, ["GET"], options)
            self.routes.append(replace(route, kind="websocket"))
            return endpoint

        return declare

    def resource(  # noqa: PLR0913  # the rules of a resource, all named
        self,
        pattern: str,
        model: type[Any],
        *,
        out: type[Any],
        write: Sequence[str] | type[Any] = (),
        filter: Sequence[str] = (),  # noqa: A002  # read at the call
        sort: Sequence[str] = (),
        rows: Rows | None = None,
        given: Callable[[Principal], Mapping[str, Any]] | None = None,
        only: Sequence[str] = (),
        page: type[Any] | None = None,
        require_match: bool = False,
        allow_changes: Policy | None = None,
        **options: Unpack[RouteOptions],
    ) -> None:
        """List, create, read, update (PATCH) and delete the rows of a model.

        Args:
            pattern: of the list, such as `/books`; a single one is at `/books/{id}`.
            model: whose rows they are; it has one primary key.
            out: what is shown of a row; relations in it are loaded together.
            write: the only fields that a client can set: names of columns, or a struct with
                constraints of its own. Without any there is no create and no update.
            filter: columns that a list can be asked for: `?author_id=3`.
            sort: columns that a list can be ordered by, `?sort=-title`; the first is the
                order if none is asked for.
            rows: who may see and change which rows.
            given: values of a new row that the server sets, such as its owner; when there is
                one the principal may be None only if `allow_changes` lets in strangers.
            only: of `list`, `create`, `read`, `update` and `delete`; all by default.
            page: a class derived from `data.Page`, with other bounds.
            require_match: a change without `If-Match` is a 428.
            allow_changes: the policy of create, update and delete; `allow` by default.
            options: see `RouteOptions`; `name` and `summary` are the operations' own.
        """
        # SQLAlchemy is loaded by whoever has a model, and by nobody else.
        found = import_module("mainspring.http._resource").Resource(
            model=model, out=out, write=write, filters=filter, sorts=sort, rows=rows, given=given,
            page=page or import_module("mainspring.data").Page, require_match=require_match,
        )  # fmt: skip
        changing = options.copy()
        if allow_changes is not None:
            changing["allow"] = allow_changes
        for verb, (method, suffix) in _OPERATIONS.items():
            if (only and verb not in only) or (not write and verb in {"create", "update"}):
                continue
            handler = getattr(found, f"{verb}_handler")()
            chosen = options if method == "GET" else changing
            self.routes.append(self._declared(handler, pattern + suffix, [method], chosen))

    def mount(self, prefix: str, app: Any, **options: Unpack[RouteOptions]) -> None:
        """Let an ASGI application answer for everything below `prefix`, web sockets too.

        Routes of ours come first. The application sees the prefix as its `root_path`, and is
        started and stopped with ours.

        Args:
            prefix: such as `/legacy`, without a capture.
            app: the application.
            options: see `RouteOptions`. `deadline` bounds the time until its answer begins.
        """
        mounted = Mounted(app)
        route = self._declared(mounted, prefix.rstrip("/"), (), {"hidden": True, **options})
        self.routes.append(replace(route, kind="mount"))

    def static(
        self, prefix: str, folder: Path | str, *, allow: Policy | None = None
    ) -> StaticFiles:
        """Serve the files of a folder, such as `app.static("/static", "static", allow=anyone)`.

        `static_url("app.css")` of the application, or `url("app.css")` of what this returns,
        gives the address that browsers may keep for ever.
        """
        files = StaticFiles(folder)
        options = RouteOptions(hidden=True, deadline=None, name="static")
        if allow is not None:
            options["allow"] = allow
        pattern = f"{prefix.rstrip('/')}/{{path:path}}"
        self.routes.append(self._declared(files.answer, pattern, ["GET"], options))
        return files

    def include(self, router: Router, *, prefix: str = "") -> None:
        """Add another router's routes, under `prefix` as well as its own."""
        under = self.prefix + prefix.rstrip("/")
        for route in router.routes:
            self.routes.append(
                replace(
                    route,
                    pattern=under + route.pattern,
                    allow=route.allow or self.allow,
                    tags=(*self.tags, *route.tags),
                )
            )
