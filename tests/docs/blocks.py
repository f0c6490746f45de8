"""A page of documentation as the blocks of code in it. CONTRIBUTING.md states the convention."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

RUN: Final = frozenset({"python", "console", "sh", "toml"})
# What is shown and cannot be run by itself. Any other word after the fence is a mistake.
SHOWN: Final = frozenset({
    "caddy", "css", "diff", "dockerfile", "dotenv", "html", "http", "ini", "jinja", "js", "json",
    "mermaid", "nginx", "sql", "systemd", "text", "xml", "yaml",
})  # fmt: skip


class BadBlock(Exception):
    """A block that does not say what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block.

    Attributes:
        language: the word after the fence.
        text: what is between the fences.
        line: of its first line of text, counted from 1.
        file: where it is to be written, if it says so in its first line.
        not_run: why it is not run; empty if it is.
        fails: whether its commands are expected to fail.
    """

    language: str
    text: str
    line: int
    file: str = ""
    not_run: str = ""
    fails: bool = False


_BLOCK: Final = re.compile(
    r"^(?P<indent>[ ]*)(?P<fence>```+)(?P<language>\S*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)[ ]*$"
    r"|^<!--[ ]?(?P<hidden>python|console|sh|toml)\n(?P<hidden_text>.*?)^-->[ ]*$"
    r"|^<!--[ ]*(?P<note>not run:|fails\b)(?P<reason>.*?)-->[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_FILE: Final = re.compile(r"(?:#|//|<!--|\{#)\s*file:\s*(\S+)")


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page in their order, those hidden in a comment too.

    Raises:
        BadBlock: a block is of no known language, or a note has no reason or no block.
    """
    found: list[Block] = []
    note: re.Match[str] | None = None
    for match in _BLOCK.finditer(page):
        if match["note"]:
            note = match
            if match["note"] == "not run:" and not match["reason"].strip():
                raise BadBlock(f"line {_line(page, match.start())}: not run, but for what reason?")
            continue
        if note is not None and page[note.end() : match.start()].strip():
            raise BadBlock(f"line {_line(page, note.start())}: this note stands before no block")
        found.append(_block(page, match, note))
        note = None
    return found


def _block(page: str, match: re.Match[str], note: re.Match[str] | None) -> Block:
    language = match["hidden"] or match["language"]
    group = "hidden_text" if match["hidden"] else "text"
    line = _line(page, match.start(group))
    if language not in RUN | SHOWN:
        known = ", ".join(sorted(RUN | SHOWN))
        raise BadBlock(f"line {line - 1}: {language!r} is none of {known}")
    text = _dedent(match[group], match["indent"] or "")
    file = _FILE.match(text)
    return Block(
        language=language,
        text=text,
        line=line,
        file=file[1] if file else "",
        not_run=note["reason"].strip() if note and note["note"] == "not run:" else "",
        fails=bool(note and note["note"] == "fails"),
    )


def _line(page: str, position: int) -> int:
    return page.count("\n", 0, position) + 1


def _dedent(text: str, indent: str) -> str:
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


@dataclass(frozen=True, slots=True)
class Command:
    """A line that begins with `$ `, and what it is expected to print."""

    line: str
    expected: str
    stays: bool
    """It runs until the end of the page; the page goes on when what is expected was printed."""


def commands_of(block: Block) -> list[Command]:
    """The commands of a console block.

    Raises:
        BadBlock: it does not begin with a command.
    """
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    if parts[0].strip() or len(parts) == 1:
        raise BadBlock(f"line {block.line}: a console block begins with `$ `")
    return [_command(part) for part in parts[1:]]


def _command(part: str) -> Command:
    lines = part.splitlines()
    # A backslash carries a command over to the next line, as in a shell.
    size = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
    text = "\n".join(lines[:size])
    stays = text.endswith(" &")
    return Command(text.removesuffix(" &"), "\n".join(lines[size:]).strip(), stays)


def matches(expected: str, printed: str) -> bool:
    """Whether what was printed is what was expected; `...` stands for anything."""
    return _pattern(expected).fullmatch(_tidy(printed)) is not None


def contains(expected: str, printed: str) -> bool:
    """Whether what was expected is somewhere in what has been printed so far."""
    return _pattern(expected).search(_tidy(printed)) is not None


def _pattern(expected: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, _tidy(expected).split("..."))), re.DOTALL)


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
