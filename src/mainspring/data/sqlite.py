"""SQLite: a file in write-ahead mode, read and written in place on the event loop."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
from sqlalchemy import NullPool, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from mainspring.data._errors import (
    DatabaseUnavailable,
    DatabaseUrlError,
    SnapshotOutdated,
    SqliteTooOld,
    writer_busy,
)
from mainspring.data._hot import Plans
from mainspring.data._link import Link, from_json, to_json
from mainspring.data._retry import Retry
from mainspring.data._sqlite_checkpoint import Checkpoint
from mainspring.data._sqlite_driver import SqliteDriver
from mainspring.data._sqlite_lane import WriterLane, bound, pause
from mainspring.data._sqlite_turn import Turn
from mainspring.errors import suggestion

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

    from mainspring.data._backend import Backend
    from mainspring.data._sqlite_dbapi import Connection

_SYNCHRONOUS = ("normal", "full")
_FIXED = (3, 51, 3)
_CACHE_BYTES = 8 * 1024 * 1024


class Sqlite:
    """The SQLite backend.

    `sqlite:///app.db` is a file beside the working directory, `sqlite:////srv/app.db` an
    absolute one, and `sqlite://` a database that is gone when it is closed. Options:
    `?synchronous=full` makes every commit wait for the disk.
    """

    pool_size = 16
    one_writer = True
    reads_in_place = True

    def __init__(self, url: str) -> None:
        check_version(apsw.sqlite_lib_version())
        self.driver = SqliteDriver()
        self.plans = Plans()
        parsed = make_url(url)
        self._url = url
        self.path, self._folder = _place(parsed)
        # A database that ends with the process has nothing to save from a power cut.
        synchronous = "off" if self._folder else _synchronous(parsed)
        self._lane = WriterLane(limit=timedelta(seconds=5))
        self._checkpoint = Checkpoint(self.path, delay=timedelta(seconds=1))
        registry.register("sqlite.mainspring", "mainspring.data._sqlite_dialect", "SqliteDialect")
        self._engine = create_async_engine(
            "sqlite+mainspring://",
            poolclass=NullPool,
            pool_reset_on_return=None,
            json_serializer=to_json,
            json_deserializer=from_json,
            connect_args={
                "path": self.path,
                "lane": self._lane,
                "turn": Turn(),
                "committed": self._checkpoint.committed,
                "synchronous": synchronous,
                "cache_bytes": _CACHE_BYTES,
            },
        ).sync_engine

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def sibling_url(self) -> str:
        """What opens the same file; the database that ends with the process has one too."""
        return self._url if self._folder is None else f"sqlite:///{self.path}"

    async def open(self) -> Link:
        until = time.monotonic() + (limit := bound(self._lane.limit))
        while True:
            try:
                return Link(await greenlet_spawn(self._engine.connect))
            except DBAPIError as exc:
                # Another process that opens, closes or recovers the file locks it for a moment.
                if "locked" not in str(exc.orig):
                    raise DatabaseUnavailable(
                        f"cannot open {self.path}: {exc.orig}",
                        fix="check that it is a SQLite database and that its folder is writable",
                    ) from exc
            if time.monotonic() >= until:
                raise writer_busy(limit)
            await pause()

    def is_open(self, raw: Connection) -> bool:
        return raw.is_open

    def is_clean(self, raw: Connection) -> bool:
        return not raw.in_transaction and not raw.holds_lane

    def begin_now(self, raw: Connection, *, write: bool) -> bool:
        raw.writes = write
        return raw.begin_now()

    async def begin(self, raw: Connection, *, write: bool) -> None:
        raw.writes = write
        await raw.begin_in_line()

    def retry(self, error: BaseException) -> Retry | None:
        return Retry.OUTDATED if isinstance(error, SnapshotOutdated) else None

    async def bury(self, raw: Connection) -> None:
        raw.close()

    async def close(self) -> None:
        await self._checkpoint.close()
        if self._folder is not None:
            self._folder.cleanup()


def check_version(version: str) -> None:
    """Refuse a SQLite with the race of two checkpoints (fixed in 3.51.3, of 13 March 2026).

    Raises:
        SqliteTooOld: it is older; wheels of apsw bring one that is not.
    """
    if tuple(int(part) for part in version.split(".")) < _FIXED:
        raise SqliteTooOld(
            f"SQLite {version} can lose commits when several connections use one file",
            fix="install apsw from its wheel, which brings its own SQLite: pip install -U apsw",
        )


def _place(url: URL) -> tuple[str, tempfile.TemporaryDirectory[str] | None]:
    if url.database and url.database != ":memory:":
        path = Path(url.database).absolute()
        if not path.parent.is_dir():
            raise DatabaseUrlError(
                f"the folder {path.parent} of the database does not exist",
                fix="make the folder, or correct DATABASE_URL",
            )
        return str(path), None
    # SQLite's own in-memory databases belong to one connection or lock whole tables. A file
    # that nobody waits for behaves like the real thing, and stays in the page cache.
    folder = tempfile.TemporaryDirectory(prefix="mainspring-", ignore_cleanup_errors=True)
    return str(Path(folder.name) / "memory.db"), folder


def _synchronous(url: URL) -> str:
    for option in url.query:
        if option != "synchronous":
            raise DatabaseUrlError(
                f"SQLite has no option {option!r}",
                fix=suggestion(option, ["synchronous"]) or "the only one is ?synchronous=full",
            )
    value = str(url.query.get("synchronous", "normal")).lower()
    if value not in _SYNCHRONOUS:
        raise DatabaseUrlError(
            f"synchronous={value!r} is not known", fix="use synchronous=normal or synchronous=full"
        )
    return value


if TYPE_CHECKING:
    _fits: type[Backend] = Sqlite
