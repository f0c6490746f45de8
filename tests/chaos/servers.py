"""The database of a run: a file, a PostgreSQL cluster of its own, or a database on a server."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from tests.chaos.world import free_port
from tests.plugins.servers import _mysql, _postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOUND_SECONDS = 60


class Server(Protocol):
    """A database that can be hurt.

    Attributes:
        url: of an empty database.
        hurts: names of what can be done to it.
    """

    url: str
    hurts: tuple[str, ...]

    async def hurt(self, how: str) -> None:
        """Do it; the server works again when this returns, or soon after."""
        ...


class File:
    """SQLite: there is no server to hurt."""

    hurts = ()

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/chaos.db"

    async def hurt(self, how: str) -> None:
        raise NotImplementedError(how)


class Shared:
    """A database of one's own on a server of others: only its connections are cut."""

    hurts = ("connections cut",)

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self.url = urlsplit(url)._replace(path=f"/{name}").geturl()
        self._postgresql = url.startswith("postgres")

    async def hurt(self, how: str) -> None:
        assert how in self.hurts
        if self._postgresql:
            await _postgresql(
                self._url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{self._name}' AND pid <> pg_backend_pid()",
            )
        else:
            await _mysql(self._url, _KILL_ALL.replace("NAME", self._name))


_KILL_ALL = """
BEGIN NOT ATOMIC
  DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
  FOR one IN (SELECT id FROM information_schema.processlist WHERE db = 'NAME'
      AND id <> connection_id()) DO
    KILL CONNECTION one.id;
  END FOR;
END
"""


class Cluster(Shared):
    """A PostgreSQL cluster of its own: it can also be crashed and started again."""

    hurts = ("connections cut", "server crashed")

    def __init__(self, folder: Path, *, port: int) -> None:
        super().__init__(f"postgresql://chaos@127.0.0.1:{port}/postgres", "chaos")
        self._folder, self._port = folder, port

    def make(self) -> None:
        """Initialise and start it, with an empty database."""
        self._run("initdb", "-D", self._data, "-U", "chaos", "-A", "trust", "-E", "UTF8")
        self._control("start")
        asyncio.run(_postgresql(self._url, f"CREATE DATABASE {self._name}"))

    async def hurt(self, how: str) -> None:
        if how != "server crashed":
            await super().hurt(how)
            return
        # "immediate" is a crash: nothing is written, and the log is replayed at the start.
        await asyncio.to_thread(self._control, "stop", "-m", "immediate")
        await asyncio.to_thread(self._control, "start")

    def end(self) -> None:
        self._control("stop", "-m", "immediate")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _control(self, word: str, *more: str) -> None:
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
        started = ["-o", options, "-l", str(self._folder / "log")] if word == "start" else []
        self._run("pg_ctl", word, "-w", "-D", self._data, *started, *more)

    def _run(self, *words: str) -> None:
        # PostgreSQL refuses to run as root.
        as_user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        done = subprocess.run(
            words, cwd=self._folder, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=_BOUND_SECONDS, **as_user,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


@contextmanager
def server_for(url: str, folder: Path, *, shared: bool) -> Iterator[Server]:
    """The database of a run on the kind of server that the URL names."""
    if url.startswith("sqlite"):
        yield File(folder)
    elif url.startswith("postgres") and not shared and shutil.which("initdb"):
        with tempfile.TemporaryDirectory(prefix="chaos-pg-", ignore_cleanup_errors=True) as name:
            if os.getuid() == 0:
                shutil.chown(name, "postgres", "postgres")
            cluster = Cluster(Path(name), port=free_port())
            cluster.make()
            try:
                yield cluster
            finally:
                cluster.end()
    else:
        name = f"ms_chaos_{secrets.token_hex(4)}"
        run = _postgresql if url.startswith("postgres") else _mysql
        asyncio.run(run(url, f"CREATE DATABASE {name}"))
        try:
            yield Shared(url, name)
        finally:
            force = " WITH (FORCE)" if run is _postgresql else ""
            asyncio.run(run(url, f"DROP DATABASE {name}{force}"))
