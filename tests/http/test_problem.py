"""Errors as problem documents."""

import msgspec
import pytest

from mainspring.app import App
from mainspring.auth import anyone
from mainspring.http import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Request,
    Response,
    Unauthorized,
    Violation,
)
from mainspring.settings import Settings
from tests.http.direct import application, ask, value


def raising(error: BaseException, **settings) -> App:
    app = application(**settings)

    @app.get("/", allow=anyone)
    async def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (BadRequest("why"), 400, "Bad Request"),
        (Unauthorized("why"), 401, "Unauthorized"),
        (Forbidden("why"), 403, "Forbidden"),
        (NotFound("why"), 404, "Not Found"),
        (Conflict("why"), 409, "Conflict"),
        (Problem(418, "why"), 418, "I'm a Teapot"),
        (Problem(599, "why"), 599, "Error"),
    ],
)
async def test_a_problem_is_a_document_with_the_id_of_the_request(error, status, title) -> None:
    response = await ask(raising(error), "GET", "/")
    document = value(response)
    assert response.status == status
    assert response.get_header("content-type") == "application/problem+json"
    assert len(document.pop("request_id")) == 32
    assert document == {"type": "about:blank", "title": title, "status": status, "detail": "why"}


async def test_a_problem_may_carry_facts_headers_and_a_kind_of_its_own() -> None:
    error = Problem(
        503, "later", code="shop.closed", headers={"Retry-After": "60"}, opens="9:00", doors=[1, 2]
    )
    response = await ask(raising(error), "GET", "/")
    assert response.get_header("retry-after") == "60"
    document = value(response)
    assert (document["type"], document["opens"], document["doors"]) == (
        "shop.closed",
        "9:00",
        [1, 2],
    )
    assert (await ask(raising(Unauthorized()), "GET", "/")).get_header(
        "www-authenticate"
    ) == "Bearer"


async def test_violations_are_listed_with_their_places() -> None:
    error = Invalid(
        [Violation("is taken", pointer="#/name"), Violation("is odd", parameter="page")]
    )
    document = value(await ask(raising(error), "GET", "/"))
    assert document["status"] == 422
    assert document["errors"] == [
        {"detail": "is taken", "pointer": "#/name"}, {"detail": "is odd", "parameter": "page"},
    ]  # fmt: skip
    short = value(await ask(raising(Invalid("is odd", pointer="#/name")), "GET", "/"))
    assert short["errors"] == [{"detail": "is odd", "pointer": "#/name"}]


async def test_an_unforeseen_error_says_nothing_of_itself_but_its_id() -> None:
    response = await ask(raising(ValueError("secret")), "GET", "/")
    assert response.status == 500
    assert b"secret" not in response.body
    assert value(response)["request_id"]
    debug = await ask(raising(ValueError("secret"), debug=True), "GET", "/")
    assert value(debug)["detail"] == "ValueError: secret"


async def test_an_application_translates_errors_by_their_class_and_those_below_it() -> None:
    class Sold(Exception): ...

    class SoldOut(Sold): ...

    app = raising(SoldOut("hats"))

    @app.on_error(Sold)
    def sold(error: Sold) -> Problem:
        return Conflict(f"no more {error}")

    response = await ask(app, "GET", "/")
    assert (response.status, value(response)["detail"]) == (409, "no more hats")


async def test_an_application_may_write_its_errors_in_a_form_of_its_own() -> None:
    def render(problem: Problem, _request: Request) -> Response:
        return Response(msgspec.json.encode({"oops": problem.status}), status=problem.status)

    app = App("test", settings=Settings(log_level="critical"), renderer=render)
    assert value(await ask(app, "GET", "/nowhere")) == {"oops": 404}


async def test_a_renderer_that_fails_does_not_end_the_connection() -> None:
    def render(_problem: Problem, _request: Request) -> Response:
        raise RuntimeError

    app = App("test", settings=Settings(log_level="critical"), renderer=render)
    response = await ask(app, "GET", "/nowhere")
    assert (response.status, value(response)["status"]) == (404, 404)
