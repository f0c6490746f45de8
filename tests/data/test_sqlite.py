from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import apsw
import pytest
from sqlalchemy import func, text
from sqlalchemy.exc import DBAPIError, OperationalError

from mainspring import deadline, telemetry
from mainspring.data import (
    Database,
    DatabaseUnavailable,
    DatabaseUrlError,
    SnapshotOutdated,
    SqliteTooOld,
    WriterBusy,
    select,
    update,
)
from mainspring.data._sqlite_lane import WriterLane
from tests.data.shop import Customer, ShopModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import Connection


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{file}") as opened:
        await opened.on_connection(_make_tables)
        yield opened


def _make_tables(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.commit()


async def _add(database: Database, email: str, *, write: bool = True) -> None:
    async with database.unit(write=write) as db:
        db.add(Customer(email=email))


async def _count(database: Database) -> int:
    async with database.unit(write=False) as db:
        return int(await db.scalar(select(func.count(Customer.id))) or 0)


class Outside:
    """A writer that is not of this process, as far as SQLite can tell."""

    def __init__(self, file: Path) -> None:
        self._connection = apsw.Connection(str(file))

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def add(self, email: str) -> None:
        self._connection.execute(
            "INSERT INTO customers (email, name, created_at, updated_at) VALUES (?, '', '', '')",
            (email,),
        )

    def commit(self) -> None:
        self._connection.execute("COMMIT")


class TestWriters:
    async def test_they_wait_for_each_other_in_their_order(self, database: Database) -> None:
        order: list[int] = []

        async def write(number: int) -> None:
            async with database.unit() as db:
                db.add(Customer(email=f"{number}@x"))
                await db.flush()
                order.append(number)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(write(number) for number in range(10)))
        assert order == list(range(10))
        assert await _count(database) == 10

    async def test_readers_wait_for_nobody(self, database: Database) -> None:
        await _add(database, "a@x")
        async with database.unit() as db:
            await db.execute(update(Customer).values(name="changed"))
            async with database.unit(write=False) as reader:
                assert await reader.scalar(select(Customer.name)) == "nobody"

    async def test_a_long_line_of_writers_takes_no_connection_from_the_readers(
        self, database: Database
    ) -> None:
        loop = asyncio.get_running_loop()
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            await db.flush()
            waiting = [loop.create_task(_add(database, f"{i}@x")) for i in range(100)]
            await asyncio.sleep(0)
            with deadline.within(timedelta(seconds=1)):
                assert await _count(database) == 0
            assert database.pool.total == 2
        await asyncio.gather(*waiting)
        assert await _count(database) == 101

    async def test_the_wait_for_another_process_does_not_block_the_loop(
        self, database: Database, file: Path
    ) -> None:
        outside = Outside(file)
        outside.begin()
        writing = asyncio.get_running_loop().create_task(_add(database, "a@x"))
        for _ in range(20):
            await asyncio.sleep(0.001)  # would hang if the writer blocked
        assert not writing.done()
        outside.commit()
        await writing
        assert await _count(database) == 1

    async def test_the_wait_ends_with_the_deadline(self, database: Database, file: Path) -> None:
        outside = Outside(file)
        outside.begin()
        with deadline.within(timedelta(milliseconds=30)), pytest.raises(WriterBusy):
            await _add(database, "a@x")
        outside.commit()
        await _add(database, "a@x")

    async def test_the_wait_in_line_ends_with_the_deadline(self, database: Database) -> None:
        async with database.unit() as db:
            await db.execute(text("SELECT 1"))
            with deadline.within(timedelta(milliseconds=30)), pytest.raises(WriterBusy):
                await _add(database, "a@x")
        await _add(database, "a@x")
        assert database.pool.idle == database.pool.total

    async def test_a_writer_that_is_cancelled_in_line_lets_the_others_pass(
        self, database: Database
    ) -> None:
        loop = asyncio.get_running_loop()
        async with database.unit() as db:
            await db.execute(text("SELECT 1"))
            waiting = [loop.create_task(_add(database, f"{i}@x")) for i in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
        await asyncio.wait(waiting)
        assert [task.cancelled() for task in waiting] == [False, True, False]
        assert await _count(database) == 2


class TestAReadingUnitThatWrites:
    async def test_before_it_read_anything_it_may(self, database: Database) -> None:
        await _add(database, "a@x", write=False)
        assert await _count(database) == 1

    async def test_it_waits_in_line_like_any_other(self, database: Database) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            await db.flush()
            second = asyncio.get_running_loop().create_task(_add(database, "b@x", write=False))
            await asyncio.sleep(0.005)
            assert not second.done()
        await second
        assert await _count(database) == 2

    async def test_after_it_read_it_may_while_nobody_else_wrote(self, database: Database) -> None:
        async with database.unit(write=False) as db:
            assert await db.scalar(select(func.count(Customer.id))) == 0
            db.add(Customer(email="a@x"))
        assert await _count(database) == 1

    async def test_after_somebody_else_wrote_it_is_told(self, database: Database) -> None:
        async def read_and_write() -> None:
            async with database.unit(write=False) as db:
                await db.scalar(select(func.count(Customer.id)))
                await _add(database, "a@x")
                db.add(Customer(email="b@x"))

        with pytest.raises(SnapshotOutdated, match="somebody else wrote"):
            await read_and_write()
        await _add(database, "b@x")
        assert database.pool.idle == database.pool.total

    async def test_while_somebody_else_writes_it_is_told(
        self, database: Database, file: Path
    ) -> None:
        outside = Outside(file)

        async def read_and_write() -> None:
            async with database.unit(write=False) as db:
                await db.scalar(select(func.count(Customer.id)))
                outside.begin()
                db.add(Customer(email="b@x"))

        with pytest.raises(SnapshotOutdated):
            await read_and_write()
        outside.commit()
        await _add(database, "b@x")


async def test_many_statements_in_a_row_let_others_run(database: Database) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.get_running_loop().create_task(count())
    until = time.monotonic() + 0.1
    async with database.unit(write=False) as db:
        while time.monotonic() < until:
            await db.execute(text("SELECT 1"))
    counting.cancel()
    assert 5 <= turns <= 50


class TestTheFile:
    async def test_it_is_set_up_for_a_server(self, database: Database) -> None:
        async with database.unit(write=False) as db:
            found = {
                name: await db.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "foreign_keys", "synchronous", "mmap_size")
            }
        assert found == {
            "journal_mode": "wal",
            "foreign_keys": 1,
            "synchronous": 1,
            "mmap_size": 0,
        }

    async def test_a_library_with_the_race_between_checkpoints_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for version in ("3.40.1", "3.51.2", "3.9.99"):
            monkeypatch.setattr(apsw, "sqlite_lib_version", lambda v=version: v)
            with pytest.raises(SqliteTooOld, match=version):
                Database("sqlite://")
        for version in ("3.51.3", "3.53.0", "4.0.0"):
            monkeypatch.setattr(apsw, "sqlite_lib_version", lambda v=version: v)
            await Database("sqlite://").close()

    async def test_full_synchronisation_can_be_asked_for(self, file: Path) -> None:
        async with Database(f"sqlite:///{file}?synchronous=full") as durable:
            await durable.on_connection(_make_tables)
            await _add(durable, "a@x")
            async with durable.unit() as db:
                assert await db.scalar(text("PRAGMA synchronous")) == 2
            assert await _count(durable) == 1

    async def test_the_log_moves_into_the_file_by_itself(self, database: Database) -> None:
        moved: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen(event: telemetry.Event) -> None:
            if event.name == "data.sqlite.checkpoint":
                loop.call_soon_threadsafe(moved.put_nowait, event.facts["moved"])

        stop = telemetry.subscribe(listen)
        try:
            await _add(database, "a@x")
            assert await moved.get() > 0
        finally:
            stop()

    async def test_schema_changes_roll_back(self, database: Database) -> None:
        unit = database.unit()
        await unit.session.execute(text("CREATE TABLE extra (id INTEGER)"))
        await unit.rollback()
        with pytest.raises(OperationalError, match="no such table"):
            async with database.unit(write=False) as db:
                await db.execute(text("SELECT * FROM extra"))

    async def test_a_regular_expression_can_be_asked_for(self, database: Database) -> None:
        await _add(database, "a@x")
        async with database.unit(write=False) as db:
            found = select(Customer.email).where(Customer.email.regexp_match("^a"))
            assert await db.scalar(found) == "a@x"

    async def test_an_empty_answer_knows_its_columns(self, database: Database) -> None:
        async with database.unit(write=False) as db:
            first = await db.execute(text("SELECT id, email FROM customers"))
            assert list(first.keys()) == ["id", "email"]
            assert first.all() == []
            star = await db.execute(text("SELECT * FROM hints"))
            assert list(star.keys()) == ["id", "customer_id"]
        async with database.unit() as db:
            await db.execute(text("ALTER TABLE hints ADD COLUMN more TEXT"))
        async with database.unit(write=False) as db:
            star = await db.execute(text("SELECT * FROM hints"))
            assert list(star.keys()) == ["id", "customer_id", "more"]


class TestMemory:
    async def test_all_units_share_it(self) -> None:
        async with Database("sqlite://") as memory:
            await memory.on_connection(_make_tables)
            await _add(memory, "a@x")
            async with memory.unit() as db:
                db.add(Customer(email="b@x"))
                await db.flush()
                assert await _count(memory) == 1
            assert await _count(memory) == 2

    async def test_two_do_not_share_one(self) -> None:
        async with Database("sqlite://") as first, Database("sqlite:///:memory:") as second:
            await first.on_connection(_make_tables)
            with pytest.raises(DBAPIError, match="no such table"):
                await _count(second)

    async def test_nothing_is_left_of_it(self) -> None:
        from pathlib import Path

        memory = Database("sqlite://")
        await memory.ping()
        folder = Path(memory._backend.path).parent
        assert await asyncio.to_thread(folder.exists)
        await memory.close()
        assert not await asyncio.to_thread(folder.exists)


class TestUrls:
    def test_a_folder_that_is_not_there(self) -> None:
        with pytest.raises(DatabaseUrlError, match="does not exist"):
            Database("sqlite:////nowhere/at/all/app.db")

    def test_an_option_that_is_not_there(self) -> None:
        with pytest.raises(DatabaseUrlError, match="syncronous") as refused:
            Database("sqlite:///app.db?syncronous=full")
        assert "did you mean 'synchronous'?" in str(refused.value)

    def test_a_value_that_is_not_there(self) -> None:
        with pytest.raises(DatabaseUrlError, match="maybe"):
            Database("sqlite:///app.db?synchronous=maybe")

    def test_a_relative_path_is_beside_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert Database("sqlite:///app.db")._backend.path == str(tmp_path / "app.db")

    async def test_a_file_that_is_no_database(self, file: Path) -> None:
        await asyncio.to_thread(file.write_bytes, b"hello " * 1000)
        async with Database(f"sqlite:///{file}") as broken:
            with pytest.raises(DatabaseUnavailable, match="not a database"):
                await broken.ping()


class TestTheLane:
    async def test_it_goes_to_the_next_in_line(self) -> None:
        lane = WriterLane(limit=timedelta(seconds=5))
        assert lane.take_now()
        assert not lane.take_now()
        waiting = [
            asyncio.get_running_loop().create_task(lane.begin(lambda: True)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        assert lane.waiting == 2
        lane.give()
        await waiting[0]
        assert not waiting[1].done()
        assert not lane.take_now()  # those in line come first
        lane.give()
        await waiting[1]
        lane.give()
        assert lane.take_now()

    async def test_it_is_free_again_if_the_lock_is_never_granted(self) -> None:
        lane = WriterLane(limit=timedelta(milliseconds=5))
        with pytest.raises(WriterBusy):
            await lane.begin(lambda: False)
        assert lane.take_now()

    async def test_granted_and_cancelled_at_once_it_passes_on(self) -> None:
        lane = WriterLane(limit=timedelta(seconds=5))
        assert lane.take_now()
        task = asyncio.get_running_loop().create_task(lane.begin(lambda: True))
        await asyncio.sleep(0)
        lane.give()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert lane.take_now()

    async def test_a_process_that_writes_without_a_gap_pauses_for_the_others(self) -> None:
        lane = WriterLane(limit=timedelta(seconds=5))
        began = time.monotonic()
        pauses = 0
        asked = 0.0

        def ask() -> bool:
            nonlocal pauses, asked
            now = time.monotonic()
            pauses += asked > 0 and now - asked > 0.0015
            asked = time.monotonic()
            return True

        async def write() -> None:
            while time.monotonic() - began < 0.2:
                await lane.begin(ask)
                await asyncio.sleep(0)
                lane.give()

        await asyncio.gather(write(), write(), write())
        assert pauses > 0


async def test_who_finds_the_file_locked_gets_its_turn_as_soon_as_that_is_over(
    tmp_path: Path,
) -> None:
    """Also where nobody else of the process uses the connection that was tried and given back."""
    url = f"sqlite:///{tmp_path}/app.db"
    async with Database(url) as ours, Database(url) as theirs:
        await ours.on_connection(lambda c: (ShopModel.metadata.create_all(c), c.commit()))
        async with ours.unit() as db:
            db.add(Customer(email="first@x"))
        blocking = theirs.unit()
        blocking.session.add(Customer(email="blocking@x"))
        await blocking.session.flush()

        async def write() -> None:
            async with ours.unit() as db:
                db.add(Customer(email="waiting@x"))

        writing = asyncio.create_task(write())
        await asyncio.sleep(0.05)
        assert not writing.done()
        await blocking.commit()
        async with asyncio.timeout(2):
            await writing
