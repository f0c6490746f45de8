"""From a configuration to running processes."""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.errors import MainspringError
from mainspring.serve._application import load_application
from mainspring.serve._process import run_loop, say, serve

if TYPE_CHECKING:
    from mainspring.serve._config import Config


def run(app_path: str, *, config: Config) -> None:
    """Serve the application until a signal ends it.

    Args:
        app_path: `module:attribute`.
        config: everything else.

    Raises:
        SystemExit: with status 1 if it could not start; the reason was printed.
    """
    _raise_file_limit()
    try:
        if config.supervised:
            from mainspring.serve._supervisor import Supervisor  # noqa: PLC0415  # not in a worker

            asyncio.run(Supervisor(app_path, config).run())
        else:
            run_loop(serve(load_application(app_path), config))
    except MainspringError as exc:
        say(str(exc))
        raise SystemExit(1) from None


def _raise_file_limit() -> None:
    # The soft limit of 1,024 is for programs that use select(); ours may have what is allowed.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
