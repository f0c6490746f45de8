"""The servers that the suite talks to, as `tests/plugins/servers.py` gives them out."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncmy
import asyncpg
import pytest


async def test_postgresql_gives_the_module_an_empty_database(postgresql_database: str) -> None:
    connection = await asyncpg.connect(postgresql_database)
    tables = await connection.fetchval(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    )
    name = await connection.fetchval("SELECT current_database()")
    await connection.close()
    assert (tables, f"/{name}") == (0, urlsplit(postgresql_database).path)


async def test_mysql_gives_the_module_an_empty_database(mysql_database: str) -> None:
    parts = urlsplit(mysql_database)
    connection = await asyncmy.connect(
        host=parts.hostname, port=parts.port, user=parts.username, db=parts.path[1:]
    )
    async with connection.cursor() as cursor:
        await cursor.execute("SHOW TABLES")
        tables = await cursor.fetchall()
    connection.close()
    assert not tables


def test_a_database_is_dropped_when_its_module_ends(
    pytester: pytest.Pytester, postgresql_url: str, mysql_url: str
) -> None:
    pytester.makeconftest("pytest_plugins = ['tests.plugins.servers']\n")
    pytester.makepyfile("""
        def test_says_its_name(postgresql_database, mysql_database):
            print("\\n" + postgresql_database, mysql_database, sep="\\n")
    """)
    result = pytester.runpytest_inprocess("-s", "-p", "no:schemathesis")
    result.assert_outcomes(passed=1)
    one, other = (line for line in result.outlines if "ms_test_" in line)
    pytester.makepyfile(f"""
        import asyncio, asyncpg, asyncmy, pytest

        def test_postgresql_has_dropped_it():
            with pytest.raises(asyncpg.InvalidCatalogNameError):
                asyncio.run(asyncpg.connect({one!r}))

        def test_mysql_has_dropped_it():
            async def connect():
                await asyncmy.connect(
                    host={urlsplit(mysql_url).hostname!r},
                    port={urlsplit(mysql_url).port!r},
                    user={urlsplit(mysql_url).username!r},
                    db={urlsplit(other).path[1:]!r},
                )
            with pytest.raises(asyncmy.errors.OperationalError, match="Unknown database"):
                asyncio.run(connect())
    """)
    pytester.runpytest_inprocess("-p", "no:schemathesis").assert_outcomes(passed=2)


@pytest.mark.parametrize("fixture", ["redis_url", "rabbitmq_url"])
def test_the_other_servers_answer(fixture: str, request: pytest.FixtureRequest) -> None:
    assert urlsplit(request.getfixturevalue(fixture)).port
