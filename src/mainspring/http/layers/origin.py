"""Which web pages may open a web socket.

Browsers send cookies with the upgrade and let any page ask for it, without the questions that
CORS asks before other requests. So a socket is refused where the page comes from elsewhere.

Source: RFC 6455, section 10.2; OWASP, "Cross-Site WebSocket Hijacking".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mainspring.http._problem import Forbidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.http._request import Request


class Origins:
    """The origins from which a browser may open a web socket, beside the host's own.

    Args:
        hosts: allowed hosts, of any scheme and port; `*` adds nothing, since it says where
            the application is and not who is trusted.
        origins: exact ones, as `https://app.example.com`; `*` takes all that send no cookies.
    """

    def __init__(self, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self._hosts = frozenset(name.lower().lstrip(".") for name in hosts if name != "*")
        self._below = tuple(name.lower() for name in hosts if name.startswith("."))
        self._exact = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._any_without_cookies = "*" in origins

    def check(self, request: Request) -> None:
        """Raise `Forbidden` if a browser asks on behalf of a page from elsewhere.

        What sends no `Origin` is no browser, and could send whatever it likes.
        """
        sent = request.raw_headers.get(b"origin")
        if sent is not None and not self._trusts(sent.decode("latin-1").lower(), request):
            raise Forbidden("web sockets cannot be opened from this origin")

    def _trusts(self, origin: str, request: Request) -> bool:
        if origin in self._exact:
            return True
        if self._any_without_cookies and b"cookie" not in request.raw_headers:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        own = request.raw_headers.get(b"host", b"").decode("latin-1").lower()
        name = parts.hostname or ""
        same = bool(parts.netloc) and parts.netloc == own
        return same or name in self._hosts or (bool(name) and name.endswith(self._below or "\0"))
