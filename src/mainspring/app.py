"""The composition root: settings, services, pipeline, and the callable that servers run.

`PIPELINE` is the map: what a request goes through, in order, one file each.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from mainspring import settings as settings_module
from mainspring.auth import anyone
from mainspring.errors import ConfigError
from mainspring.http import _asgi
from mainspring.http._binding import Provider
from mainspring.http._calls import Pools
from mainspring.http._compile import Compilation, compile_routes
from mainspring.http._core import Core
from mainspring.http._cursors import check_cursor_key, cursor_keys
from mainspring.http._docs import docs_policy, docs_routes
from mainspring.http._mount import Mounted
from mainspring.http._paths import Paths
from mainspring.http._problem import TRANSLATIONS, Problem, render
from mainspring.http._request import Request
from mainspring.http._router import Router
from mainspring.http._static import StaticError, StaticFiles
from mainspring.http._undeclared import UndeclaredPolicy
from mainspring.http.layers.compression import Compression
from mainspring.http.layers.cors import CrossOrigin
from mainspring.http.layers.deadline import bound
from mainspring.http.layers.decompression import decompressing
from mainspring.http.layers.origin import Origins
from mainspring.http.layers.permit import identify, permit
from mainspring.http.layers.protect import FOR_DATA, PROTECTIVE, Hosts, Protection
from mainspring.http.layers.transact import transact
from mainspring.observe import Logs, Watchdog
from mainspring.security import Cors
from mainspring.services import Services

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mainspring.auth import JwtProof, Proof, User
    from mainspring.data import Database, Session
    from mainspring.data._journal import Journal
    from mainspring.http._compile import Needs
    from mainspring.http._identity import Identity
    from mainspring.http._jinja import Templates
    from mainspring.http._pipeline import Layer
    from mainspring.http._response import Response
    from mainspring.http._routing import Route
    from mainspring.mail import Post
    from mainspring.settings import Settings

T = TypeVar("T")
Seeder = TypeVar("Seeder", bound="Callable[..., Awaitable[None]]")
E_ = TypeVar("E_", bound=BaseException)


class Progress(Protocol):
    """How far a seed function is; `mainspring seed` shows it."""

    def track(self, items: Iterable[T], title: str, *, total: int | None = None) -> Iterator[T]:
        """The items one by one, counted under `title`; `total` where `len` cannot say it."""
        ...


def _deadline(_app: App, route: Route, _needs: Needs) -> Layer | None:
    return None if route.deadline is None or route.in_place else bound(route.deadline)


def _transact(app: App, route: Route, needs: Needs) -> Layer | None:
    check_cursor_key(route, app.settings)
    # What is behind a socket or a mount may have answered already.
    attempts = route.attempts if route.kind == "http" else 1
    return transact(app.database, attempts=attempts) if needs.unit else None


def _identify(app: App, route: Route, needs: Needs) -> Layer | None:
    if app.identity is None:
        return None
    app.identity.check(route, principal=needs.principal)
    return identify(app.identity.identification) if needs.principal else None


def _permit(app: App, route: Route, _needs: Needs) -> Layer | None:
    if route.allow is anyone:
        return None
    challenge = "Bearer" if app.identity is None else app.identity.identification.challenge
    return permit(route.allow, challenge=challenge)


def _decompress(_app: App, route: Route, _needs: Needs) -> Layer | None:
    return decompressing if route.decompress else None


PIPELINE: tuple[Callable[[App, Route, Needs], Layer | None], ...] = (
    _deadline,
    _transact,
    _identify,
    _permit,
    _decompress,
)


class App(Router):
    """An application: routes, services, and everything that production needs around them.

    It is a router, because the smallest application is its routes and nothing else. It is
    also an ASGI application: any server can run it.

    Args:
        name: shown in logs and in the API description.
        version: of the API.
        description: of the API, for its description; CommonMark.
        settings: instead of those of the environment, which are read when it starts.
        renderer: how a problem becomes a response; `application/problem+json` by default.
        user: the application's own user, a subclass of `auth.User`.
        proofs: what a request may carry to say who is asking, in the order in which they are
            asked; by default access tokens, `Authorization: Bearer`.
        cors: what pages of other origins may do; by default what `CORS_ORIGINS` says.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "0.1.0",
        description: str = "",
        settings: Settings | None = None,
        renderer: Callable[[Problem, Request], Response] = render,
        user: type[User] | None = None,
        proofs: Sequence[Proof | JwtProof] | None = None,
        cors: Cors | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.version = version
        self.description = description
        self._settings = settings
        self.renderer = renderer
        self.services = Services()
        self.translations = dict(TRANSLATIONS)
        self.providers: dict[Any, Provider] = {Request: Provider(lambda request: request)}
        self.identity: Identity | None = None
        self._user = user
        self._proofs = proofs
        self._cors = cors
        self._static_files: list[StaticFiles] = []
        self._database: Database | None = None
        self._journal: Journal | None = None
        self._mail: Post | None = None
        self.seeder: Callable[..., Awaitable[None]] | None = None
        self.template_globals: dict[str, Any] = {}
        self._pages: Templates | None = None
        self._paths: Paths | None = None
        self._logs: Logs | None = None
        self._core: Core | None = None
        self._pools: Pools | None = None

    @property
    def settings(self) -> Settings:
        """The settings, read once."""
        if self._settings is None:
            self._settings = settings_module.load()
        return self._settings

    @property
    def database(self) -> Database:
        """The database of `DATABASE_URL`; connects when something needs it."""
        if self._database is None:
            data = import_module("mainspring.data")
            cursors = data.Cursors(cursor_keys(self.settings))
            database: Database = data.Database(self.settings.database_url, cursors=cursors)
            self._database = database
        return self._database

    @property
    def journal(self) -> Journal:
        """What makes effects happen after the commit; used before the start, it starts too."""
        if self._journal is None:
            self._journal = import_module("mainspring.data._journal").Journal(self.database)
        return cast("Journal", self._journal)

    @property
    def mail(self) -> Post:
        """What carries mail, as `MAIL_URL` has it; raises MailUrlError if it says nothing."""
        if self._mail is None:
            made: Post = import_module("mainspring.http._mail").post(self)
            self._mail = made
        return self._mail

    def add_database(self, session: type[Session], url: str) -> None:
        """Give handlers that ask for `session`, a class of its own, one of another database."""
        databases = import_module("mainspring.http._databases")
        self.providers[session] = databases.database_of(session, url, self.services)

    def provide(
        self,
        kind: type[T],
        factory: Callable[[], AbstractAsyncContextManager[T]],
        **options: Any,
    ) -> None:
        """Give handlers that ask for `kind` the value that `factory` opened at start."""
        self.services.provide(kind, factory, **options)
        get = self.services.get
        self.providers[kind] = Provider(lambda _: get(kind))

    def on_error(
        self, kind: type[E_]
    ) -> Callable[[Callable[[E_], Problem]], Callable[[E_], Problem]]:
        """Answer errors of a class with the problem that the decorated function makes."""

        def declare(translate: Callable[[E_], Problem]) -> Callable[[E_], Problem]:
            self.translations[kind] = translate
            return translate

        return declare

    def seed(self, function: Seeder) -> Seeder:
        """Let `mainspring seed` fill the database with the decorated function.

        It gets what it asks for by type: a `Session`, whose unit of work is committed at its
        end, a `Progress`, and the application's services. Running it twice should do no harm,
        and only the function can see to that.

        Raises:
            ConfigError: another function is the application's seed already.
        """
        if self.seeder is not None:
            raise ConfigError(
                f"the seed data of {self.name} is declared twice: by"
                f" {self.seeder.__qualname__} and {function.__qualname__}",
                fix="call one from the other",
            )
        self.seeder = function
        return function

    def templates(
        self,
        *folders: str | Path,
        filters: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Templates:
        """Say where the templates of `Template("page.html", …)` are.

        All of them are read at start. With `DEBUG` they are read again when they change.

        Args:
            folders: the first that has a template wins.
            filters: functions for `{{ value | name }}`.

        Returns:
            What renders them, for mail and other texts that are no answers.

        Raises:
            TemplateError: a folder does not exist.
        """
        # Jinja takes 20 ms to load, which only applications with templates should pay.
        jinja = import_module("mainspring.http._jinja")
        self.template_globals["path_for"] = jinja.bound_path_for(self.path_for)
        self.template_globals.setdefault("static_url", self.static_url)
        pages: Templates = jinja.Templates(folders, reload=self.settings.debug, filters=filters)
        self._pages = pages
        return pages

    def path_for(self, name: str, /, **parameters: Any) -> str:
        """The path of a route, such as `/notes/3` for `path_for("read_note", id=3)`.

        Args:
            name: of the route, which is its handler's unless it has another.
            parameters: of the pattern; all others become the query.

        Raises:
            UnknownPath: no route, or several, have the name; a parameter is missing or would
                not come back as the same value.
        """
        if self._paths is None:
            self._paths = Paths(self.core.declared)
        return self._paths.path_for(name, **parameters)

    def compile(self) -> Core:
        """Check every declaration and compose every pipeline; opens nothing.

        Raises:
            UndeclaredPolicy: a route does not say who may use it; names all of them.
            RouteError: a route cannot be bound.
            TemplateError: a template cannot be read, or uses one that does not exist.
        """
        bare = [route for route in self.routes if route.allow is None]
        if bare:
            raise UndeclaredPolicy(bare)
        self._static_files.clear()
        self._provide_accounts()
        self._provide_data()
        settings = self.settings
        cross_origin = self._cross_origin()
        constant = cross_origin.constant if cross_origin else ()
        docs = docs_routes(self.describe, policy=docs_policy(settings), taken=self.routes)
        docs += self._provide_mail()
        self._pools = Pools(threads=settings.threads, processes=settings.processes)
        shared = Compilation(
            providers=self.providers,
            pools=self._pools,
            steps=tuple(_step(self, decide) for decide in PIPELINE),
            deadline=settings.deadline,
            body_limit_bytes=settings.body_limit_bytes,
            common=(*FOR_DATA, *constant),
            vary=("accept-encoding", *(cross_origin.vary if cross_origin else ())),
            pages=self._pages,
            database=lambda: self.database,
        )
        if self._pages is not None:
            self._pages.check(self.template_globals)
        self._logs = Logs.of(settings)
        self._paths = None
        self._core = Core(
            compile_routes([*map(self._with_files, self.routes), *docs], shared),
            hosts=Hosts(settings.allowed_hosts or _default_hosts(settings)),
            origins=Origins(settings.allowed_hosts, settings.cors_origins),
            protection=Protection((*PROTECTIVE, *constant)),
            cross_origin=cross_origin,
            compression=Compression() if settings.compression else None,
            translations=self.translations,
            renderer=self.renderer,
            sinks=(self._logs.request_sink(),) if self._logs.writes("info") else (),
            debug=settings.debug,
        )
        return self._core

    def _with_files(self, route: Route) -> Route:
        """The route; one of static files has looked at them, and in development does again."""
        files = getattr(route.endpoint, "__self__", None)
        if not isinstance(files, StaticFiles):
            return route
        files.scan(route.pattern.removesuffix("/{path:path}"))
        self._static_files.append(files)
        return replace(route, endpoint=files.answer_fresh) if self.settings.debug else route

    def static_url(self, name: str) -> str:
        """The address of a static file that changes with its content, for templates.

        Args:
            name: its path below the folder, such as `css/app.css`; of several folders the one
                that was declared first and has it.

        Raises:
            StaticError: there is no such file, or the application has not started.
        """
        for files in self._static_files:
            if files.has(name):
                return files.url(name)
        raise StaticError(
            f"there is no static file {name!r}",
            fix="declare its folder with app.static(…), and look at the names in it",
        )

    def _cross_origin(self) -> CrossOrigin | None:
        rules = self._cors or Cors(origins=self.settings.cors_origins)
        return CrossOrigin(rules) if rules.origins else None

    def describe(self) -> dict[str, Any]:
        """The OpenAPI document of the API."""
        # Read by few, and never before the first of them asks.
        openapi = import_module("mainspring.http._openapi")
        identity = self.identity
        about = openapi.Description(
            title=self.name,
            version=self.version,
            description=self.description,
            scheme="" if identity is None else identity.identification.challenge,
            principals=frozenset(k for k, given in self.providers.items() if given.principal),
            problems=self.renderer is render,
        )
        found: dict[str, Any] = openapi.document(self.core.declared, about)
        return found

    def _provide_data(self) -> None:
        # SQLAlchemy is half of the time and memory of a start. A handler can ask for a
        # session only if somebody has imported it, so whoever has no data pays nothing.
        data = sys.modules.get("mainspring.data")
        if data is not None:
            problems = import_module("mainspring.http._data_problems")
            self.translations = problems.TRANSLATIONS | self.translations
            self.providers[data.Session] = Provider(lambda request: request.unit.session, unit=True)

    def _provide_mail(self) -> list[Route]:
        if "mainspring.mail" not in sys.modules:
            return []
        given: tuple[dict[Any, Provider], list[Route]]
        given = import_module("mainspring.http._mail").provide(self, lambda: self.mail)
        self.providers |= given[0]
        return given[1]

    def _provide_accounts(self) -> None:
        # The same holds for users, except that a policy or an argument can ask for them too.
        if not (
            self._user is not None
            or self._proofs is not None
            or "mainspring.auth._user" in sys.modules
            or any(route.allow.needs_principal for route in self.routes)
        ):
            return
        auth = import_module("mainspring.auth")
        if not self.services.knows(auth.Passwords):
            self.provide(auth.Passwords, auth.Passwords)
        identity: Identity = import_module("mainspring.http._identity").identity(
            self._user or auth.User,
            [auth.JwtProof()] if self._proofs is None else self._proofs,
            name=self.name,
            settings=self.settings,
            services=self.services,
            read=lambda: self.database.unit(write=False),
        )
        self.identity = identity
        self.providers |= identity.providers
        problems = import_module("mainspring.http._account_problems")
        self.translations = problems.TRANSLATIONS | self.translations

    @property
    def core(self) -> Core:
        """The compiled application, which is what a server calls."""
        return self._core or self.compile()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Core]:
        """Compile, open every service, and close them again at the end."""
        # Files are looked at and modules imported, which is not for the loop.
        core = self._core
        if core is None:
            core = await asyncio.to_thread(self.compile)
        async with AsyncExitStack() as stack:
            self._open_logs(stack)
            self._watch_statements(stack)
            await stack.enter_async_context(Watchdog(after=self.settings.blocked_loop_after))
            stack.callback(self._close_pools)
            stack.push_async_callback(self._close_database)
            stack.push_async_callback(self.services.close)
            await self.services.open()
            if self._journal is not None and self.settings.relay:
                await stack.enter_async_context(self._journal)
            for mounted in {route.endpoint for route in self.routes}:
                if isinstance(mounted, Mounted):
                    await stack.enter_async_context(mounted.running())
            yield core

    def _open_logs(self, stack: AsyncExitStack) -> None:
        if self._logs is not None:
            self._logs.open()
            # The writer's last lines may wait for the disk, and the loop must not.
            stack.push_async_callback(asyncio.to_thread, self._logs.close)

    def _watch_statements(self, stack: AsyncExitStack) -> None:
        mode = self.settings.repeated_statements or ("warning" if self.settings.debug else "off")
        if mode != "off" and "mainspring.data" in sys.modules:
            stack.callback(import_module("mainspring.data._repeats").watch(mode))

    async def _close_database(self) -> None:
        # The pipelines hold the database, so the next run compiles anew.
        mail, self._mail, self._journal = self._mail, None, None
        if mail is not None:
            await mail.close()
        database, self._database, self._core = self._database, None, None
        if database is not None:
            await database.close()

    def _close_pools(self) -> None:
        if self._pools is not None:
            self._pools.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an ASGI application."""
        if scope["type"] == "http":
            await _asgi.answer(self.core, scope, receive, send)
        else:
            await _asgi.connect(self, scope, receive, send)


def _step(
    app: App, decide: Callable[[App, Route, Needs], Layer | None]
) -> Callable[[Route, Needs], Layer | None]:
    return lambda route, needs: decide(app, route, needs)


def _default_hosts(settings: Settings) -> tuple[str, ...]:
    return ("*",) if settings.debug else ("localhost", "127.0.0.1", "::1", "testserver")
