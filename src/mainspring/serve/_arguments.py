"""The command line of `python -m mainspring.serve`, which other command lines may include."""

from __future__ import annotations

import argparse
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainspring.serve._config import Config
from mainspring.serve._limits import Limits
from mainspring.settings import span

if TYPE_CHECKING:
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's flags, with the names and defaults of Uvicorn, to a parser."""
    default = Config()
    parser.add_argument("--host", default=default.host, help="the address to listen on")
    parser.add_argument("--port", type=int, default=default.port, help="0 for any that is free")
    parser.add_argument("--uds", metavar="PATH", help="listen on a Unix socket instead")
    parser.add_argument("--fd", type=int, metavar="N", help="listen on an inherited socket instead")
    parser.add_argument(
        "--backlog",
        type=int,
        default=default.backlog,
        metavar="N",
        help="connections that wait in the kernel",
    )
    parser.add_argument(
        "--workers", type=int, default=default.workers, metavar="N", help="processes that serve"
    )
    parser.add_argument("--reload", action="store_true", help="restart when a file changes")
    parser.add_argument(
        "--reload-dir",
        action="append",
        default=[],
        dest="reload_folders",
        metavar="FOLDER",
        help="what is watched; may be said again; by default the working directory",
    )
    _add_trust(parser, default)
    _add_limits(parser)


def _add_trust(parser: argparse.ArgumentParser, default: Config) -> None:
    parser.add_argument(
        "--ssl-certfile", metavar="PATH", help="PEM; HTTPS is spoken if it is given"
    )
    parser.add_argument(
        "--ssl-keyfile", metavar="PATH", help="PEM of the key, if it is in another file"
    )
    parser.add_argument("--ssl-keyfile-password", metavar="TEXT", help="of the key")
    parser.add_argument(
        "--proxy-headers",
        action=argparse.BooleanOptionalAction,
        default=default.proxy_headers,
        help="believe X-Forwarded-For and X-Forwarded-Proto of the proxies below",
    )
    parser.add_argument(
        "--forwarded-allow-ips",
        default=",".join(default.forwarded_allow_ips),
        metavar="LIST",
        help="proxies that are believed: addresses and networks, separated by commas, or *",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("limits", "spans such as 10, 500ms, 2m; sizes in bytes")
    for field in fields(Limits):
        kind: Any = span if isinstance(field.default, timedelta) else int
        flags = [f"--limit-{field.name.replace('_', '-')}"]
        flags += _ALIASES.get(field.name, [])
        limits.add_argument(
            *flags,
            dest=f"limit_{field.name}",
            type=kind,
            default=field.default,
            metavar="N",
            help=_HELP.get(field.name),
        )


# What `Limits` says about each, in one line.
_HELP = {
    "header_deadline": "from the first byte of a request to the end of its headers",
    "keep_alive": "how long a connection may stay idle after an answer",
    "body_grace": "how long a body may be slower than the rate below",
    "body_rate_bytes": "what a body must bring each second",
    "write_stall": "how long an answer may wait for a reader who takes nothing",
    "header_bytes": "request line and headers together; beyond it 431",
    "header_count": "header lines; beyond it 431",
    "request_line_bytes": "beyond it 414",
    "trailer_bytes": "trailers of a chunked body; beyond it 431",
    "chunk_extension_bytes": "extensions of a body's chunks together; beyond it 400",
    "held_bytes": "read ahead of the handler, per connection",
    "turn": "pipelined requests before other connections get their turn",
    "half_close": "how long a request goes on after its client has sent its last byte",
    "connections": "open at once; 0 for as many as the process may have files",
    "requests": "after so many a worker is replaced; 0 for never",
    "requests_jitter": "up to so many more, chosen for each worker",
    "ping_interval": "how often a quiet web socket is asked whether its client is there",
    "ping_timeout": "how long the client may take to say so",
    "drain": "how long a stop waits for running requests",
    "drain_idle": "how long a stop waits for connections on which nothing happens",
}

# The names that Uvicorn has for the same things.
_ALIASES = {
    "keep_alive": ["--timeout-keep-alive"],
    "ping_interval": ["--ws-ping-interval"],
    "ping_timeout": ["--ws-ping-timeout"],
    "drain": ["--timeout-graceful-shutdown"],
    "connections": ["--limit-concurrency"],
    "requests": ["--limit-max-requests"],
    "requests_jitter": ["--limit-max-requests-jitter"],
}


def config_of(found: argparse.Namespace) -> Config:
    """The configuration that parsed arguments say.

    Raises:
        ConfigError: they contradict each other.
    """
    limits = Limits(**{f.name: getattr(found, f"limit_{f.name}") for f in fields(Limits)})
    allowed = tuple(ip.strip() for ip in found.forwarded_allow_ips.split(",") if ip.strip())
    return Config(
        host=found.host,
        port=found.port,
        uds=found.uds,
        fd=found.fd,
        backlog=found.backlog,
        workers=found.workers,
        reload=found.reload,
        reload_folders=tuple(found.reload_folders),
        ssl_certfile=found.ssl_certfile,
        ssl_keyfile=found.ssl_keyfile,
        ssl_keyfile_password=found.ssl_keyfile_password,
        proxy_headers=found.proxy_headers,
        forwarded_allow_ips=allowed,
        limits=limits,
    )


def parse(arguments: Sequence[str]) -> tuple[str, Config]:
    """The application's path and the configuration; ends the program on a wrong flag."""
    parser = argparse.ArgumentParser(
        prog="python -m mainspring.serve", description="Serve an application."
    )
    parser.add_argument("app", help="module:attribute, such as app:app")
    add_arguments(parser)
    found = parser.parse_args(arguments)
    return found.app, config_of(found)
