"""The seam between the data layer and one kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mainspring.backends import Backends

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from mainspring.data._driver import Driver
    from mainspring.data._hot import Plans
    from mainspring.data._link import Link
    from mainspring.data._retry import Retry


class Backend(Protocol):
    """One database, as the pool and the unit of work need it.

    Promises (checked by `tests/data` on every backend):

    - `open` gives a connection outside any transaction, or raises `DatabaseUnavailable`.
    - `is_open` and `is_clean` do no I/O.
    - `bury` ends within seconds, closes the connection, and stops what the server is still
      doing for it.
    - `retry` is pure, and names a reason only if the database has undone the transaction or
      can undo it whole.
    - `begin` returns with the transaction begun, or leaves everything as it was.
    """

    pool_size: int
    one_writer: bool
    """Whether writing units have to wait for each other."""
    reads_in_place: bool
    """Whether the driver may answer a read without waiting."""

    @property
    def engine(self) -> Engine: ...
    @property
    def driver(self) -> Driver: ...
    @property
    def plans(self) -> Plans: ...
    async def open(self) -> Link: ...
    def is_open(self, raw: Any) -> bool: ...
    def is_clean(self, raw: Any) -> bool: ...
    def begin_now(self, raw: Any, *, write: bool) -> bool:
        """Begin without waiting; False if `begin` has to be awaited."""
        ...

    async def begin(self, raw: Any, *, write: bool) -> None: ...
    async def bury(self, raw: Any) -> None: ...
    def retry(self, error: BaseException) -> Retry | None:
        """Why a unit that ended with the error may be done again; None if that is in vain."""
        ...

    async def close(self) -> None: ...


class Opener(Protocol):
    """What the table names: a backend from its URL, without any I/O."""

    def __call__(self, url: str, /) -> Backend: ...


BACKENDS: Backends[Opener] = Backends(
    "databases",
    {
        "sqlite": "mainspring.data.sqlite:Sqlite",
        "postgresql": "mainspring.data.postgresql:PostgreSQL",
        "postgres": "mainspring.data.postgresql:PostgreSQL",
        "postgresql+psycopg": "mainspring.data.postgresql_psycopg:PooledPostgreSQL",
        "mysql": "mainspring.data.mysql:MySQL",
        "mariadb": "mainspring.data.mysql:MySQL",
    },
    extras={"postgres": "postgresql", "postgresql+psycopg": "psycopg", "mariadb": "mysql"},
)
