"""Headers of every answer, allowed hosts: what holds before a route is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mainspring.http._problem import BadRequest
from mainspring.http._response import Header, header_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.http._request import Request

PROTECTIVE: Final = header_pairs(
    [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
    ]
)
"""What every answer carries unless it says otherwise (OWASP HTTP Headers Cheat Sheet)."""

FOR_DATA: Final = PROTECTIVE[:1]
"""What JSON carries of it. The rest is about documents: with `nosniff` no browser makes one of
JSON, and what is no document has no frame, no opener and sends no referrer (OWASP REST Security
Cheat Sheet, "Security headers")."""

# A name or a bracketed address, and a port: what RFC 3986 allows and anybody uses.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class Hosts:
    """The names that the application answers to.

    Args:
        allowed: exact names, or `.example.com` for a name and all below it; `*` for any.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._any = "*" in allowed
        self._exact = {name.lower().lstrip(".") for name in allowed}
        self._below = tuple(name.lower() for name in allowed if name.startswith("."))
        self._known: set[bytes] = set()

    def check(self, request: Request) -> None:
        """Raise `BadRequest` unless the request's host is one of them."""
        raw = request.raw_headers.get(b"host")
        if raw is None:
            if self._any or request.http_version == "1.0":
                return
            raise BadRequest("the request has no Host")
        if raw not in self._known:
            self._admit(raw)

    def _admit(self, raw: bytes) -> None:
        if not _HOST.fullmatch(raw):
            raise BadRequest("the Host header is not a host")
        if not self._any:
            name = _without_port(raw.decode("ascii").lower())
            if name not in self._exact and not name.endswith(self._below or ("\0",)):
                raise BadRequest("this host is not served here")
        if len(self._known) < _KNOWN_LIMIT:
            self._known.add(raw)


_KNOWN_LIMIT: Final = 128


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


class Protection:
    """Adds the protective headers to answers that were not made with them."""

    def __init__(self, headers: tuple[Header, ...] = PROTECTIVE) -> None:
        self.headers = headers
        self._frozen: dict[tuple[Header, ...], tuple[Header, ...]] = {}

    def apply(
        self, headers: tuple[Header, ...] | list[Header]
    ) -> tuple[Header, ...] | list[Header]:
        """The headers with those that are missing; constant tuples stay constant."""
        if isinstance(headers, list):
            return self._merged(headers)
        merged = self._frozen.get(headers)
        if merged is None:
            merged = tuple(self._merged(headers))
            if len(self._frozen) < _KNOWN_LIMIT:
                self._frozen[headers] = merged
        return merged

    def _merged(self, headers: Sequence[Header]) -> list[Header]:
        names = {name for name, _ in headers}
        return [*headers, *(pair for pair in self.headers if pair[0] not in names)]
