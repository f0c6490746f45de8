"""The reference page against the parsers: neither knows an option that the other does not."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from mainspring.cli._command import Parser
from mainspring.cli._main import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
COMMON = {"-h", "--help", "--app", "--traceback"}


def options_of(name: str) -> set[str]:
    parser = Parser(prog=name)
    import_module(f"mainspring.cli.{name}").arguments(parser)
    return set(parser._option_string_actions) - COMMON


def documented(name: str) -> set[str]:
    rows = re.findall(r"^\|(.*)\|$", SECTIONS[name], re.MULTILINE)
    cells = [cell for row in rows for cell in re.split(r"(?<!\\)\|", row)[:2]]
    return set(re.findall(r"`(--?[a-z][a-z-]*)", " ".join(cells)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_reference_and_every_one_there_exists(name: str) -> None:
    known = documented(name)
    if name == "dev":
        known |= documented("serve")
    assert options_of(name) == known


def test_every_command_has_a_section() -> None:
    assert set(COMMANDS) <= set(SECTIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_explains_itself(name: str) -> None:
    parser = Parser(prog=name)
    import_module(f"mainspring.cli.{name}").arguments(parser)
    assert not [action.dest for action in parser._actions if not action.help]
