"""`mainspring serve`: the application for others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mainspring import settings as settings_module
from mainspring.cli._command import OK, takes_application
from mainspring.cli._project import Project, find_project, load
from mainspring.cli._serving import configured, takes_server
from mainspring.serve import run as serve_until_stopped

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.serve import Config


def arguments(parser: Parser) -> None:
    """Take the application and what the server can be told."""
    takes_application(parser)
    takes_server(parser)


def run(options: argparse.Namespace, _terminal: Terminal) -> int:
    """Serve until a signal ends it."""
    project = find_project(options.app)
    project.enter()
    config = prepared(project, options)
    serve_until_stopped(project.target, config=config)
    return OK


def prepared(project: Project, options: argparse.Namespace) -> Config:
    """The server's configuration, after what can be known to be wrong has been.

    What it decides for the application goes into the environment, where every worker of the
    server finds it.
    """
    if options.log_level:
        os.environ["LOG_LEVEL"] = options.log_level
    settings = settings_module.load()
    config = configured(options, settings)
    if not config.supervised:
        # This process will serve, so its import is the one that counts, and what fails
        # in it is told here better than by a server.
        load(project).compile()
    return config
