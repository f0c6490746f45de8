"""How a command finds the application, and what it says when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.commands import Commands

# Each command is a program that starts, and there may be many at once.
pytestmark = pytest.mark.timeout(120)

APP = """\
from mainspring import App, anyone

{name} = App("{name}")

@{name}.get("/{name}", allow=anyone)
async def greet() -> str:
    return "hello"
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def paths(command: Commands, *words: str, environ: dict[str, str] | None = None) -> list[str]:
    return [route["path"] for route in command.json("routes", *words, environ=environ)]


def test_the_option_wins_over_the_environment_and_that_over_the_project(
    mainspring: Commands,
) -> None:
    for name in ("app", "one", "two", "three"):
        write(mainspring.folder / f"{name}.py", APP.format(name=name))
    assert paths(mainspring) == ["/app"]
    write(mainspring.folder / "pyproject.toml", '[tool.mainspring]\napp = "one:one"\n')
    assert paths(mainspring) == ["/one"]
    environ = {"MAINSPRING_APP": "two:two"}
    assert paths(mainspring, environ=environ) == ["/two"]
    assert paths(mainspring, "--app", "three:three", environ=environ) == ["/three"]


def test_the_project_is_the_nearest_upwards_that_is_one(shop: Commands) -> None:
    inside = shop.folder / "shop" / "deep"
    write(inside / "pyproject.toml", "[tool.ruff]\n")
    assert paths(shop.within("shop", "deep")) == paths(shop)


def test_a_src_folder_is_searched_too(mainspring: Commands) -> None:
    write(mainspring.folder / "pyproject.toml", '[tool.mainspring]\napp = "inner.web:web"\n')
    write(mainspring.folder / "src" / "inner" / "web.py", APP.format(name="web"))
    assert paths(mainspring) == ["/web"]


def test_an_application_may_be_an_attribute_of_an_attribute(mainspring: Commands) -> None:
    text = APP.format(name="app") + "class Site:\n    web = app\n"
    write(mainspring.folder / "site_.py", text)
    assert paths(mainspring, "--app", "site_:Site.web") == ["/app"]


class TestFailures:
    def test_outside_of_a_project(self, mainspring: Commands) -> None:
        done = mainspring("routes")
        assert done.returncode == 1
        assert "there is no application here" in done.stderr
        assert "mainspring new NAME" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_module_that_does_not_exist_is_answered_with_the_nearest(
        self, shop: Commands
    ) -> None:
        done = shop("routes", "--app", "shpo.app:app")
        assert done.returncode == 1
        assert "there is no module 'shpo'" in done.stderr
        assert "(named by --app)" in done.stderr
        assert "did you mean 'shop'?" in done.stderr

    def test_a_submodule_that_does_not_exist_is_not_mistaken_for_a_missing_package(
        self, shop: Commands
    ) -> None:
        done = shop("routes", "--app", "shop.web:app")
        assert "there is no module 'shop.web'" in done.stderr

    def test_an_attribute_that_does_not_exist_is_answered_with_those_that_do(
        self, shop: Commands
    ) -> None:
        done = shop("routes", "--app", "shop.app:application")
        assert done.returncode == 1
        assert "'application' of shop.app (named by --app) is nothing" in done.stderr
        assert "it has app: write shop.app:app" in done.stderr

    def test_something_else_than_an_application_is_called_by_its_type(self, shop: Commands) -> None:
        done = shop("routes", "--app", "shop.notes:router")
        assert "is a Router and not a mainspring.App" in done.stderr

    def test_a_pyproject_that_is_not_toml_is_named(self, mainspring: Commands) -> None:
        write(mainspring.folder / "pyproject.toml", "[tool.mainspring\n")
        done = mainspring("routes")
        assert done.returncode == 1
        assert "pyproject.toml is not TOML" in done.stderr

    def test_a_fault_of_the_users_code_is_shown_without_our_frames(self, shop: Commands) -> None:
        write(shop.folder / "shop" / "notes.py", "def broken():\n    return 1 / 0\n\nbroken()\n")
        done = shop("routes")
        assert done.returncode == 1
        assert "ZeroDivisionError: division by zero" in done.stderr
        assert 'notes.py", line 2, in broken' in done.stderr
        assert "importlib" not in done.stderr
        assert "mainspring/cli" not in done.stderr
        assert "shop.app cannot be imported" in done.stderr
        assert "mainspring/cli" in shop("routes", "--traceback").stderr

    def test_a_package_that_is_not_installed_is_named(self, shop: Commands) -> None:
        write(shop.folder / "shop" / "notes.py", "import pandass\n")
        done = shop("routes")
        assert "fix:  install 'pandass', or correct its name" in done.stderr

    @pytest.mark.parametrize("traceback", [False, True])
    def test_an_error_of_the_framework_says_where_in_the_users_code(
        self, shop: Commands, traceback: bool
    ) -> None:
        write(
            shop.folder / "shop" / "app.py",
            "from mainspring import App\n\napp = App('shop')\n\n\n"
            "@app.get('/', allow=None)\nasync def home() -> str:\n    return ''\n",
        )
        done = shop("routes", *(["--traceback"] if traceback else []))
        assert done.returncode == 1
        assert "no policy is declared for: GET / (home)" in done.stderr
        assert "mainspring explain app.undeclared-policy" in done.stderr
        assert ("Traceback" in done.stderr) is traceback

    def test_an_unknown_setting_stops_every_command_with_a_suggestion(self, shop: Commands) -> None:
        done = shop("routes", environ={"MAINSPRING_DEADLNE": "3"})
        assert done.returncode == 1
        assert "did you mean 'MAINSPRING_DEADLINE'?" in done.stderr
