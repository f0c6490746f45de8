"""The server's flags: Uvicorn's names, the environment's defaults, and what there is instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mainspring.serve._arguments import add_arguments, config_of

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.serve import Config
    from mainspring.settings import Settings

_BUILT_IN: Final = "leave it out: there is one, and it is built in"
_TLS: Final = "leave it out: TLS 1.2 or newer with OpenSSL's own choice of ciphers"
_CLIENT_CERTIFICATES: Final = "let a proxy in front ask clients for certificates"
_SOCKETS: Final = "leave it out: web sockets have bounds of their own"

LACKING: Final = {
    "--access-log": "leave it out: every request is one line of the log",
    "--app-dir": "give the command in the project's folder, or set PYTHONPATH",
    "--date-header": "leave it out: every answer has a Date, as RFC 9110 asks",
    "--env-file": "let whoever starts the process set its environment; .env is for development",
    "--factory": "name the App object itself with --app module:attribute",
    "--h11-max-incomplete-event-size": "say --limit-header-bytes",
    "--header": "add headers in the application, or in the proxy",
    "--http": _BUILT_IN,
    "--http2": "let a proxy in front speak HTTP/2 to clients",
    "--interface": "leave it out: other ASGI applications are mounted in the App",
    "--lifespan": "leave it out: the application opens and closes with the server",
    "--log-config": "say --log-level; lines are JSON, one an event",
    "--loop": "leave it out: uvloop is used where it is installed",
    "--reload-delay": _BUILT_IN,
    "--reload-exclude": "say --reload-dir for each folder that is to be watched",
    "--reload-include": "say --reload-dir for each folder that is to be watched",
    "--reset-contextvars": "leave it out: each request has a context of its own",
    "--root-path": "let the proxy pass the path as it is, and give the routes a prefix",
    "--server-header": "leave it out: answers do not tell what made them",
    "--ssl-ca-certs": _CLIENT_CERTIFICATES,
    "--ssl-cert-reqs": _CLIENT_CERTIFICATES,
    "--ssl-ciphers": _TLS,
    "--ssl-version": _TLS,
    "--timeout-worker-healthcheck": _BUILT_IN,
    "--use-colors": "leave it out: NO_COLOR decides, and a pipe gets none",
    "--ws": _BUILT_IN,
    "--ws-max-queue": _SOCKETS,
    "--ws-max-size": _SOCKETS,
    "--ws-per-message-deflate": _SOCKETS,
}
"""Flags of Uvicorn that this server does not have, and what to do instead."""

_FROM_SETTINGS: Final = ("host", "port", "workers", "forwarded_allow_ips")


def takes_server(parser: Parser) -> None:
    """Let a command be told how to serve; what is not said comes from the settings."""
    add_arguments(parser)
    parser.usage = "%(prog)s [options]"
    parser.set_defaults(**dict.fromkeys(_FROM_SETTINGS))
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error", "critical"], metavar="LEVEL",
        help="what is less urgent is not logged; LOG_LEVEL, or info",
    )  # fmt: skip
    parser.lacking = {**LACKING, **{f"--no-{n[2:]}": fix for n, fix in LACKING.items()}}


def configured(options: argparse.Namespace, settings: Settings) -> Config:
    """The server's configuration: flags, and where they say nothing the settings.

    Raises:
        ConfigError: they contradict each other.
    """
    for name in _FROM_SETTINGS:
        if getattr(options, name) is None:
            value = getattr(settings, name)
            setattr(options, name, ",".join(value) if isinstance(value, tuple) else value)
    return config_of(options)
