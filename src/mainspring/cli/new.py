"""`mainspring new NAME`: a project that works."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from mainspring.cli._command import OK
from mainspring.cli._errors import UsageError
from mainspring.cli._template import write_project

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal

# A package of one of these names would hide a module that the project itself needs.
_TAKEN: Final = sys.stdlib_module_names | {"mainspring", "tests", "migrations", "src"}


def arguments(parser: Parser) -> None:
    """Take the name."""
    parser.add_argument("name", help="of the project, and of its folder; '.' is this folder")


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the project and say what comes next."""
    folder = Path(options.name).resolve()
    package = package_name(folder.name)
    _require_empty(folder)
    names = {"name": folder.name, "package": package, "secret_key": token_hex()}
    for path in write_project(folder, names):
        terminal.say(f"  {terminal.paint(str(path.relative_to(folder.parent)), 'dim')}")
    terminal.say(f"\n{terminal.paint(folder.name, 'bold')} is ready:\n")
    if folder != Path.cwd():
        terminal.say(f"  cd {options.name}")
    terminal.say("  mainspring dev")
    return OK


def package_name(name: str) -> str:
    """The Python package of a project: its name, with dashes as underscores.

    Raises:
        UsageError: no package can have that name; the fix offers one that can.
    """
    package = name.replace("-", "_")
    if re.fullmatch(r"[a-z][a-z0-9_]*", package) is None or keyword.iskeyword(package):
        raise UsageError(
            f"{name!r} is not a name for a package: lower-case letters, digits, - and _, with a"
            " letter first",
            fix=f"mainspring new {_near(name)}",
        )
    if package in _TAKEN:
        raise UsageError(
            f"a package named {package!r} would hide the module of that name",
            fix=f"mainspring new {package}-app",
        )
    return package


def _near(name: str) -> str:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "-", name).strip("-").lower()
    plain = plain.encode("ascii", "ignore").decode().lstrip("0123456789-")
    return f"{plain}-app" if keyword.iskeyword(plain) or plain in _TAKEN else plain or "shop"


def _require_empty(folder: Path) -> None:
    if folder.is_file():
        raise UsageError(f"{folder} is a file", fix="choose another name")
    # A repository that was just made, or cloned empty, is as good as an empty folder.
    if folder.is_dir() and any(entry.name != ".git" for entry in folder.iterdir()):
        raise UsageError(
            f"{folder} exists and is not empty",
            fix="choose another name, or move what is in it away: nothing is overwritten",
        )
