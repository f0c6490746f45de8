"""Which pages of other origins may read answers, and what they may send.

Source: WHATWG Fetch, section 3.3 (CORS protocol).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mainspring.errors import ConfigError

Header = tuple[str, str]
# As browsers write an origin: no path, no default port, no capitals, international names encoded.
_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class CorsError(ConfigError):
    """The rules for pages of other origins cannot be meant, or would be unsafe."""

    code = "security.cors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """The rules for pages of other origins; without any, browsers let none of them read.

    Nothing of a request is ever reflected: an origin is one of the list or it is not, and the
    lists of methods and headers are these.

    Attributes:
        origins: exact ones, such as `https://app.example.com`; `*` for all.
        methods: what such pages may call.
        headers: request headers that they may set beside the harmless ones.
        exposed: response headers that they may read beside the harmless ones.
        credentials: browsers send cookies along, and let pages read the answers.
        max_age: how long a browser may remember these rules.

    Raises:
        CorsError: credentials for all origins, or something that is no origin.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    headers: tuple[str, ...] = (
        "authorization", "content-type", "idempotency-key", "if-match", "if-none-match",
        "traceparent",
    )  # fmt: skip
    exposed: tuple[str, ...] = ("etag", "link", "location", "retry-after")
    credentials: bool = False
    max_age: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        if self.credentials and "*" in self.origins:
            raise CorsError(
                "CORS: credentials for every origin would let any page act as its visitor",
                fix="list the origins, or leave out credentials",
            )
        for origin in self.origins:
            if origin != "*":
                _check(origin)

    @property
    def everyone(self) -> bool:
        """Pages of all origins may read, so that answers do not depend on the origin."""
        return "*" in self.origins

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read answers."""
        return self.everyone or origin in self.origins

    def answer_headers(self, origin: str) -> list[Header]:
        """What an answer says to a page of `origin`; `Vary: Origin` is the caller's."""
        if not self.allows(origin):
            return []
        found = [("access-control-allow-origin", "*" if self.everyone else origin)]
        if self.credentials:
            found.append(("access-control-allow-credentials", "true"))
        if self.exposed:
            found.append(("access-control-expose-headers", ", ".join(self.exposed)))
        return found

    def preflight_headers(self, origin: str) -> list[Header]:
        """What the answer to a preflight says; empty for an origin that is not allowed."""
        found = [pair for pair in self.answer_headers(origin) if "expose" not in pair[0]]
        if found:
            found += [
                ("access-control-allow-methods", ", ".join(self.methods)),
                ("access-control-allow-headers", ", ".join(self.headers)),
                ("access-control-max-age", str(int(self.max_age.total_seconds()))),
            ]
        return found


def _check(origin: str) -> None:
    scheme, _, rest = origin.partition("://")
    default = _DEFAULT_PORTS.get(scheme, "/")
    if _ORIGIN.fullmatch(origin) is None or rest.endswith(default):
        meant = origin.lower().rstrip("/").removesuffix(default)
        fix = (
            f"write {meant!r}"
            if _ORIGIN.fullmatch(meant)
            else "write scheme://host or scheme://host:port"
        )
        raise CorsError(f"CORS: {origin!r} is not an origin as browsers send it", fix=fix)
