"""Pages from templates, and the addresses in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jinja2
import pytest

from mainspring.app import App
from mainspring.auth import anyone
from mainspring.http import (
    Html,
    Redirect,
    Request,
    Response,
    RouteError,
    Router,
    Template,
    UnknownPath,
    WebSocket,
)
from mainspring.http._jinja import TemplateError
from mainspring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def app() -> App:
    return App("test", settings=Settings(log_level="critical"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_all(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_html", ".html")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write_all


async def get(app: App, path: str, **options: Any) -> Response:
    request = Request("GET", path, headers={b"host": b"localhost"})
    for name, value in options.items():
        setattr(request, name, value)
    app.core.route(request)
    return await app.core.answer(request)


async def test_a_page_is_rendered_with_its_values(app: App, write: Callable[..., Path]) -> None:
    app.templates(
        write(
            page_html="{% extends 'layout.html' %}{% block body %}{{ note }}{% endblock %}",
            layout_html="<main>{% block body %}{% endblock %}</main>",
        )
    )

    @app.get("/", allow=anyone)
    async def page() -> Template:
        return Template("page.html", {"note": "Hello"}, status=201, headers={"X-Page": "1"})

    response = await get(app, "/")
    assert (response.status, response.body) == (201, b"<main>Hello</main>")
    assert response.get_header("content-type") == "text/html; charset=utf-8"
    assert response.get_header("x-page") == "1"
    assert response.get_header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("name", ["page_html", "page.txt", "page", "mail.xml"])
def test_values_are_escaped_in_every_file(app: App, write: Callable[..., Path], name: str) -> None:
    pages = app.templates(write(**{name: "{{ text }}|{{ text | tojson }}"}))
    shown = pages.render(name.replace("_html", ".html"), {"text": "<script>'&\""})
    assert "<" not in shown


def test_a_name_without_a_value_is_an_error(app: App, write: Callable[..., Path]) -> None:
    pages = app.templates(write(page_html="{% if user.name %}{% endif %}"))
    with pytest.raises(jinja2.UndefinedError, match="'user' is undefined"):
        pages.render("page.html", {})


async def test_templates_know_the_request_and_the_addresses(
    app: App, write: Callable[..., Path]
) -> None:
    app.template_globals["shop"] = "Spanners"
    app.templates(
        write(
            page_html="{{ request.path }} {{ path_for('note', id=3, tab='x&y') }}"
            " {{ shop }} {{ 'abc' | shout }}"
        ),
        filters={"shout": str.upper},
    )

    @app.get("/", allow=anyone)
    async def page() -> Template | Redirect:
        return Template("page.html")

    @app.get("/notes/{id:int}", allow=anyone)
    async def note(id: int) -> Template:  # noqa: A002
        return Template("page.html")

    response = await get(app, "/")
    assert response.body == b"/ /notes/3?tab=x%26y Spanners ABC"
    # Below a proxy or a mount the addresses begin with where the application is.
    response = await get(app, "/", root_path="/shop")
    assert b"/shop/notes/3" in response.body  # type: ignore[operator]


async def test_other_results_of_a_handler_that_renders_are_answers_as_ever(
    app: App, write: Callable[..., Path]
) -> None:
    app.templates(write(page_html="page"))

    @app.get("/away", allow=anyone)
    async def away() -> Template | Redirect:
        return Redirect("/")

    @app.get("/html", allow=anyone)
    async def html() -> Html:
        return Html("<p>")

    @app.get("/any", allow=anyone)
    async def unsaid(which: str):
        return Template("page.html") if which == "page" else {"a": 1}

    assert (await get(app, "/away")).status == 303
    assert (await get(app, "/html")).body == b"<p>"
    assert (await get(app, "/any", query_string=b"which=page")).body == b"page"
    assert (await get(app, "/any", query_string=b"which=json")).body == b'{"a":1}'


def test_a_template_that_cannot_be_read_stops_the_start(
    app: App, write: Callable[..., Path]
) -> None:
    app.templates(write(ok_html="x", broken_html="{% if %}"))
    with pytest.raises(TemplateError, match=r"broken\.html, line 1"):
        app.compile()


def test_a_template_that_uses_a_missing_one_stops_the_start(
    app: App, write: Callable[..., Path]
) -> None:
    app.templates(write(notes__page_html="{% include 'notes/lst.html' %}", notes__list_html="x"))
    with pytest.raises(TemplateError, match=r"page\.html uses the template 'notes/lst\.html'") as e:
        app.compile()
    assert e.value.fix == "did you mean 'notes/list.html'?"


def test_a_folder_that_does_not_exist_is_said_at_once(app: App, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no folder"):
        app.templates(tmp_path / "nowhere")


def test_a_missing_template_is_named_with_the_nearest(app: App, write: Callable[..., Path]) -> None:
    pages = app.templates(write(page_html="x"))
    with pytest.raises(TemplateError, match=r"no template 'pag\.html'") as error:
        pages.render("pag.html", {})
    assert error.value.fix == "did you mean 'page.html'?"
    with pytest.raises(TemplateError):
        pages.render("../secret.html", {})


def test_a_handler_of_templates_without_templates_stops_the_start(app: App) -> None:
    @app.get("/", allow=anyone)
    async def page() -> Template:
        return Template("page.html")

    with pytest.raises(RouteError, match="the application has none"):
        app.compile()


async def test_with_debug_a_change_is_seen_and_without_it_is_not(
    write: Callable[..., Path],
) -> None:
    shown = []
    for debug in (True, False):
        app = App("test", settings=Settings(log_level="critical", debug=debug))
        app.templates(write(page_html="one"))

        @app.get("/", allow=anyone)
        async def page() -> Template:
            return Template("page.html")

        first = await get(app, "/")
        os.utime(write(page_html="two and more") / "page.html", (1, 1))
        shown.append((first.body, (await get(app, "/")).body))
    assert shown == [(b"one", b"two and more"), (b"one", b"one")]


def test_the_first_folder_that_has_a_template_wins(app: App, tmp_path: Path) -> None:
    for folder in ("own", "shared"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.html").write_text(folder)
    (tmp_path / "shared" / "other.html").write_text("shared other")
    pages = app.templates(tmp_path / "own", tmp_path / "shared")
    assert (pages.render("page.html", {}), pages.render("other.html", {})) == (
        "own",
        "shared other",
    )


class TestPaths:
    @pytest.fixture
    def app(self, app: App) -> App:
        api = Router("/api/v1")

        @api.get("/items/{id}", allow=anyone)
        async def item(id: UUID) -> None: ...  # noqa: A002

        @api.get("/same/a", allow=anyone, name="same")
        async def first() -> None: ...

        @api.get("/same/b", allow=anyone, name="same")
        async def second() -> None: ...

        @app.get("/names/{name}", allow=anyone)
        async def named(name: str) -> None: ...

        @app.get("/files/{rest:path}", allow=anyone)
        async def files(rest: str) -> None: ...

        @app.websocket("/chat/{room}", allow=anyone)
        async def chat(socket: WebSocket, room: str) -> None: ...

        @app.get("/", allow=anyone)
        async def home() -> None: ...

        app.include(api)
        return app

    @pytest.mark.parametrize(
        ("name", "parameters", "path"),
        [
            ("home", {}, "/"),
            ("home", {"page": 2, "tag": ["a", "b"], "none": None}, "/?page=2&tag=a&tag=b"),
            ("named", {"name": "a b/".rstrip("/")}, "/names/a%20b"),
            ("named", {"name": "ä?#%"}, "/names/%C3%A4%3F%23%25"),
            ("files", {"rest": "a/b c.txt"}, "/files/a/b%20c.txt"),
            ("chat", {"room": "1"}, "/chat/1"),
            ("item", {"id": UUID(int=7)}, f"/api/v1/items/{UUID(int=7)}"),
        ],
    )
    def test_a_name_and_its_parameters_give_the_path(
        self, app: App, name: str, parameters: dict[str, Any], path: str
    ) -> None:
        assert app.path_for(name, **parameters) == path

    @pytest.mark.parametrize(
        ("name", "parameters", "what"),
        [
            ("hom", {}, "no route is named 'hom'"),
            ("same", {}, "several routes"),
            ("named", {}, "needs name="),
            ("named", {"name": ".."}, "cannot be name"),
            ("named", {"name": ""}, "cannot be name"),
            ("named", {"name": "a/b"}, "cannot be name"),
            ("item", {"id": "x"}, "cannot be id"),
        ],
    )
    def test_a_path_that_would_lead_elsewhere_is_an_error(
        self, app: App, name: str, parameters: dict[str, Any], what: str
    ) -> None:
        with pytest.raises(UnknownPath, match=what):
            app.path_for(name, **parameters)
