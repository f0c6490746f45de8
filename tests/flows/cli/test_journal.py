"""`mainspring journal` and `mainspring relay` on an application that sends mail."""

from __future__ import annotations

import sqlite3
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from mainspring.cli._command import FAILED

if TYPE_CHECKING:
    from tests.plugins.commands import Commands

# Each test runs some ten commands, each of which imports SQLAlchemy.
pytestmark = pytest.mark.timeout(120)

APP = """
    from mainspring import App, Progress, anyone
    from mainspring.data import Mapped, Model, Session, column
    from mainspring.mail import Mailer, Message

    app = App("shop")

    class Note(Model):
        text: Mapped[str]

    @app.post("/", allow=anyone)
    async def send(mail: Mailer) -> str:
        return await mail.send(Message(to="a@example.org", subject="s", text="t"))

    @app.seed
    async def fill(db: Session) -> None:
        db.add(Note(text="x"))
        await app.mail.mailer(db.unit).send(Message(to="a@example.org", subject="s", text="t"))
"""


@pytest.fixture
def post(mainspring: Commands) -> Commands:
    """A folder with an application, migrated, whose mail goes into a folder, and no relay."""
    (mainspring.folder / "app.py").write_text(dedent(APP), encoding="utf-8")
    mainspring.environ.update(MAIL_URL="file:mail", MAINSPRING_RELAY="0")
    mainspring.fine("makemigrations", "-m", "all")
    mainspring.fine("migrate")
    return mainspring


def _kill_off(post: Commands) -> None:
    with sqlite3.connect(post.folder / "app.db") as database:
        database.execute("UPDATE mainspring_journal SET state = 2, error = 'SMTPError: away'")
    database.close()


def test_what_waits_is_counted_and_a_relay_makes_it_happen(post: Commands) -> None:
    assert "nothing is in the journal" in post.fine("journal")
    post.fine("seed")
    (row,) = post.json("journal")
    assert (row["kind"], row["state"], row["rows"]) == ("mail", "waiting", 1)
    assert "mail  waiting  1" in post.fine("journal")
    with post.running("relay") as relay:
        folder = post.folder / "mail" / "new"
        relay.until(lambda: list(folder.glob("*")), what="mail")
        relay.until(lambda: post.json("journal") == [], what="empty journal")
        assert relay.stop() == 0


def test_the_dead_are_listed_tried_again_and_discarded(post: Commands) -> None:
    post.fine("seed")
    post.fine("seed")
    _kill_off(post)
    first, second = post.json("journal", "list", "--state", "dead")
    assert (first["error"], first["attempts"]) == ("SMTPError: away", 0)
    assert "SMTPError: away" in post.fine("journal", "list")
    assert post("journal", "retry").returncode == FAILED
    assert post.json("journal", "retry", str(first["id"])) == 1
    assert [row["state"] for row in post.json("journal", "list")] == ["waiting", "dead"]
    assert post.json("journal", "discard", str(first["id"])) == 0  # it is not dead any more
    assert "1 discarded" in post.fine("journal", "discard", "--kind", "mail")
    assert [row["id"] for row in post.json("journal", "list")] == [first["id"]]
    assert second["id"] > first["id"]


def test_an_application_without_effects_has_nothing_to_relay(mainspring: Commands) -> None:
    (mainspring.folder / "app.py").write_text(
        "from mainspring import App\n\napp = App('bare')\n", encoding="utf-8"
    )
    done = mainspring("relay")
    assert done.returncode == FAILED
    assert "has no effects" in done.stderr
