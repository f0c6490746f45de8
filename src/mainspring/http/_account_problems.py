"""What accounts raise, as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.auth import BadCredentials, HashingBusy, Taken, Unacceptable
from mainspring.http._problem import Conflict, Invalid, Problem, Unauthorized, Violation

if TYPE_CHECKING:
    from collections.abc import Callable


def _bad_credentials(error: BadCredentials) -> Problem:
    # RFC 6750, section 3.1: the challenge says what is wrong with what was sent.
    challenge = f'{error.scheme or "Bearer"} error="invalid_token"'
    return Unauthorized(error.what, challenge=challenge, code=error.code)


def _busy(error: HashingBusy) -> Problem:
    seconds = max(1, round(error.retry_after.total_seconds()))
    return Problem(
        503, "try again in a moment", code=error.code, headers={"retry-after": str(seconds)}
    )


def _taken(error: Taken) -> Problem:
    wrong = (Violation("is taken", pointer=f"#/{error.field}"),)
    return Conflict(error.what, code=error.code, errors=wrong)


TRANSLATIONS: dict[type[BaseException], Callable[[Any], Problem | None]] = {
    BadCredentials: _bad_credentials,
    HashingBusy: _busy,
    Taken: _taken,
    Unacceptable: lambda error: Invalid(error.detail, pointer=f"#/{error.field}"),
}
