"""The suite's own promises: what `tests/plugins` fails, and what it lets pass."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], pytest.RunResult]:
    def run_tests(source: str) -> pytest.RunResult:
        pytester.makepyprojecttoml("[tool.pytest]\nanyio_mode = 'auto'\ntimeout = '20'\n")
        pytester.makeconftest("pytest_plugins = ['tests.plugins.loop', 'tests.plugins.servers']\n")
        pytester.makepyfile(dedent(source))
        return pytester.runpytest_inprocess("-p", "no:schemathesis", "-p", "no:cacheprovider")

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("TEST_SERVERS", raising=False)
    return run_tests


def test_async_tests_and_fixtures_run_on_a_loop_of_their_own(
    run: Callable[[str], pytest.RunResult],
) -> None:
    result = run("""
        import asyncio, pytest

        seen = []

        @pytest.fixture
        async def group():
            async with asyncio.TaskGroup() as group:
                yield group

        @pytest.mark.parametrize("n", [1, 2])
        async def test_one(group, n):
            loop = asyncio.get_running_loop()
            assert "uvloop" in type(loop).__module__
            assert loop not in seen
            seen.append(loop)
            group.create_task(asyncio.sleep(0))

        class TestInAClass:
            async def test_two(self, group): ...
    """)
    result.assert_outcomes(passed=3)


def test_a_task_that_outlives_its_test_fails_it_by_name(
    run: Callable[[str], pytest.RunResult],
) -> None:
    result = run("""
        import asyncio

        async def test_leaves_one():
            global task
            task = asyncio.create_task(asyncio.sleep(60), name="forgotten")

        async def test_cancels_it():
            asyncio.create_task(asyncio.sleep(60)).cancel()
    """)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["1 task(s) outlived the test:", "*forgotten*"])


def test_an_async_test_that_takes_too_long_is_ended_under_uvloop_too(
    run: Callable[[str], pytest.RunResult],
) -> None:
    result = run("""
        import asyncio, pytest
        from hypothesis import given, strategies

        @pytest.mark.timeout(0.05)
        async def test_waits():
            await asyncio.Event().wait()

        @pytest.mark.timeout(0.05)
        @given(strategies.none())
        async def test_waits_for_examples(_):
            await asyncio.Event().wait()

        async def test_raises_a_timeout_of_its_own():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0)
    """)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*the test took longer than 0.05 s*"])


def test_our_code_may_not_block_the_loop_unless_the_test_says_so(
    run: Callable[[str], pytest.RunResult],
) -> None:
    result = run("""
        import time, pytest
        from mainspring import telemetry

        def sleepy(event):
            time.sleep(0)

        @pytest.fixture(autouse=True)
        def listener():
            end = telemetry.subscribe(sleepy)
            yield
            end()

        async def test_blocks(capsys):
            telemetry.emit("x")
            assert "Blocking call to time.sleep" in capsys.readouterr().err

        @pytest.mark.may_block("shown here")
        async def test_may_block(capsys):
            telemetry.emit("x")
            assert not capsys.readouterr().err

        def test_without_a_loop_there_is_nothing_to_block(capsys):
            telemetry.emit("x")
            assert not capsys.readouterr().err
    """)
    result.assert_outcomes(passed=3)


MISSING = """
    import pytest

    def test_needs_a_server(redis_url): ...
"""


def test_a_missing_server_skips_the_test_and_says_why(
    run: Callable[[str], pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    result = run(MISSING)
    result.assert_outcomes(skipped=1)


def test_a_missing_server_fails_the_test_in_continuous_integration(
    run: Callable[[str], pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CI", "true")
    result = run(MISSING)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no server at 127.0.0.1:1 (TEST_REDIS_URL): *"])
