"""The commands that change a database, on SQLite in a project's folder."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.commands import ENTRY_POINT

if TYPE_CHECKING:
    from tests.plugins.commands import Commands

# Each command is a program that starts, and there may be many at once.
pytestmark = pytest.mark.timeout(120)


def rows(shop: Commands, statement: str) -> list[Any]:
    with closing(sqlite3.connect(shop.folder / "app.db")) as database:
        return database.execute(statement).fetchall()


def tables(shop: Commands) -> set[str]:
    found = {name for (name,) in rows(shop, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {name for name in found if not name.startswith("sqlite_")} - {"alembic_version"}


def add_column(shop: Commands) -> None:
    path = shop.folder / "shop" / "models.py"
    path.write_text(path.read_text() + "    stars: Mapped[int] = column(server_default='0')\n")


class TestMigrations:
    def test_there_and_back(self, shop: Commands) -> None:
        assert shop.fine("migrate") == "✓ 0001_create_the_notes\n"
        assert shop.fine("migrate").startswith("nothing to do")
        add_column(shop)
        assert "migrations/0002_rate_notes.py" in shop.fine("makemigrations", "-m", "Rate notes")
        assert shop.fine("migrate") == "✓ 0002_rate_notes\n"
        rows(shop, "SELECT stars FROM notes")
        assert shop.fine("rollback") == "↶ 0002_rate_notes\n"
        with pytest.raises(sqlite3.OperationalError):
            rows(shop, "SELECT stars FROM notes")
        assert shop.fine("migrate", "0002") == "✓ 0002_rate_notes\n"
        assert "`mainspring rollback` goes back" in shop.fine("migrate", "0001")
        assert shop.fine("rollback", "2") == "↶ 0002_rate_notes\n↶ 0001_create_the_notes\n"
        assert tables(shop) == set()

    def test_the_database_is_the_projects_wherever_the_command_is_given(
        self, shop: Commands
    ) -> None:
        shop.within("shop").fine("migrate")
        assert tables(shop) == {"notes"}
        assert not (shop.folder / "shop" / "app.db").exists()

    def test_the_development_settings_of_the_project_hold(self, shop: Commands) -> None:
        with (shop.folder / ".env").open("a") as file:
            file.write("DATABASE_URL=sqlite:///other.db\n")
        shop.fine("migrate")
        assert (shop.folder / "other.db").exists()
        shop.fine("migrate", environ={"DEBUG": "0"})
        assert tables(shop) == {"notes"}

    def test_the_first_migration_is_asked_for(self, shop: Commands) -> None:
        (shop.folder / "migrations" / "0001_create_the_notes.py").unlink()
        assert "there are no migrations yet" in shop.fine("migrate")
        assert "0001_create_the_tables.py" in shop.fine("makemigrations")
        shop.fine("migrate")
        assert tables(shop) == {"notes"}

    def test_an_empty_one_can_be_filled_in_by_hand(self, migrated_shop: Commands) -> None:
        migrated_shop.fine("makemigrations", "--empty", "-m", "move the stars")
        assert (migrated_shop.folder / "migrations" / "0002_move_the_stars.py").exists()

    def test_what_is_refused_says_what_to_do(self, shop: Commands) -> None:
        done = shop("rollback")
        assert done.returncode == 1
        assert "migrations.nothing-to-roll-back" in done.stderr
        done = shop("makemigrations")
        assert done.returncode == 1
        assert "run `mainspring migrate` first" in done.stderr
        done = shop("migrate", "0009")
        assert done.returncode == 1
        assert "0009" in done.stderr
        assert shop("rollback", "none").returncode == 2
        assert shop("rollback", "0").returncode == 2


class TestSeed:
    def test_it_fills_the_database_and_the_second_time_does_no_harm(
        self, migrated_shop: Commands
    ) -> None:
        done = migrated_shop("seed")
        assert done.stdout == "✓ seeded\n"
        assert done.stderr.startswith("notes: 100 in ")
        migrated_shop.fine("seed")
        assert rows(migrated_shop, "SELECT count(*) FROM notes") == [(100,)]

    def test_a_seed_that_fails_leaves_nothing_behind(self, migrated_shop: Commands) -> None:
        path = migrated_shop.folder / "shop" / "app.py"
        path.write_text(path.read_text() + "    await db.flush()\n    raise RuntimeError('no')\n")
        done = migrated_shop("seed")
        assert done.returncode == 1
        assert "RuntimeError: no" in done.stderr
        assert "shop/app.py" in done.stderr
        assert rows(migrated_shop, "SELECT count(*) FROM notes") == [(0,)]

    def test_a_database_without_its_tables_is_not_the_drivers_to_report(
        self, shop: Commands
    ) -> None:
        done = shop("seed")
        assert done.returncode == 1
        assert "the database lacks 0001_create_the_notes" in done.stderr
        assert "fix:  mainspring migrate" in done.stderr

    def test_an_application_without_one_is_told_how(self, mainspring: Commands) -> None:
        (mainspring.folder / "app.py").write_text("from mainspring import App\napp = App('x')\n")
        done = mainspring("seed")
        assert done.returncode == 1
        assert "@app.seed" in done.stderr
        assert "mainspring explain cli.no-seed" in done.stderr

    def test_it_gets_whatever_it_asks_for_by_type(self, members_shop: Commands) -> None:
        path = members_shop.folder / "shop" / "app.py"
        text = path.read_text()
        before = text[: text.index("@app.seed")]
        path.write_text(
            before + "from mainspring.auth import Accounts, Passwords, User\n\n\n@app.seed\n"
            "async def fill(accounts: Accounts[User], passwords: Passwords) -> None:\n"
            "    assert await passwords.hash('long enough')\n"
            "    await accounts.register(email='a@shop.example', password='long enough')\n"
        )
        members_shop.fine("seed")
        assert rows(members_shop, "SELECT email FROM users") == [("a@shop.example",)]


class TestCreateSuperuser:
    def test_from_a_script(self, members_shop: Commands) -> None:
        words = ["createsuperuser", "--email", "Root@shop.example", "--password-stdin"]
        assert "root@shop.example may do everything" in members_shop.fine(
            *words, stdin="long enough\n"
        )
        assert rows(members_shop, "SELECT email, roles FROM users") == [
            ("root@shop.example", '["admin"]')
        ]
        done = members_shop(*words, stdin="long enough\n")
        assert done.returncode == 1
        assert "another account has this email" in done.stderr

    def test_a_password_that_is_too_short_makes_no_account(self, members_shop: Commands) -> None:
        words = ["createsuperuser", "--email", "root@shop.example", "--password-stdin"]
        done = members_shop(*words, stdin="short\n")
        assert done.returncode == 1
        assert "must have at least" in done.stderr
        assert "short\n" not in done.stderr
        assert rows(members_shop, "SELECT count(*) FROM users") == [(0,)]

    def test_without_a_person_it_does_not_wait_for_one(self, members_shop: Commands) -> None:
        done = members_shop("createsuperuser")
        assert done.returncode == 2
        assert "fix:  say --email" in done.stderr
        done = members_shop("createsuperuser", "--email", "root@shop.example")
        assert done.returncode == 2
        assert "fix:  say --password-stdin" in done.stderr

    def test_an_application_without_accounts_is_told_so(self, shop: Commands) -> None:
        done = shop("createsuperuser", "--email", "root@shop.example", "--password-stdin")
        assert done.returncode == 1
        assert "shop has no accounts" in done.stderr


class TestShell:
    def test_a_command_may_await(self, migrated_shop: Commands) -> None:
        code = "db.add(Note(title='Milk', body='')); await db.commit(); print(app.name)"
        assert migrated_shop.fine("shell", "-c", code) == "shop\n"
        assert rows(migrated_shop, "SELECT title FROM notes") == [("Milk",)]

    def test_what_is_not_committed_is_undone(self, migrated_shop: Commands) -> None:
        migrated_shop.fine("shell", "-c", "db.add(Note(title='Milk', body='')); await db.flush()")
        assert rows(migrated_shop, "SELECT title FROM notes") == []

    def test_a_pipe_is_a_script(self, migrated_shop: Commands) -> None:
        migrated_shop.fine("seed")
        script = "for note in await db.scalars(select(Note).limit(2)):\n    print(note.title)\n"
        assert migrated_shop.fine("shell", stdin=script) == "Note 1\nNote 2\n"

    def test_a_failure_is_a_status_and_the_users_own_frames(self, shop: Commands) -> None:
        done = shop("shell", "-c", "1 / 0")
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr
        assert "mainspring/cli" not in done.stderr

    def test_a_prompt_goes_on_after_an_error(self, migrated_shop: Commands) -> None:
        typed = "1 / 0\nawait db.scalar(select(func.count()).select_from(Note))\nx = 20\nx + 1\n"
        said = at_prompt(migrated_shop, typed)
        assert "At hand: app, db, func, select, settings, Note" in said
        assert "ZeroDivisionError: division by zero" in said
        assert "mainspring/cli" not in said
        assert "\n0" in said
        assert "\n21" in said

    def test_an_application_without_data_has_a_shell_too(self, mainspring: Commands) -> None:
        (mainspring.folder / "app.py").write_text("from mainspring import App\napp = App('x')\n")
        assert mainspring.fine("shell", "-c", "print(app.name, 'db' in globals())") == "x False\n"


def at_prompt(shop: Commands, typed: str) -> str:
    """What a terminal shows when a person types this and leaves."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [ENTRY_POINT, "shell"],
        cwd=shop.folder,
        env=shop._environ({"TERM": "dumb"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, f"{typed}exit()\n".encode())
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # the other end has been closed
        pass
    finally:
        os.close(ours)
    assert process.wait(20) == 0
    return said.decode().replace("\r", "")
