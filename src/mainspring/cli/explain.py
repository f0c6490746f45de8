"""`mainspring explain CODE`: the page of an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mainspring.cli._command import OK
from mainspring.cli._errors import UsageError
from mainspring.cli._pages import first_sentence, pages
from mainspring.errors import suggestion

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal


def arguments(parser: Parser) -> None:
    """Take a code."""
    parser.add_argument("code", nargs="?", help="such as app.undeclared-policy; without: a list")


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Print the page, or the list of all."""
    found = pages()
    if options.code is None:
        terminal.table(
            ("CODE", "WHAT HAPPENED"), [(code, first_sentence(p)) for code, p in found.items()]
        )
        return OK
    if options.code not in found:
        raise UsageError(
            f"no error has the code {options.code!r}",
            fix=suggestion(options.code, list(found)) or "mainspring explain lists all codes",
        )
    text = found[options.code].read_text(encoding="utf-8")
    terminal.say(_shown(text.rstrip(), terminal))
    return OK


def _shown(text: str, terminal: Terminal) -> str:
    """Markdown as text: links lose their addresses, headings and code their marks to colour."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    lines, fenced = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            lines.append(f"    {line}")
        elif line.startswith("#"):
            lines.append(terminal.paint(line.lstrip("# "), "bold"))
        else:
            lines.append(re.sub(r"`([^`]+)`", lambda m: terminal.paint(m[1], "cyan"), line))
    return "\n".join(lines)
