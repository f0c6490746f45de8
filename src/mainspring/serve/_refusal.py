"""What is answered to bytes that are not an acceptable request."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec


class Refusal(Exception):
    """The request cannot be served; the connection ends with a small answer.

    Where a message ends is not certain any more, so that nothing after it may be read as a
    request (RFC 9112, section 11.2).

    Attributes:
        status: of the answer.
        detail: what was wrong, without the client's own bytes.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    def __reduce__(self) -> tuple[type[Refusal], tuple[int, str]]:
        return Refusal, (self.status, self.detail)


_TITLES: Final = {status.value: status.phrase for status in HTTPStatus}


def title_of(status: int) -> str:
    """The standard phrase of a status (RFC 9110, section 15)."""
    return _TITLES.get(status, "")


def refusal_bytes(refusal: Refusal) -> bytes:
    """The whole answer as it goes on the wire."""
    status = refusal.status
    document = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": refusal.detail,
    }
    body = msgspec.json.encode(document)
    head = (
        f"HTTP/1.1 {status} {title_of(status)}\r\n"
        "content-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
