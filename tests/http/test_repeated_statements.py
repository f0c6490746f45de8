"""What the setting `repeated_statements` does to a request that asks once for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import MetaData

from mainspring import telemetry
from mainspring.app import App
from mainspring.auth import anyone
from mainspring.data import Mapped, Model, Session, column, select
from mainspring.data._model import NAMING
from mainspring.settings import Settings
from tests.http.conftest import on_our_own

if TYPE_CHECKING:
    from pathlib import Path


class Word(Model):
    metadata = MetaData(naming_convention=NAMING)
    text: Mapped[str] = column(max_length=20)


def _app(folder: Path, **more: object) -> App:
    settings = Settings(database_url=f"sqlite:///{folder}/t.db", log_level="critical", **more)
    app = App("test", settings=settings)

    @app.get("/words", allow=anyone)
    async def words(db: Session) -> list[str]:
        return [await text(db, number) for number in await db.scalars(select(Word.id))]

    async def text(db: Session, number: int) -> str:
        return str(await db.scalar(select(Word.text).where(Word.id == number)))

    return app


@pytest.mark.parametrize(
    ("settings", "status", "told"),
    [
        ({"repeated_statements": "error"}, 500, 0),
        ({"repeated_statements": "metric"}, 200, 1),
        ({"debug": True}, 200, 1),
        ({"debug": True, "repeated_statements": "off"}, 200, 0),
        ({}, 200, 0),
    ],
)
async def test_a_loop_of_statements(
    tmp_path: Path, settings: dict[str, object], status: int, told: int
) -> None:
    seen: list[telemetry.Event] = []
    stop = telemetry.subscribe(
        lambda event: seen.append(event) if event.name == "data.repeated" else None
    )
    app = _app(tmp_path, **settings)
    await app.database.on_connection(lambda c: (Word.metadata.create_all(c), c.commit()))
    async with app.database.unit() as db:
        db.add_all(Word(text=f"word {n}") for n in range(4))
    try:
        async with on_our_own(app) as peer:
            answer = await peer.ask("GET", "/words")
    finally:
        stop()
    assert answer.status == status
    assert len(seen) == told
    if told and settings.get("debug"):
        assert seen[0].facts["level"] == "warning"
        assert "test_repeated_statements.py" in seen[0].facts["stack"][0]
        assert seen[0].unit is not None
