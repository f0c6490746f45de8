from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mainspring.errors import ConfigError
from mainspring.services import Services, UnknownService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


class Database: ...


class Cache: ...


class Mailer: ...


class Diary:
    """What was opened and closed, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def factory(
        self, kind: type, *, fails: bool = False
    ) -> Callable[[], AbstractAsyncContextManager[Any]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            if fails:
                raise OSError(kind.__name__)
            self.lines.append(f"+{kind.__name__}")
            try:
                yield kind()
            finally:
                self.lines.append(f"-{kind.__name__}")

        return opened


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def services() -> Services:
    return Services()


async def test_services_open_in_order_and_close_in_reverse(
    diary: Diary, services: Services
) -> None:
    for kind in (Database, Cache, Mailer):
        services.provide(kind, diary.factory(kind))
    await services.open()
    await services.close()
    assert diary.lines == ["+Database", "+Cache", "+Mailer", "-Mailer", "-Cache", "-Database"]


async def test_when_one_fails_to_open_those_before_it_are_closed(
    diary: Diary, services: Services
) -> None:
    services.provide(Database, diary.factory(Database))
    services.provide(Cache, diary.factory(Cache))
    services.provide(Mailer, diary.factory(Mailer, fails=True))
    with pytest.raises(OSError, match="Mailer"):
        await services.open()
    assert diary.lines == ["+Database", "+Cache", "-Cache", "-Database"]
    with pytest.raises(UnknownService):
        services.get(Database)


async def test_services_can_be_opened_again_after_a_failure(
    diary: Diary, services: Services
) -> None:
    services.provide(Database, diary.factory(Database, fails=True))
    with pytest.raises(OSError, match="Database"):
        await services.open()
    services.provide(Database, diary.factory(Database))
    await services.open()
    assert isinstance(services.get(Database), Database)
    await services.close()


async def test_when_one_fails_to_close_the_others_are_closed_all_the_same(
    diary: Diary, services: Services
) -> None:
    @asynccontextmanager
    async def sticky() -> AsyncIterator[Cache]:
        yield Cache()
        raise OSError("stuck")

    services.provide(Database, diary.factory(Database))
    services.provide(Cache, sticky)
    await services.open()
    with pytest.raises(OSError, match="stuck"):
        await services.close()
    assert diary.lines == ["+Database", "-Database"]


async def test_a_service_may_use_those_before_it_until_it_is_closed(services: Services) -> None:
    seen: list[bool] = []

    @asynccontextmanager
    async def database() -> AsyncIterator[Database]:
        yield Database()

    @asynccontextmanager
    async def cache() -> AsyncIterator[Cache]:
        seen.append(isinstance(services.get(Database), Database))
        yield Cache()
        seen.append(isinstance(services.get(Database), Database))

    services.provide(Database, database)
    services.provide(Cache, cache)
    await services.open()
    await services.close()
    assert seen == [True, True]


async def test_closing_twice_closes_once(diary: Diary, services: Services) -> None:
    services.provide(Database, diary.factory(Database))
    await services.open()
    await services.close()
    await services.close()
    assert diary.lines == ["+Database", "-Database"]


async def test_opening_twice_is_refused_instead_of_leaking(
    diary: Diary, services: Services
) -> None:
    services.provide(Database, diary.factory(Database))
    await services.open()
    with pytest.raises(ConfigError, match="open already"):
        await services.open()
    await services.close()
    assert diary.lines == ["+Database", "-Database"]


async def test_a_type_that_nothing_provides_is_named(services: Services) -> None:
    with pytest.raises(UnknownService, match="no open service provides Mailer"):
        services.get(Mailer)
    assert not services.knows(Mailer)


async def test_a_service_is_known_before_it_is_open_but_not_given(
    diary: Diary, services: Services
) -> None:
    services.provide(Mailer, diary.factory(Mailer))
    assert services.knows(Mailer)
    with pytest.raises(UnknownService):
        services.get(Mailer)


async def test_a_ping_says_which_service_does_not_work_and_why(
    diary: Diary, services: Services
) -> None:
    async def fine(_: Database) -> None: ...

    async def broken(_: Cache) -> None:
        raise ConnectionError("refused")

    services.provide(Database, diary.factory(Database), ping=fine)
    services.provide(Cache, diary.factory(Cache), ping=broken)
    services.provide(Mailer, diary.factory(Mailer))
    await services.open()
    assert await services.ping() == {"Database": "", "Cache": "ConnectionError: refused"}
    await services.close()


async def test_a_factory_that_replaces_another_replaces_its_ping_too(
    diary: Diary, services: Services
) -> None:
    async def broken(_: Cache) -> None:
        raise ConnectionError("refused")

    services.provide(Cache, diary.factory(Cache), ping=broken)
    services.provide(Cache, diary.factory(Cache))
    await services.open()
    assert await services.ping() == {}
    await services.close()
