"""`mainspring new`: what it refuses, and that what it makes is sound."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugins.commands import Commands

# Each command is a program that starts, and there may be many at once.
pytestmark = pytest.mark.timeout(120)


def run(shop: Commands, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=shop.folder,
        env=shop._environ({}),
        capture_output=True,
        text=True,
    )


def test_the_tests_of_a_new_project_pass(shop: Commands) -> None:
    done = run(shop, "pytest", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_a_new_project_is_formatted_linted_and_typed(shop: Commands) -> None:
    for words in (
        ["ruff", "format", "--check", "--line-length=100", "."],
        ["ruff", "check", "--isolated", "--select=E,F,I,B,UP,SIM,RUF,ASYNC", "--line-length=100"],
        ["mypy", "--strict", "--package", "shop"],
    ):
        done = run(shop, *words)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def test_its_migration_is_what_makemigrations_would_write(shop: Commands) -> None:
    shop.fine("migrate")
    assert "the models and the database agree" in shop.fine("makemigrations")


def test_its_check_finds_nothing_and_that_for_deployment_what_only_its_owner_knows(
    shop: Commands,
) -> None:
    assert shop.json("check")["findings"] == []
    found = {finding["code"] for finding in shop.json("check", "--deploy")["findings"]}
    assert found == {
        "migrations.unapplied",
        "deploy.secret-key",
        "deploy.allowed-hosts",
        "deploy.database",
    }


def test_every_project_has_a_key_of_its_own(mainspring: Commands) -> None:
    keys = set()
    for name in ("one", "two"):
        mainspring.fine("new", name)
        text = (mainspring.folder / name / ".env").read_text()
        keys.update(re.findall(r"^SECRET_KEY=([0-9a-f]{64})$", text, re.MULTILINE))
    assert len(keys) == 2


def test_a_dash_in_the_name_is_an_underscore_in_the_package(mainspring: Commands) -> None:
    mainspring.fine("new", "my-shop")
    handlers = {route["handler"] for route in mainspring.within("my-shop").json("routes")}
    assert "my_shop.notes.list_notes" in handlers


def test_the_folder_that_one_is_in_can_become_the_project(mainspring: Commands) -> None:
    folder = mainspring.folder / "stall"
    (folder / ".git").mkdir(parents=True)
    said = mainspring.within("stall").fine("new", ".")
    assert "cd " not in said
    assert mainspring.within("stall").fine("routes")


def test_a_folder_that_is_not_empty_is_left_alone(mainspring: Commands) -> None:
    (mainspring.folder / "shop").mkdir()
    (mainspring.folder / "shop" / "thesis.txt").write_text("years of work")
    done = mainspring("new", "shop")
    assert done.returncode == 2
    assert "exists and is not empty" in done.stderr
    assert [path.name for path in (mainspring.folder / "shop").iterdir()] == ["thesis.txt"]


def test_a_file_of_that_name_is_left_alone(mainspring: Commands) -> None:
    (mainspring.folder / "shop").write_text("mine")
    done = mainspring("new", "shop")
    assert done.returncode == 2
    assert "shop is a file" in done.stderr


def test_a_bad_name_is_answered_with_a_good_one(mainspring: Commands) -> None:
    done = mainspring("new", "My Shop")
    assert done.returncode == 2
    assert "fix:  mainspring new my-shop" in done.stderr
    assert list(mainspring.folder.iterdir()) == []
