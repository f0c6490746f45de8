"""What production asks of the settings: pure rows, each passed or a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mainspring.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mainspring.settings import Settings

_NEW_KEY: Final = 'python -c "import secrets; print(secrets.token_hex())"'


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at.

    Attributes:
        passed: what is true when nothing is wrong.
        finding: what is wrong.
    """

    passed: str
    finding: Finding | None = None


def deployment(settings: Settings, *, development: Mapping[str, str]) -> Iterator[Row]:
    """Whether the settings are fit for production.

    Args:
        settings: those that the application would run with.
        development: what `.env` says, which must not be what production uses.
    """
    for passed, look in _ROWS.items():
        yield Row(passed, look(settings, development))


def _debug(settings: Settings, _development: Mapping[str, str]) -> Finding | None:
    if not settings.debug:
        return None
    return Finding(
        "deploy.debug",
        "DEBUG is on: answers show what failed inside, and every host name is answered",
        "unset DEBUG, or set it to 0",
    )


def _secret_key(settings: Settings, development: Mapping[str, str]) -> Finding | None:
    key = settings.secret_key.reveal()
    if not key:
        return Finding(
            "deploy.secret-key",
            "SECRET_KEY is not set: tokens and cookies cannot be signed",
            f"set it to what this prints: {_NEW_KEY}",
        )
    if key == development.get("SECRET_KEY"):
        return Finding(
            "deploy.secret-key",
            "SECRET_KEY is the one of .env: whoever has the development key can sign tokens",
            f"give production its own: {_NEW_KEY}",
        )
    if len(set(key)) < _VARIETY:
        return Finding(
            "deploy.secret-key",
            "SECRET_KEY repeats so few characters that it can be guessed",
            f"set it to what this prints: {_NEW_KEY}",
        )
    return None


# A random key of 32 hexadecimal digits has fewer different ones than this once in ten million.
_VARIETY: Final = 6


def _hosts(settings: Settings, _development: Mapping[str, str]) -> Finding | None:
    if not settings.allowed_hosts:
        return Finding(
            "deploy.allowed-hosts",
            "ALLOWED_HOSTS is not set: only loopback is answered",
            "set it to the names that clients use, such as shop.example,.shop.example",
        )
    if "*" in settings.allowed_hosts:
        return Finding(
            "deploy.allowed-hosts",
            "ALLOWED_HOSTS is *: links in answers can be made to point to any host",
            "list the names that clients use",
        )
    return None


def _database(settings: Settings, _development: Mapping[str, str]) -> Finding | None:
    scheme, _, path = settings.database_url.partition(":///")
    if scheme.partition("+")[0] != "sqlite" or path.startswith("/"):
        return None
    return Finding(
        "deploy.database",
        f"DATABASE_URL is {settings.database_url}: the data is in the folder of the program,"
        " which the next release may replace",
        "set DATABASE_URL to a server, or to an absolute path: sqlite:////var/lib/shop/app.db",
    )


def _proxies(settings: Settings, _development: Mapping[str, str]) -> Finding | None:
    if "*" not in settings.forwarded_allow_ips:
        return None
    return Finding(
        "deploy.forwarded-allow-ips",
        "FORWARDED_ALLOW_IPS is *: any client can claim any address and scheme",
        "list the addresses of the proxies, unless nothing but them can reach the server",
    )


_ROWS: Final[dict[str, Callable[[Settings, Mapping[str, str]], Finding | None]]] = {
    "DEBUG is off": _debug,
    "SECRET_KEY is production's own": _secret_key,
    "ALLOWED_HOSTS names the hosts": _hosts,
    "the data is outside of the program's folder": _database,
    "only known proxies are believed": _proxies,
}
