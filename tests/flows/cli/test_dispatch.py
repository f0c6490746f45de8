"""What all commands have in common: help, suggestions, statuses, pipes, and a quick start."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mainspring.cli._main import COMMANDS
from tests.plugins.commands import ENTRY_POINT

if TYPE_CHECKING:
    from tests.plugins.commands import Commands

# Each command is a program that starts, and there may be many at once.
pytestmark = pytest.mark.timeout(120)

HEAVY = {"alembic", "asyncio", "jinja2", "msgspec", "sqlalchemy", "structlog", "uvloop"}


def test_help_names_every_command(mainspring: Commands) -> None:
    assert mainspring.fine() == mainspring.fine("--help") == mainspring.fine("help")
    listed = re.findall(r"^  (\w+)  ", mainspring.fine("-h"), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(mainspring: Commands, name: str) -> None:
    told = mainspring.fine(name, "--help")
    assert told.startswith(f"usage: mainspring {name}")
    assert told == mainspring.fine("help", name)


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["rotues"], "does not have a command 'rotues'", "did you mean 'routes'?"),
        (["frobnicate"], "a command 'frobnicate'", "mainspring --help lists the commands"),
        (["--verson"], "does not have an option '--verson'", "did you mean '--version'?"),
        (["routes", "--jsn"], "does not have an option --jsn", "did you mean '--json'?"),
        (["routes", "--jso"], "does not have an option --jso", "did you mean '--json'?"),
        (["routes", "shop.app:app"], "an argument 'shop.app:app'", "--app shop.app:app"),
        (["routes", "--app"], "--app: expected one argument", "see mainspring routes --help"),
        (["routes", "--app", "shop.app"], "is not module:attribute", "write shop.app:app"),
        (["new"], "arguments are required: name", "see mainspring new --help"),
        (["explain", "cli.usag"], "no error has the code 'cli.usag'", "did you mean 'cli.usage'?"),
    ],
)
def test_what_is_not_understood_is_answered_with_the_nearest_and_status_2(
    mainspring: Commands, words: list[str], what: str, fix: str
) -> None:
    done = mainspring(*words)
    assert done.returncode == 2
    assert not done.stdout
    assert what in done.stderr
    assert f"fix:  {fix}" in done.stderr
    assert "more: mainspring explain cli.usage" in done.stderr


def test_the_application_may_be_named_before_the_command(shop: Commands) -> None:
    before = shop.fine("--app", "shop.app:app", "routes")
    assert before == shop.fine("routes", "--app=shop.app:app") == shop.fine("routes")


@pytest.mark.parametrize("words", [["--help"], ["version"], ["explain"], ["new", "shop"]])
def test_a_command_without_an_application_imports_nothing_heavy(
    mainspring: Commands, words: list[str]
) -> None:
    program = (
        "import json, sys; from mainspring.cli import main; status = main(sys.argv[1:]); "
        "print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=mainspring.folder,
        capture_output=True,
        text=True,
    )
    status, modules = json.loads(done.stderr)
    assert status == 0
    assert not HEAVY & set(modules)
    assert not {name for name in modules if name.startswith("mainspring.http")}


def test_a_reader_that_leaves_is_no_error(mainspring: Commands) -> None:
    shell = f"set -o pipefail; {ENTRY_POINT} explain cli.usage | true; echo $?"
    done = subprocess.run(
        ["bash", "-c", f"{ENTRY_POINT} --help | head -n 1"],
        cwd=mainspring.folder,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "Usage: mainspring COMMAND [options]\n"
    assert not done.stderr
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert done.stdout.strip() in {"0", "141"}
    assert not done.stderr


def test_module_and_entry_point_are_the_same(mainspring: Commands) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", "--help"], capture_output=True, text=True
    )
    assert done.stdout == mainspring.fine("--help")


class TestColour:
    def test_a_pipe_gets_none(self, shop: Commands) -> None:
        assert "\x1b" not in shop.fine("routes")
        assert "\x1b" not in shop("rotues").stderr

    def test_a_terminal_gets_some_unless_no_color_is_set(self, shop: Commands) -> None:
        assert "\x1b[" in _on_a_terminal(shop, {})
        assert "\x1b" not in _on_a_terminal(shop, {"NO_COLOR": "1"})
        assert "\x1b" not in _on_a_terminal(shop, {"TERM": "dumb"})

    def test_json_has_none_even_where_colour_is_forced(self, shop: Commands) -> None:
        assert "\x1b[" in shop.fine("routes", environ={"FORCE_COLOR": "1"})
        assert shop.json("routes", environ={"FORCE_COLOR": "1"})


def _on_a_terminal(shop: Commands, environ: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [ENTRY_POINT, "routes"],
            cwd=shop.folder,
            env=shop._environ({"TERM": "xterm", **environ}),
            stdout=theirs,
            check=True,
        )
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_an_ascii_terminal_is_no_reason_to_fail(shop: Commands) -> None:
    environ = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    assert "? the settings can be read" in shop.fine("check", environ=environ)


def test_an_interruption_ends_quietly(shop: Commands) -> None:
    app = shop.folder / "shop" / "app.py"
    app.write_text("print('importing', flush=True)\nimport time; time.sleep(60)\n")
    with shop.running("routes") as command:
        command.until(lambda: "importing" in command.said(), what="import")
        assert command.stop(signal.SIGINT) == 130
        assert command.said().strip() == "importing"
