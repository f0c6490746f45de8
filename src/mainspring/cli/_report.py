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
_STANDARD: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120
_PACKAGES: Final = f"{os.sep}site-packages{os.sep}"
_IMPORTING: Final = (_OURS, "<frozen ", f"{_STANDARD}importlib")


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
    """The error with its frames: of the user's own code, if it went through any."""
    from traceback import TracebackException  # noqa: PLC0415  # only an error pays for it

    told = TracebackException.from_exception(error)
    part = None if whole else told
    while part is not None:
        part.stack = _trimmed(part.stack)
        part = part.__cause__ or part.__context__
    return "".join(told.format())


def _trimmed(stack: StackSummary) -> StackSummary:
    for chosen in (_is_theirs, lambda name: not name.startswith(_IMPORTING)):
        frames = [frame for frame in stack if chosen(frame.filename)]
        if frames:
            return type(stack).from_list(frames)
    return stack


def _is_theirs(filename: str) -> bool:
    """Whether a file is neither ours, nor Python's, nor an installed package's."""
    return not filename.startswith((_OURS, _STANDARD, "<frozen ")) and _PACKAGES not in filename


def _place(frames: TracebackType | None) -> str:
    """The innermost line of the project's own code that led to the error; empty if none did."""
    found = ""
    here = os.getcwd() + os.sep  # noqa: PTH109  # as above
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        if filename.startswith(here) and _is_theirs(filename):
            found = f"{filename.removeprefix(here)}:{frames.tb_lineno}"
        frames = frames.tb_next
    return found
