"""Migrations on every database, with data in place. Files are read and written on the loop."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import MetaData, inspect, text
from sqlalchemy.orm import registry

from mainspring.data import (
    Database,
    IntegrityError,
    Mapped,
    Model,
    Timestamped,
    column,
    foreign_key,
    select,
)
from mainspring.data._model import NAMING
from mainspring.data.types import PYTHON_TYPES
from mainspring.migrations import (
    BrokenMigrations,
    DatabaseAhead,
    MigrationError,
    NoChanges,
    NothingToRollBack,
    RunnerBusy,
    UnappliedMigrations,
    UnknownMigration,
    current,
    makemigrations,
    migrate,
    pending,
    rollback,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection

pytestmark = [
    pytest.mark.may_block("a command-line tool reads and writes files where it stands"),
    pytest.mark.timeout(60),
]


@cache
def _models(version: int) -> tuple[MetaData, dict[str, Any]]:
    """The application's models at its first, second and third release."""

    class Base(Model):
        __abstract__ = True
        metadata = MetaData(naming_convention=NAMING)
        # The releases have classes of the same names.
        _sa_registry = registry(metadata=metadata, type_annotation_map=PYTHON_TYPES)

    class Author(Timestamped, Base):
        name: Mapped[str] = column(max_length=50 if version < 3 else 80, unique=True)
        if version >= 2:
            bio: Mapped[str | None]
            karma: Mapped[int] = column(server_default="0")

    class Article(Base):
        author_id: Mapped[int] = foreign_key(Author.id, on_delete="cascade")
        title: Mapped[str] = column(max_length=100, index=version >= 2)
        price: Mapped[Decimal] = column(precision=10, scale=2)
        facts: Mapped[dict[str, Any]]
        if version < 3:
            old: Mapped[str | None]

    models = {"Author": Author, "Article": Article}
    if version >= 2:

        class Tag(Base):
            article_id: Mapped[int] = foreign_key(Article.id, on_delete="cascade", primary_key=True)
            name: Mapped[str] = column(max_length=20, primary_key=True)

        models["Tag"] = Tag
    return Base.metadata, models


async def _fill(database: Database, models: dict[str, Any]) -> None:
    async with database.unit() as db:
        author = models["Author"](name="Ada")
        db.add(author)
        await db.flush()
        facts = {"a": [1]}
        db.add_all(
            models["Article"](
                author_id=author.id, title=f"t{i}", price=Decimal("1.50"), facts=facts
            )
            for i in range(3)
        )


async def _titles(database: Database, models: dict[str, Any]) -> list[str]:
    article, author = models["Article"], models["Author"]
    statement = select(article.title).join(author).where(author.name == "Ada")
    async with database.unit(write=False) as db:
        return sorted((await db.scalars(statement)).all())


def _shape(connection: Connection) -> dict[str, Any]:
    """Everything that reflection can tell about the tables."""
    found = inspect(connection)
    return {
        table: {
            "columns": [{**c, "type": str(c["type"])} for c in found.get_columns(table)],
            "keys": sorted(map(str, found.get_foreign_keys(table))),
            "unique": sorted(str(u["column_names"]) for u in found.get_unique_constraints(table)),
            "indices": sorted(
                str((i["name"], i["column_names"])) for i in found.get_indexes(table)
            ),
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


class TestUpDownUp:
    async def test_three_releases_with_data_in_place(
        self, database: Database, folder: Path
    ) -> None:
        shapes = []
        for version in (1, 2, 3):
            metadata, models = _models(version)
            path = await makemigrations(database, metadata, folder, f"Release {version}")
            assert path.name == f"000{version}_release_{version}.py"
            assert [m.revision for m in await pending(database, folder)] == [f"000{version}"]
            assert [str(m) for m in await migrate(database, folder)] == [path.stem]
            assert await current(database) == f"000{version}"
            with pytest.raises(NoChanges):
                await makemigrations(database, metadata, folder, "again")
            if version == 1:
                await _fill(database, models)
            assert await _titles(database, models) == ["t0", "t1", "t2"]
            shapes.append(await database.on_connection(_shape))

        for version in (2, 1):
            done = await rollback(database, folder)
            assert [m.revision for m in done] == [f"000{version + 1}"]
            assert await database.on_connection(_shape) == shapes[version - 1]
            assert await _titles(database, _models(version)[1]) == ["t0", "t1", "t2"]
        assert len(await migrate(database, folder)) == 2
        assert await database.on_connection(_shape) == shapes[2]
        assert await _titles(database, models) == ["t0", "t1", "t2"]

        assert len(await rollback(database, folder, steps=3)) == 3
        assert await current(database) is None
        assert await database.on_connection(_shape) == {}
        assert len(await migrate(database, folder)) == 3
        assert await database.on_connection(_shape) == shapes[2]

    async def test_it_stops_at_the_target(self, database: Database, folder: Path) -> None:
        for version in (1, 2):
            await makemigrations(database, _models(version)[0], folder, f"r{version}")
            await migrate(database, folder)
        await rollback(database, folder, steps=2)
        assert [m.revision for m in await migrate(database, folder, target="0001")] == ["0001"]
        assert [m.revision for m in await pending(database, folder)] == ["0002"]
        assert await migrate(database, folder, target="0001_r1") == []
        with pytest.raises(UnknownMigration, match="0007"):
            await migrate(database, folder, target="0007")

    async def test_a_file_written_on_sqlite_runs_on_every_database(
        self, database: Database, folder: Path
    ) -> None:
        async with Database("sqlite://") as drawing_board:
            for version in (1, 2, 3):
                await makemigrations(drawing_board, _models(version)[0], folder, f"r{version}")
                await migrate(drawing_board, folder)
        await migrate(database, folder, target="0001")
        await _fill(database, _models(1)[1])
        await migrate(database, folder)
        assert await _titles(database, _models(3)[1]) == ["t0", "t1", "t2"]
        with pytest.raises(NoChanges):
            await makemigrations(database, _models(3)[0], folder, "nothing")


class TestWhatIsWritten:
    async def test_it_reads_well_and_names_no_model(self, database: Database, folder: Path) -> None:
        path = await makemigrations(database, _models(1)[0], folder, 'Add "authors"!')
        code = await asyncio.to_thread(path.read_text, encoding="utf-8")
        assert path.name == "0001_add_authors.py"
        assert code.startswith('"""Add \'authors\'!."""\n')
        assert "from mainspring.data import types\n" in code
        assert "types.Instant()" in code
        assert "fk_articles_author_id_authors" in code
        assert "auto generated" not in code
        assert re.search(r'^revision = "0001"\ndown_revision = None$', code, re.MULTILINE)

    async def test_an_empty_one_is_filled_in_by_hand(
        self, database: Database, folder: Path
    ) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        await migrate(database, folder)
        path = await makemigrations(database, _models(1)[0], folder, "fill", empty=True)
        code = path.read_text(encoding="utf-8")
        path.write_text(
            code.replace("    pass", "    op.execute(\"UPDATE authors SET name = 'Eve'\")", 1),
            encoding="utf-8",
        )
        await _fill(database, _models(1)[1])
        await migrate(database, folder)
        async with database.unit(write=False) as db:
            assert await db.scalar(select(_models(1)[1]["Author"].name)) == "Eve"


class TestRefusals:
    async def test_nothing_to_write(self, database: Database, folder: Path) -> None:
        with pytest.raises(NoChanges):
            await makemigrations(database, MetaData(), folder, "nothing")
        assert await asyncio.to_thread(os.listdir, folder) == []

    async def test_a_database_behind_the_folder(self, database: Database, folder: Path) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        with pytest.raises(UnappliedMigrations, match="beginning"):
            await makemigrations(database, _models(2)[0], folder, "second")

    async def test_a_database_ahead_of_the_folder(self, database: Database, folder: Path) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        await migrate(database, folder)
        second = await makemigrations(database, _models(2)[0], folder, "second")
        await migrate(database, folder)
        await asyncio.to_thread(second.unlink)
        for refused in (migrate, rollback, pending):
            with pytest.raises(DatabaseAhead, match="0002"):
                await refused(database, folder)

    async def test_two_heads(self, database: Database, folder: Path) -> None:
        first = await makemigrations(database, _models(1)[0], folder, "first")
        code = first.read_text(encoding="utf-8")
        _write(folder / "0002_other.py", code.replace('"0001"', '"0002"'))
        with pytest.raises(BrokenMigrations, match="0001, 0002"):
            await migrate(database, folder)

    async def test_a_file_that_is_not_python(self, database: Database, folder: Path) -> None:
        _write(folder / "0001_broken.py", "def upgrade(:")
        with pytest.raises(BrokenMigrations, match="cannot be read"):
            await migrate(database, folder)

    async def test_rolling_back_more_than_there_is(self, database: Database, folder: Path) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        with pytest.raises(NothingToRollBack, match="1 of 0"):
            await rollback(database, folder)
        await migrate(database, folder)
        with pytest.raises(NothingToRollBack, match="2 of 1"):
            await rollback(database, folder, steps=2)
        assert await current(database) == "0001"


class TestFailure:
    async def _with_a_failing_second(self, database: Database, folder: Path) -> Path:
        await makemigrations(database, _models(1)[0], folder, "first")
        path = await makemigrations_unapplied(folder)
        code = path.read_text(encoding="utf-8")
        path.write_text(
            code.replace(
                "    pass",
                "    op.add_column('authors', sa.Column('extra', sa.Integer()))\n    1 / 0",
                1,
            ),
            encoding="utf-8",
        )
        return path

    async def test_what_is_left(self, database: Database, folder: Path) -> None:
        await self._with_a_failing_second(database, folder)
        with pytest.raises(MigrationError, match=r"0002_bad failed \(ZeroDivisionError") as failed:
            await migrate(database, folder)
        shape = await database.on_connection(_shape)
        if database.engine.dialect.name == "mysql":
            assert "is kept" in failed.value.what
            assert await current(database) == "0001"
            assert "extra" in [c["name"] for c in shape["authors"]["columns"]]
        else:
            assert "nothing was changed" in failed.value.what
            assert await current(database) is None
            assert shape == {}

    async def test_mended_it_runs(self, database: Database, folder: Path) -> None:
        path = await self._with_a_failing_second(database, folder)
        with pytest.raises(MigrationError):
            await migrate(database, folder)
        code = path.read_text(encoding="utf-8")
        keep = database.engine.dialect.name != "mysql"
        code = code.replace("\n    1 / 0", "")
        path.write_text(
            code if keep else re.sub(r" +op\.add.*", "    pass", code), encoding="utf-8"
        )
        await migrate(database, folder)
        assert await current(database) == "0002"


async def makemigrations_unapplied(folder: Path) -> Path:
    async with Database("sqlite://") as nothing:
        return await makemigrations(nothing, MetaData(), folder, "bad", empty=True)


class TestOneRunner:
    async def test_of_many_at_once_one_runs(self, database: Database, folder: Path) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        done = await asyncio.gather(*(migrate(database, folder) for _ in range(6)))
        assert sorted(len(ran) for ran in done) == [0, 0, 0, 0, 0, 1]

    async def test_a_runner_that_waits_in_vain_says_so(
        self, database: Database, folder: Path
    ) -> None:
        from mainspring.migrations._lock import only_runner
        from mainspring.migrations._transaction import all_or_nothing

        await makemigrations(database, _models(1)[0], folder, "first")
        loop = asyncio.get_running_loop()
        held, release = asyncio.Event(), asyncio.Event()

        def hold(connection: Connection) -> None:
            from sqlalchemy.util import await_only

            wait = timedelta(seconds=5)
            with only_runner(connection, wait=wait), all_or_nothing(connection, wait=wait):
                held.set()
                await_only(release.wait())

        holding = loop.create_task(database.on_connection(hold))
        await held.wait()
        with pytest.raises(RunnerBusy):
            await migrate(database, folder, wait=timedelta(milliseconds=100))
        release.set()
        await holding
        assert len(await migrate(database, folder)) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
class TestSQLite:
    async def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(
        self, database: Database, folder: Path
    ) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        await migrate(database, folder)
        await _fill(database, _models(1)[1])
        path = await makemigrations(database, _models(1)[0], folder, "rebuild", empty=True)
        _write_upgrade(path, "recreate='always'", "pass")
        await migrate(database, folder)
        assert await _titles(database, _models(1)[1]) == ["t0", "t1", "t2"]
        async with database.unit() as db:
            await db.execute(text("DELETE FROM authors"))  # the cascade still holds
            assert await db.scalar(text("SELECT count(*) FROM articles")) == 0

    async def test_rebuilding_a_table_does_not_give_ids_away_again(
        self, database: Database, folder: Path
    ) -> None:
        _, models = _models(1)
        await makemigrations(database, _models(1)[0], folder, "first")
        await migrate(database, folder)
        await _fill(database, models)
        async with database.unit() as db:
            await db.execute(text("DELETE FROM authors"))
        path = await makemigrations(database, _models(1)[0], folder, "rebuild", empty=True)
        _write_upgrade(path, "recreate='always'", "pass")
        await migrate(database, folder)
        async with database.unit() as db:
            author = models["Author"](name="Eve")
            db.add(author)
            await db.flush()
            assert author.id == 2

    async def test_a_change_that_would_break_references_is_undone(
        self, database: Database, folder: Path
    ) -> None:
        await makemigrations(database, _models(1)[0], folder, "first")
        await migrate(database, folder)
        await _fill(database, _models(1)[1])
        path = await makemigrations(database, _models(1)[0], folder, "break", empty=True)
        code = path.read_text(encoding="utf-8")
        path.write_text(code.replace("    pass", "    op.execute('DELETE FROM authors')", 1))
        with pytest.raises(MigrationError, match="3 rows of articles"):
            await migrate(database, folder)
        assert await current(database) == "0001"
        assert await _titles(database, _models(1)[1]) == ["t0", "t1", "t2"]

    async def test_references_are_checked_again_afterwards(
        self, database: Database, folder: Path
    ) -> None:
        _, models = _models(1)
        await makemigrations(database, _models(1)[0], folder, "first")
        await migrate(database, folder)
        with pytest.raises(IntegrityError):
            async with database.unit() as db:
                db.add(models["Article"](author_id=7, title="t", price=Decimal(1), facts={}))


def _write(path: Path, code: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(code, encoding="utf-8")


def _write_upgrade(path: Path, options: str, body: str) -> None:
    code = path.read_text(encoding="utf-8")
    batch = f"    with op.batch_alter_table('authors', {options}):\n        {body}"
    path.write_text(code.replace("    pass", batch, 1), encoding="utf-8")
