"""Real servers: where they are, and a database of one's own on them.

A server that does not answer skips the test on a developer's machine, with the reason, and
fails it where `CI=true`. `scripts/services` starts or installs them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULTS = {
    "TEST_POSTGRESQL_URL": "postgresql://root@127.0.0.1:5432/test",
    "TEST_PGBOUNCER_URL": "postgresql://root@127.0.0.1:6432/test",
    "TEST_MYSQL_URL": "mysql://root@127.0.0.1:3306/test",
    "TEST_REDIS_URL": "redis://127.0.0.1:6379/0",
    "TEST_RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:5672/",
}


def _server(variable: str) -> str:
    if os.environ.get("TEST_SERVERS") == "none":
        pytest.skip("`make unit` leaves servers out")
    url = os.environ.get(variable) or _DEFAULTS[variable]
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 0)
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError as exc:
        reason = f"no server at {address[0]}:{address[1]} ({variable}): {exc}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return url


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """A PostgreSQL server, as somebody who may create databases."""
    return _server("TEST_POSTGRESQL_URL")


@pytest.fixture(scope="session")
def mysql_url() -> str:
    """A MySQL or MariaDB server, as somebody who may create databases."""
    return _server("TEST_MYSQL_URL")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _server("TEST_REDIS_URL")


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    return _server("TEST_RABBITMQ_URL")


@pytest.fixture(scope="module")
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database that lives as long as the test module."""
    name = _fresh_name()
    asyncio.run(_postgresql(postgresql_url, f'CREATE DATABASE "{name}"'))
    yield urlsplit(postgresql_url)._replace(path=f"/{name}").geturl()
    asyncio.run(_postgresql(postgresql_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def pgbouncer_url() -> str:
    """PgBouncer in transaction mode, before the server of `postgresql_url`."""
    return _server("TEST_PGBOUNCER_URL")


@pytest.fixture(scope="module")
def pooled_database(postgresql_url: str, pgbouncer_url: str) -> Iterator[str]:
    """The URL of an empty database, through the pooler and by the driver that is made for it."""
    import psycopg as psycopg  # its wheel runs a program as it is imported, which is not for a loop

    name = _fresh_name()
    asyncio.run(_postgresql(postgresql_url, f'CREATE DATABASE "{name}"'))
    pooled = urlsplit(pgbouncer_url)._replace(scheme="postgresql+psycopg", path=f"/{name}")
    yield pooled.geturl()
    asyncio.run(_postgresql(postgresql_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def mysql_database(mysql_url: str) -> Iterator[str]:
    """The URL of an empty MySQL or MariaDB database that lives as long as the test module."""
    name = _fresh_name()
    asyncio.run(_mysql(mysql_url, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"))
    yield urlsplit(mysql_url)._replace(path=f"/{name}").geturl()
    asyncio.run(_mysql(mysql_url, f"DROP DATABASE `{name}`"))


def _fresh_name() -> str:
    return f"ms_test_{secrets.token_hex(6)}"


async def _postgresql(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _mysql(url: str, statement: str) -> None:
    import asyncmy

    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
    finally:
        connection.close()
