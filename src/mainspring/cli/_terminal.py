"""What commands write: text, colour where a person looks, tables, JSON where a script reads."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Colour: TypeAlias = Literal["red", "green", "yellow", "blue", "magenta", "cyan", "bold", "dim"]

_CODES: Final[dict[Colour, int]] = {
    "bold": 1, "dim": 2,
    "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36,
}  # fmt: skip


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a person with a capable terminal reads the stream and has not declined colour.

    Source: no-color.org; `FORCE_COLOR` as in force-color.org.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


class Terminal:
    """The two streams of a command.

    Args:
        out: for what was asked for; a script reads it.
        err: for everything else.
        environ: instead of the process environment.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        err: TextIO | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        self.out = sys.stdout if out is None else out
        self.err = sys.stderr if err is None else err
        self._colour = {id(s): wants_colour(s, environ) for s in (self.out, self.err)}

    def paint(self, text: str, *colours: Colour, err: bool = False) -> str:
        """The text in colour, or as it is where colour is not wanted."""
        if not self._colour[id(self.err if err else self.out)]:
            return text
        return f"\x1b[{';'.join(str(_CODES[c]) for c in colours)}m{text}\x1b[0m"

    def say(self, text: str = "") -> None:
        """Write a line that was asked for."""
        self.out.write(f"{text}\n")

    def note(self, text: str = "") -> None:
        """Write a line beside what was asked for."""
        self.out.flush()
        self.err.write(f"{text}\n")
        self.err.flush()

    def json(self, value: Any) -> None:
        """Write a value for a script: one document, nothing else."""
        # json is imported here because most commands do not need its milliseconds.
        from json import dumps  # noqa: PLC0415

        self.say(dumps(value, indent=2, ensure_ascii=False))

    def table(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        colours: Mapping[int, Colour] | None = None,
    ) -> None:
        """Write rows under a header in columns as wide as their widest cell.

        Args:
            header: one name a column.
            rows: cells of one line each.
            colours: column to the colour of its cells.
        """
        widths = [max(map(width, column)) for column in zip(header, *rows, strict=True)]
        self.say(self._line(header, widths, dict.fromkeys(range(len(header)), "bold")))
        for row in rows:
            self.say(self._line(row, widths, colours or {}))

    def _line(
        self, cells: Sequence[str], widths: Sequence[int], colours: Mapping[int, Colour]
    ) -> str:
        last = len(cells) - 1
        parts = []
        for at, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
            padding = "" if at == last else " " * (wide - width(cell))
            parts.append((self.paint(cell, colours[at]) if at in colours else cell) + padding)
        return "  ".join(parts).rstrip()


def width(text: str) -> int:
    """The columns that a text takes on a terminal.

    Source: Unicode Standard Annex 11; combining marks take none.
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
