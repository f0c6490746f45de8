"""Async tests: `async def` tests and fixtures just work, on uvloop, one loop per test.

anyio's plugin runs them: it keeps the fixtures and the test in one task, so that a task group
or a timeout may span a fixture's `yield`, it fails a test for an exception in a callback, and
it knows hypothesis. What is added here: a bound on a test's
time that holds under uvloop, a task that outlives its test fails it, and so does our code
when it blocks the event loop.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import blockbuster_ctx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

# "file:function" that may block the loop, and why. SQLite is not here because nobody watches its
# driver: a statement answered from the page cache takes microseconds, a hop to a thread ten times
# as many, and what takes longer is moved off the loop by `mainspring.data` itself.
_MAY_BLOCK_IN = {
    "asyncpg/connect_utils.py:_parse_connect_dsn_and_args": "looks for the user's password file,"
    " once for each new connection",
    "mainspring/data/sqlite.py:_place": "looks for the folder of the file, once for each database",
    "mainspring/data/sqlite.py:close": "removes an in-memory database's folder, once for each",
    "mainspring/http/_media_types.py:_known": "reads the machine's table, once for each process",
    "mainspring/http/_jinja.py:__init__": "looks for the folders, before the application starts",
    "mainspring/http/_jinja.py:check": "reads every template, before the application starts",
    "mainspring/observe/_writer.py:close": "writes the last lines when the application ends",
}

_SECONDS = pytest.StashKey[float]()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Of a single test's scope, so that a fixture that lives longer cannot be async."""
    return "asyncio", {"use_uvloop": find_spec("uvloop") is not None}


@pytest.fixture
async def no_task_outlives_the_test() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if not _is_the_runners(task)}
    if left:
        # A task that is on its way out may still have something to close; one that has no owner
        # is there after a second too.
        _, left = await asyncio.wait(left, timeout=1)
    if left:
        names = "\n".join(f"  {task!r}" for task in left)
        pytest.fail(f"{len(left)} task(s) outlived the test:\n{names}", pytrace=False)


def _is_the_runners(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")


@pytest.fixture
def nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("may_block"):
        yield
        return
    with blockbuster_ctx("mainspring") as watch:
        for function in watch.functions.values():
            for place in _MAY_BLOCK_IN:
                function.can_block_in(*place.split(":"))
        yield


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "may_block(reason): the loop is blocked on purpose; nobody watches for it"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> None:
    if collector.istestfunction(obj, name) and iscoroutinefunction(_inner(obj)):
        pytest.mark.usefixtures("no_task_outlives_the_test", "nothing_blocks_the_loop")(obj)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Bound async tests twice: by a cancellation, and later by the end of the process.

    pytest-timeout raises in a signal handler, which uvloop reports and then ignores.
    """
    if isinstance(item, pytest.Function) and iscoroutinefunction(_inner(item.obj)):
        marker = item.get_closest_marker("timeout")
        seconds = float(marker.args[0] if marker else item.config.getini("timeout"))
        item.stash[_SECONDS] = seconds
        item.add_marker(pytest.mark.timeout(seconds + 30, method="thread"), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    seconds = pyfuncitem.stash.get(_SECONDS, None)
    if seconds is None:
        return
    if hasattr(pyfuncitem.obj, "hypothesis"):
        test = pyfuncitem.obj.hypothesis
        test.inner_test = _bounded(test.inner_test, seconds)
    else:
        pyfuncitem.obj = _bounded(pyfuncitem.obj, seconds)


def _inner(test: Any) -> Any:
    return test.hypothesis.inner_test if hasattr(test, "hypothesis") else test


def _bounded(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Any]:
    @wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        try:
            async with asyncio.timeout(seconds) as bound:
                await test(*args, **kwargs)
        except TimeoutError as exc:
            if bound.expired():
                raise AssertionError(f"the test took longer than {seconds:g} s") from exc
            raise

    return bounded
