"""An error as a person reads it: what happened, where in their code, what to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mainspring.cli._command import FAILED, USAGE
from mainspring.cli._errors import BrokenApplication, UsageError
from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from traceback import StackSummary
    from types import TracebackType

    from mainspring.cli._terminal import Terminal

# pathlib would cost the milliseconds that a command without an error does not have to pay.
_OURS: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120
_MACHINERY: Final = (_OURS, "<frozen ", os.path.dirname(os.__file__) + os.sep + "importlib")  # noqa: PTH120


def report(error: Exception, terminal: Terminal, *, whole: bool) -> int:
    """Tell of an error on the error stream, and return the exit status.

    Args:
        error: what ended the command.
        terminal: where to.
        whole: with every frame, for whoever looks for a fault of the framework.
    """
    terminal.out.flush()
    if isinstance(error, MainspringError) and not whole:
        _brief(error, terminal)
    else:
        terminal.err.write(traceback_of(error, whole=whole))
    return USAGE if isinstance(error, UsageError) else FAILED


def _brief(error: MainspringError, terminal: Terminal) -> None:
    if isinstance(error, BrokenApplication) and error.__cause__ is not None:
        terminal.err.write(traceback_of(error.__cause__, whole=False))
    terminal.note(f"{terminal.paint('error:', 'red', 'bold', err=True)} {error.what}")
    lines = {
        "at": _place(error.__traceback__),
        "fix": error.fix,
        "more": f"mainspring explain {error.code}",
    }
    for name, text in lines.items():
        if text:
            terminal.note(f"  {terminal.paint(f'{name}:'.ljust(5), 'dim', err=True)} {text}")


def traceback_of(error: BaseException, *, whole: bool) -> str:
    """The error with its frames; without those of the framework, unless there are no others."""
    from traceback import TracebackException  # noqa: PLC0415  # only an error pays for it

    told = TracebackException.from_exception(error)
    part = None if whole else told
    while part is not None:
        part.stack = _trimmed(part.stack)
        part = part.__cause__ or part.__context__
    return "".join(told.format())


def _trimmed(stack: StackSummary) -> StackSummary:
    theirs = [frame for frame in stack if not frame.filename.startswith(_MACHINERY)]
    return type(stack).from_list(theirs) if theirs else stack


def _place(frames: TracebackType | None) -> str:
    """The innermost line of the user's own code that led to the error; empty if none did."""
    found = ""
    here = os.getcwd() + os.sep  # noqa: PTH109  # as above
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        inside = filename.startswith(here) and "site-packages" not in filename
        if inside and not filename.startswith(_MACHINERY):
            found = f"{filename.removeprefix(here)}:{frames.tb_lineno}"
        frames = frames.tb_next
    return found
