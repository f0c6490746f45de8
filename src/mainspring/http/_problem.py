"""Errors as answers: RFC 9457 problem details, and the only place where one becomes the other."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from mainspring.deadline import DeadlineExceeded
from mainspring.errors import MainspringError
from mainspring.http._response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.http._request import Request


class Problem(MainspringError):
    """An answer that says what went wrong: raise it anywhere below a route.

    Args:
        status: the HTTP status, 400 or above.
        detail: what happened this time, for a person.
        code: stable name of the kind of problem; `type` of the problem document points to it.
        headers: more headers of the answer, such as `Retry-After`.
        facts: further members of the problem document.

    Source: RFC 9457, section 3.
    """

    code: ClassVar[str] = "http.problem"

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        code: str = "about:blank",
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(detail or title_of(status))
        self.status = status
        self.detail = detail
        self.kind = code
        self.headers = dict(headers or {})
        self.facts = facts


class BadRequest(Problem):
    """400: the request makes no sense as it is."""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(400, detail, **facts)


class Unauthorized(Problem):
    """401: who is asking is not known, or the credentials are bad.

    Args:
        challenge: value of `WWW-Authenticate` (RFC 9110, section 11.6.1).
    """

    def __init__(self, detail: str = "", *, challenge: str = "Bearer", **facts: Any) -> None:
        headers = {"www-authenticate": challenge}
        super().__init__(401, detail or "sign in first", headers=headers, **facts)


class Forbidden(Problem):
    """403: who is asking is known and may not."""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(403, detail, **facts)


class NotFound(Problem):
    """404: there is no such thing, or the caller may not know of it."""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(404, detail, **facts)


class Conflict(Problem):
    """409: the state of things does not allow it now."""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(409, detail, **facts)


class Violation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with one part of a request.

    Attributes:
        detail: what is wrong, for a person.
        pointer: JSON Pointer (RFC 6901) into the body, as a URI fragment.
        parameter: name of the path, query, header or cookie parameter instead.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Invalid(Problem):
    """422: the request is well formed, and these parts of it are not acceptable."""

    def __init__(self, violations: Sequence[Violation] | str, *, pointer: str = "#") -> None:
        if isinstance(violations, str):
            violations = [Violation(violations, pointer=pointer)]
        count = len(violations)
        noun = "part" if count == 1 else "parts"
        super().__init__(422, f"{count} {noun} of the request cannot be accepted", code="invalid")
        self.violations = tuple(violations)
        self.facts = {"errors": self.violations}


_TITLES = {status.value: status.phrase for status in HTTPStatus}
_encode = msgspec.json.Encoder().encode
_HEADERS = ((b"content-type", b"application/problem+json"),)


def title_of(status: int) -> str:
    """The standard phrase of a status (RFC 9110, section 15)."""
    return _TITLES.get(status, "Error")


def render(problem: Problem, request: Request) -> Response:
    """The problem as `application/problem+json`: what an application may replace."""
    document: dict[str, Any] = {
        "type": problem.kind,
        "title": title_of(problem.status),
        "status": problem.status,
    }
    if problem.detail:
        document["detail"] = problem.detail
    document |= problem.facts
    document["request_id"] = request.id
    return Response(_encode(document), status=problem.status, frozen_headers=_HEADERS)


# What other layers raise, as an answer. An application adds to its own copy with `app.on_error`.
TRANSLATIONS: dict[type[BaseException], Callable[[Any], Problem | None]] = {
    DeadlineExceeded: lambda error: Problem(504, error.what, code=DeadlineExceeded.code),
}


def as_problem(
    error: Exception, translations: Mapping[type[BaseException], Callable[[Any], Problem | None]]
) -> Problem | None:
    """The problem that an error stands for; None if nobody foresaw it, which makes it a 500."""
    if isinstance(error, Problem):
        return error
    for kind in type(error).__mro__:
        translate = translations.get(kind)
        if translate is not None:
            return translate(error)
    return None
