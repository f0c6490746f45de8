"""The `mainspring` command: one file per command, imported when it is called."""

from mainspring.cli._main import main

__all__ = ["main"]
