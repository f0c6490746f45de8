"""What a command is, and how its arguments are read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from mainspring.cli._errors import UsageError
from mainspring.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.cli._terminal import Terminal

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2


class Command(Protocol):
    """A module of this package whose name has no underscore.

    Promises: importing it is cheap; `run` returns the exit status and raises
    `MainspringError` for what the caller can put right.
    """

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare what the command takes."""
        ...

    @staticmethod
    def run(options: argparse.Namespace, terminal: Terminal) -> int:
        """Do it."""
        ...


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of exiting, and suggests the nearest flag."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation that works today is ambiguous with the flag of tomorrow.
        super().__init__(allow_abbrev=False, **options)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options that the words say.

        Raises:
            UsageError: a word is not known, is missing, or has a bad value.
        """
        options, unknown = self.parse_known_args(words)
        if unknown:
            raise self._unknown(unknown[0])
        return options

    def _unknown(self, word: str) -> UsageError:
        name = word.partition("=")[0]
        what = f"an option {name}" if word.startswith("-") else f"an argument {word!r}"
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        return UsageError(
            f"{self.prog} does not have {what}",
            fix=suggestion(name, known) or f"{self.prog} --help lists what it takes",
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.prog}: {message}", fix=f"see {self.prog} --help")


def takes_application(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where the application is."""
    parser.add_argument(
        "--app",
        metavar="MODULE:ATTRIBUTE",
        help="where the application is; by default what [tool.mainspring] of pyproject.toml says",
    )


def takes_json(parser: argparse.ArgumentParser) -> None:
    """Let a command answer a script."""
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")
