"""Settings: read once at the edge, frozen, and impossible to get wrong and start.

Sources, the later wins: defaults, `[tool.mainspring]` of `pyproject.toml`, `.env` (in
development only), the process environment. A name that nobody knows stops the start.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args, get_type_hints

from mainspring.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class SettingError(ConfigError):
    """A setting is unknown or has a value that cannot be read."""

    code = "settings.invalid"


class Secret:
    """Text that shows itself only when asked by name, so that no log or page can hold it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret('…')" if self._text else "Secret('')"

    __str__ = __repr__


Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
Repeats: TypeAlias = Literal["", "off", "metric", "warning", "error"]


def _plain(name: str, default: Any, *, read: Callable[[str], Any] | None = None) -> Any:
    """A setting whose environment name has no prefix, because the whole field uses it."""
    return field(default=default, metadata={"env": name, "read": read})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Everything that may differ from one deployment to the next.

    A field's environment variable is `MAINSPRING_<FIELD>` unless the field's own name is a
    convention, such as `DATABASE_URL`. Lists are separated by commas, spans are seconds or
    carry a unit (`10`, `500ms`, `2m`, `1h`), sizes are bytes or carry one (`1MiB`).
    """

    app: str = "app:app"
    """Where the application is: `module:attribute`."""

    debug: bool = _plain("DEBUG", default=False)
    """Development: readable logs, tracebacks in answers, `.env` is read."""
    secret_key: Secret = _plain("SECRET_KEY", Secret(""))
    """Signs tokens and cookies; at least 32 characters outside development."""
    secret_key_previous: Secret = _plain("SECRET_KEY_PREVIOUS", Secret(""))
    """The key before this one: what it signed is still accepted until it expires."""
    database_url: str = _plain("DATABASE_URL", "sqlite:///app.db")
    replica_database_url: str = _plain("REPLICA_DATABASE_URL", "")
    cache_url: str = _plain("CACHE_URL", "memory://")
    queue_url: str = _plain("QUEUE_URL", "")
    broker_url: str = _plain("BROKER_URL", "")
    redis_url: str = _plain("REDIS_URL", "")
    mail_url: str = _plain("MAIL_URL", "")
    """What carries mail: `smtp://…`, `smtps://…`, `file:…`, `console://`. Empty: `console://` in
    development, and none outside it."""
    mail_from: str = _plain("MAIL_FROM", "app@localhost")
    """Whom mail is from that does not say it itself."""
    allowed_hosts: tuple[str, ...] = _plain("ALLOWED_HOSTS", ())
    """Host names that are answered; `.example.com` takes subdomains too. Empty: any in
    development, and none but loopback outside it."""
    cors_origins: tuple[str, ...] = _plain("CORS_ORIGINS", ())
    """Exact origins of browsers that may read the answers; `*` for all, never with cookies."""
    log_level: Level = _plain("LOG_LEVEL", "info")
    """What is less urgent is not logged: `debug`, `info`, `warning`, `error` or `critical`."""
    sentry_dsn: Secret = _plain("SENTRY_DSN", Secret(""))
    otel_exporter_otlp_endpoint: str = _plain("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    no_color: bool = _plain("NO_COLOR", default=False, read=bool)
    """No colour on a terminal. Any text at all means yes, as no-color.org asks."""

    host: str = _plain("HOST", "127.0.0.1")
    port: int = _plain("PORT", 8000)
    workers: int = _plain("WEB_CONCURRENCY", 1)
    forwarded_allow_ips: tuple[str, ...] = _plain("FORWARDED_ALLOW_IPS", ("127.0.0.1",))
    """Peers whose `X-Forwarded-*` headers are believed."""

    docs: str = ""
    """Who may read the API description at `/docs` and `/openapi.json`: `anyone`, `signed_in`,
    the name of a role, or `off`. Empty: anyone in development, and `off` outside it."""
    deadline: timedelta = timedelta(seconds=10)
    """How long a request may take, unless its route says otherwise."""
    body_limit_bytes: int = 1024 * 1024
    """The largest request body, unless the route says otherwise."""
    compression: bool = True
    """Compress answers for clients that take it. Off where a proxy in front does so."""
    repeated_statements: Repeats = ""
    """What happens when one place sends a statement again and again in one unit of work: a
    `metric` (the event `data.repeated`), a `warning` in the log, an `error` at the statement,
    or `off`. Empty: `warning` in development, and `off` outside it."""
    threads: int = 40
    """Threads for `def` handlers, per process."""
    processes: int = 0
    """Processes for `cpu=True` handlers; 0 means one per core."""
    relay: bool = True
    """Let processes that serve make the journal's effects happen, such as sending mail. Off where
    `mainspring relay` does it alone."""
    blocked_loop_after: timedelta = timedelta(milliseconds=500)
    """How long the event loop may stand still before its stack is reported."""

    def __post_init__(self) -> None:
        if not self.debug and self.secret_key and len(self.secret_key.reveal()) < _SECRET_LENGTH:
            raise SettingError(
                f"SECRET_KEY is shorter than {_SECRET_LENGTH} characters",
                fix='take what this prints: python -c "import secrets; print(secrets.token_hex())"',
            )

    def __repr__(self) -> str:
        # The one place where a URL's password could reach a log by accident.
        shown = ((f.name, getattr(self, f.name)) for f in fields(self))
        parts = (
            f"{name}={without_password(value) if isinstance(value, str) else value!r}"
            for name, value in shown
        )
        return f"Settings({', '.join(parts)})"


def without_password(url: str) -> str:
    """The URL with `…` in the place of its password, fit for a log; other text as it is."""
    return _PASSWORD.sub(r"\1…\2", url)


_PASSWORD: Final = re.compile(r"^([a-z0-9+.-]+://[^/@:]*:).*(@[^@]*)$", re.IGNORECASE)
_SECRET_LENGTH: Final = 32
_PREFIX: Final = "MAINSPRING_"
_SEE: Final = "see docs/reference/settings.md"
# Not fields: read by tools before or beside the settings.
_RESERVED: Final = frozenset({"MAINSPRING_ENV_FILE"})


def load(
    environ: Mapping[str, str] | None = None, *, folder: Path | None = None, **override: Any
) -> Settings:
    """The settings of this process.

    Args:
        environ: instead of the process environment.
        folder: where `pyproject.toml` and `.env` are; the working directory by default.
        override: fields that a command line has already decided.

    Raises:
        SettingError: a name is unknown, or a value cannot be read as its type.
    """
    environ = os.environ if environ is None else environ
    folder = folder or Path.cwd()
    values = _from_pyproject(folder / "pyproject.toml")
    real = _from_environ(environ)
    debug = override.get("debug", real.get("debug", values.get("debug", False)))
    if debug:
        values |= _from_environ(read_env_file(folder / ".env"))
    return Settings(**(values | real | override))


def environment_name(field_name: str) -> str:
    """The environment variable of a field of `Settings`."""
    return _ENV_OF[field_name]


def read_env_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file; empty when there is none.

    Comments, blank lines, `export ` and matching quotes around a value are understood;
    nothing is interpolated. A comment after a value needs a space before its `#`.

    Raises:
        SettingError: a line is not of that form.
    """
    if not path.is_file():
        return {}
    pairs: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _ENV_LINE.fullmatch(line)
        if found is None:
            raise SettingError(
                f"{path}:{number}: expected NAME=value",
                fix="write one NAME=value a line, with both quotes or none around the value",
            )
        pairs[found["name"]] = found["plain"] if found["quote"] is None else found["quoted"]
    return pairs


_ENV_LINE: Final = re.compile(
    r"(export\s+)?(?P<name>\w+)\s*=\s*"
    r"((?P<quote>['\"])(?P<quoted>.*?)(?P=quote)|(?P<plain>(?!['\"]|(?<=\s)#).*?|))(\s+#.*)?"
)


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in environ.items():
        field_name = _FIELD_OF.get(name)
        if field_name is not None:
            found[field_name] = _read(name, text, field_name)
        elif name.startswith(_PREFIX) and name not in _RESERVED:
            # Without the prefix, which every unknown name shares with every known one.
            known = {env.removeprefix(_PREFIX): env for env in _FIELD_OF}
            raise SettingError(
                f"unknown setting {name}",
                fix=suggestion(name.removeprefix(_PREFIX), known) or _SEE,
            )
    return found


def _from_pyproject(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as exc:
        raise SettingError(f"{path} is not TOML: {exc}", fix="mend the line it names") from exc
    table = whole.get("tool", {}).get("mainspring", {})
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in _TYPES:
            raise SettingError(
                f"unknown setting {key!r} in [tool.mainspring] of {path}",
                fix=suggestion(name, _TYPES.keys()) or _SEE,
            )
        if _TYPES[name] is Secret:
            raise SettingError(
                f"{key!r} is a secret and does not belong in {path}",
                fix=f"set {_ENV_OF[name]} in the environment",
            )
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        found[name] = _read(key, text, name)
    return found


def _read(name: str, text: str, field_name: str) -> Any:
    kind = _TYPES[field_name]
    read = _READ_OF[field_name] or _READERS[kind]
    try:
        return read(text.strip())
    except (ValueError, KeyError, OverflowError):
        raise SettingError(
            f"{name}={text!r} is not {_EXPECTED[kind]}", fix=f"give {_EXPECTED[kind]}"
        ) from None


_FLAGS: Final = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False, "": False,
}  # fmt: skip
_SPANS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_SIZES: Final = {
    "": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3,
}  # fmt: skip


def _quantity(text: str) -> tuple[float, str]:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    number = float(digits)
    if not 0 <= number < math.inf:
        raise ValueError(text)
    return number, text[len(digits) :].strip().lower()


def span(text: str) -> timedelta:
    """`10`, `500ms`, `2m`, `1h`, `1d` as a span of time; a bare number is seconds.

    Raises:
        ValueError: it is not a number of a known unit, or negative.
    """
    number, unit = _quantity(text)
    return timedelta(seconds=number * _known(unit, _SPANS))


def _count(text: str) -> int:
    # A size is a count with an optional unit, so one reader serves every integer.
    number, unit = _quantity(text)
    size = number * _known(unit, _SIZES)
    if size != int(size):
        raise ValueError(text)
    return int(size)


def _known(unit: str, units: Mapping[str, float]) -> float:
    if unit not in units:
        raise ValueError(unit)
    return units[unit]


def _level(text: str) -> str:
    if text.lower() not in get_args(Level):
        raise ValueError(text)
    return text.lower()


def _repeats(text: str) -> str:
    if text.lower() not in get_args(Repeats):
        raise ValueError(text)
    return text.lower()


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READERS: Final[dict[Any, Any]] = {
    str: str,
    bool: lambda text: _FLAGS[text.lower()],
    int: _count,
    Level: _level,
    Repeats: _repeats,
    Secret: Secret,
    timedelta: span,
    tuple[str, ...]: _names,
}
_EXPECTED: Final[dict[Any, str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number, or a size such as 1MiB",
    Level: f"one of {', '.join(get_args(Level))}",
    Repeats: f"one of {', '.join(filter(None, get_args(Repeats)))}",
    Secret: "text",
    timedelta: "a span such as 10, 500ms or 2m",
    tuple[str, ...]: "a list separated by commas",
}

_TYPES: Final[dict[str, Any]] = {
    name: kind for name, kind in get_type_hints(Settings).items() if not name.startswith("_")
}
_ENV_OF: Final = {
    f.name: str(f.metadata.get("env") or _PREFIX + f.name.upper()) for f in fields(Settings)
}
_READ_OF: Final = {f.name: f.metadata.get("read") for f in fields(Settings)}
_FIELD_OF: Final = {env: name for name, env in _ENV_OF.items()}
