"""The convention itself: what is found on a page, and what fails one."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import BadBlock, Command, blocks_of, commands_of, contains, matches
from tests.docs.page import CommandMissing, Page, PageFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Path]:
    def run_page(text: str) -> Path:
        path, folder = tmp_path / "page.md", tmp_path / "reader"
        path.write_text(dedent(text))
        folder.mkdir(exist_ok=True)
        with Page(path, folder) as page:
            page.run()
        return folder

    return run_page


def test_a_block_knows_its_language_its_line_its_file_and_its_note() -> None:
    first, second, third, fourth = blocks_of(
        dedent("""\
        # Title

        ```python
        x = 1
        ```
        - in a list

          ```toml
          # file: a/b.toml
          x = 1
          ```

        <!-- not run: it needs a cluster -->

        ```sh
        rm -rf everything
        ```
        <!-- console
        $ hidden
        -->
        """)
    )
    assert (first.language, first.text, first.line) == ("python", "x = 1\n", 4)
    assert (second.language, second.file, second.line) == ("toml", "a/b.toml", 9)
    assert second.text == "# file: a/b.toml\nx = 1\n"
    assert (third.language, third.not_run) == ("sh", "it needs a cluster")
    assert (fourth.language, fourth.text, fourth.not_run) == ("console", "$ hidden\n", "")


@pytest.mark.parametrize(
    "page",
    [
        "```py\nx = 1\n```\n",
        "```\nx = 1\n```\n",
        "<!-- not run: -->\n```sh\nx\n```\n",
        "<!-- not run: reason -->\ntext between\n```sh\nx\n```\n",
    ],
)
def test_a_block_must_say_what_it_is_and_a_note_why_and_of_what(page: str) -> None:
    with pytest.raises(BadBlock):
        blocks_of(page)


def test_a_console_block_is_commands_with_what_they_print() -> None:
    [block] = blocks_of("```console\n$ a \\\n    b\none\ntwo\n$ c &\nready\n$ d\n```\n")
    assert commands_of(block) == [
        Command("a \\\n    b", "one\ntwo", stays=False),
        Command("c", "ready", stays=True),
        Command("d", "", stays=False),
    ]


def test_a_console_block_begins_with_a_command() -> None:
    [block] = blocks_of("```console\nmake test\n```\n")
    with pytest.raises(BadBlock):
        commands_of(block)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\nb", "a  \nb\n\n", True),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("in ... ms", "in 12 ms", True),
        ("a", "a\nb", False),
        ("a.c", "abc", False),
    ],
)
def test_dots_stand_for_anything_and_nothing_else_does(
    expected: str, printed: str, same: bool
) -> None:
    assert matches(expected, printed) is same


def test_a_server_may_print_more_than_is_expected() -> None:
    assert contains("ready on ...", "hello\nready on 1\nmore")
    assert not contains("ready on ...", "hello\n")


def test_blocks_share_names_files_and_an_event_loop(run: Callable[[str], Path]) -> None:
    folder = run("""
        ```python
        # file: pkg/greeting.py
        def greet(name: str) -> str:
            return f"hello {name}"
        ```

        ```python
        import asyncio
        from pkg.greeting import greet
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        ```

        ```console
        $ python -c 'from pkg.greeting import greet; print(greet("you"))'
        hello ...
        $ echo data > made.txt
        ```

        ```python
        assert greet("me") == "hello me"
        assert open("made.txt").read() == "data\\n"
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop
        ```

        ```toml
        [tool.mainspring]
        port = 1
        ```
    """)
    assert (folder / "pyproject.toml").is_file()


def test_a_change_of_folder_holds_for_the_rest_of_the_page(run: Callable[[str], Path]) -> None:
    folder = run("""
        ```console
        $ mkdir -p one/two
        $ cd one
        $ cd two
        ```

        ```text
        # file: here.txt
        ```

        ```sh
        test -f here.txt
        ```
    """)
    assert (folder / "one" / "two" / "here.txt").is_file()


def test_a_command_that_stays_is_waited_for_and_stopped_at_the_end(
    run: Callable[[str], Path],
) -> None:
    run("""
        ```console
        $ python -m http.server --bind 127.0.0.1 8000 &
        Serving HTTP on 127.0.0.1 port 8000 ...
        ```

        ```python
        from urllib.request import urlopen
        assert urlopen("http://127.0.0.1:8000/").status == 200
        ```
    """)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```python\nx = 1\nassert x == 2\n```", r'line 2: .*\n.*"page.md", line 3'),
        ("```python\nimport os; os._exit(3)\n```", "the interpreter died"),
        ("```console\n$ false\n```", "exited with 1"),
        ("<!-- fails -->\n```console\n$ true\n```", "exited with 0"),
        ("```console\n$ echo a\nb\n```", "the page says"),
        ("```console\n$ echo a &\nready\n```", "the page says"),
        ("```sh\nfalse | true\n```", "exited with 1"),
        ("```toml\nx = \n```", "Invalid value"),
        ("```toml\n[tool.mainspring]\nprot = 1\n```", "did you mean 'port'"),
    ],
)
def test_a_block_that_does_something_else_fails_the_page(
    run: Callable[[str], Path], text: str, reason: str
) -> None:
    with pytest.raises(PageFailed, match=reason):
        run(text)


def test_a_command_that_is_expected_to_fail_may_fail(run: Callable[[str], Path]) -> None:
    run("<!-- fails -->\n```console\n$ echo no; exit 2\nno\n```\n")


def test_a_program_that_is_missing_is_told_from_one_that_fails(run: Callable[[str], Path]) -> None:
    with pytest.raises(CommandMissing):
        run("```console\n$ surely-not-installed\n```\n")


def test_a_page_sees_nothing_of_the_environment_of_the_tests(
    run: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere")
    run(f"""
        ```python
        import os, sys
        assert "DATABASE_URL" not in os.environ
        assert sys.executable == {sys.executable!r}
        ```
    """)
