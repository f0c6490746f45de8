"""`mainspring version`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from mainspring import __version__
from mainspring.cli._command import OK

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal


def arguments(_parser: Parser) -> None:
    """Take nothing."""


def run(_options: argparse.Namespace, terminal: Terminal) -> int:
    """Say the versions that a report of a fault should name."""
    terminal.say(f"mainspring {__version__}")
    terminal.say(f"{platform.python_implementation()} {platform.python_version()}")
    return OK
