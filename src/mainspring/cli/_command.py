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
    def arguments(parser: Parser) -> None:
        """Declare what the command takes."""
        ...

    @staticmethod
    def run(options: argparse.Namespace, terminal: Terminal) -> int:
        """Do it."""
        ...


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of exiting, and suggests the nearest flag.

    Attributes:
        lacking: flags that people know from elsewhere, to what they should do instead.
    """

    def __init__(self, **options: Any) -> None:
        # An abbreviation that works today is ambiguous with the flag of tomorrow.
        super().__init__(allow_abbrev=False, **options)
        self.lacking: dict[str, str] = {}

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
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        if not word.startswith("-"):
            named = ":" in word and "--app" in known
            return UsageError(
                f"{self.prog} does not take an argument {word!r}",
                fix=f"--app {word}" if named else f"{self.prog} --help says what it takes",
            )
        name = word.partition("=")[0]
        if name in self.lacking:
            return UsageError(f"{self.prog} lacks {name}", fix=self.lacking[name])
        return UsageError(
            f"{self.prog} does not have an option {name}",
            fix=suggestion(name, known) or f"{self.prog} --help says what it takes",
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.prog}: {message}", fix=f"see {self.prog} --help")


def takes_application(parser: Parser) -> None:
    """Let a command be told where the application is."""
    parser.add_argument(
        "--app",
        metavar="MODULE:ATTRIBUTE",
        help="where the application is; by default what [tool.mainspring] of pyproject.toml says",
    )


def takes_json(parser: Parser) -> None:
    """Let a command answer a script."""
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")


def at_least_one(text: str) -> int:
    """The type of an argument that counts; argparse words the error with its name.

    Raises:
        ValueError: it is no number, or less than one.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


at_least_one.__name__ = "positive number"
