"""From the words of the command line to a command, and from what it raises to an exit status."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final, cast

from mainspring.cli._command import OK, Command, Parser
from mainspring.cli._errors import UsageError
from mainspring.cli._report import report
from mainspring.cli._terminal import Terminal
from mainspring.errors import suggestion

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

GROUPS: Final[dict[str, dict[str, str]]] = {
    "Start": {
        "new": "make a project that works",
        "dev": "run the application for development: reload, readable logs, SQLite",
        "serve": "run the application for others",
    },
    "Look": {
        "routes": "list every route with its policy and bounds",
        "check": "find what would stop the start; with --deploy also what is unfit for production",
        "shell": "a prompt with the application, a session and the models at hand",
        "explain": "explain the code of an error",
        "version": "say which Mainspring and which Python this is",
    },
    "Data": {
        "makemigrations": "write a migration from what changed in the models",
        "migrate": "bring the database to the newest migration, or to another one",
        "rollback": "undo the last migrations",
        "seed": "fill the database with the application's seed data",
        "relay": "make what was committed happen, such as sending mail, without serving",
        "journal": "look at what waits to happen, and try again what has failed",
    },
    "Accounts": {
        "createsuperuser": "make an account that may do everything",
    },
}
"""Every command by purpose, with the line that describes it; the module has its name."""

COMMANDS: Final = {name: line for group in GROUPS.values() for name, line in group.items()}

_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141
"""What a shell reports for a program that SIGINT or SIGPIPE ended: 128 and the signal's number."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: instead of those of the process.

    Returns:
        The exit status: 0 fine, 1 findings or a failure, 2 the words were not understood,
        130 interrupted, 141 the reader of a pipe has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A tick mark must not be what ends a command on an ASCII terminal.
            stream.reconfigure(errors="replace")
    terminal = Terminal()
    words = _leading_options_last(sys.argv[1:] if words is None else words)
    try:
        status = _dispatch(words, terminal)
        terminal.out.flush()
    except BrokenPipeError:
        _forget_output()
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        terminal.note()
        return _INTERRUPTED
    except Exception as exc:  # noqa: BLE001  # whatever it is, a person has to be told
        return report(exc, terminal, whole="--traceback" in words)
    return status


def _dispatch(words: Sequence[str], terminal: Terminal) -> int:
    name, rest = (words[0], words[1:]) if words else ("--help", [])
    if name in {"-h", "--help", "help"} and not rest:
        _help(terminal)
        return OK
    if name == "help":
        name, rest = rest[0], ["--help"]
    if name in {"-V", "--version"}:
        name = "version"
    if name not in COMMANDS:
        raise _unknown(name)
    command = cast("Command", import_module(f"mainspring.cli.{name}"))
    options = _read(name, command, rest)
    return OK if options is None else command.run(options, terminal)


def _read(name: str, command: Command, words: Sequence[str]) -> argparse.Namespace | None:
    """The command's options; None when help was asked for and has been given."""
    parser = Parser(prog=f"mainspring {name}", description=f"{COMMANDS[name].capitalize()}.")
    command.arguments(parser)
    parser.add_argument(
        "--traceback", action="store_true", help="show the whole traceback of an error"
    )
    try:
        return parser.read(words)
    except SystemExit as exc:  # how argparse ends after printing help
        if exc.code:
            raise
        return None


def _unknown(name: str) -> UsageError:
    is_option = name.startswith("-")
    known = ["--help", "--version", "--app", "--traceback"] if is_option else list(COMMANDS)
    return UsageError(
        f"mainspring does not have {'an option' if is_option else 'a command'} {name!r}",
        fix=suggestion(name, known) or "mainspring --help lists the commands",
    )


def _help(terminal: Terminal) -> None:
    terminal.say(f"{terminal.paint('Usage:', 'bold')} mainspring COMMAND [options]")
    wide = max(map(len, COMMANDS))
    for group, commands in GROUPS.items():
        terminal.say(f"\n{terminal.paint(group, 'bold')}")
        for name, line in commands.items():
            terminal.say(f"  {terminal.paint(name.ljust(wide), 'cyan')}  {line}")
    terminal.say("\nmainspring COMMAND --help says more. Exit status: 0 fine, 1 a finding or a")
    terminal.say("failure, 2 the command line was not understood.")


def _leading_options_last(words: Sequence[str]) -> list[str]:
    """`--app shop:app routes` as `routes --app shop:app`: both orders are in people's fingers."""
    rest, leading = list(words), []
    while rest and (rest[0] == "--traceback" or rest[0].partition("=")[0] == "--app"):
        count = 2 if rest[0] == "--app" else 1
        leading += rest[:count]
        del rest[:count]
    return [*rest[:1], *leading, *rest[1:]]


def _forget_output() -> None:
    # The interpreter flushes standard output once more at exit, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
