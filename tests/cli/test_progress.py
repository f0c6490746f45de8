from __future__ import annotations

import io
import re

import pytest

from mainspring.cli._progress import Bars, bar_of
from mainspring.cli._terminal import Terminal
from tests.cli.test_terminal import Tty


def test_the_items_come_through_as_they_are() -> None:
    bars = Bars(Terminal(err=io.StringIO(), environ={}))
    assert list(bars.track("abc", "letters")) == ["a", "b", "c"]
    assert list(bars.track(iter([1, 2]), "numbers")) == [1, 2]


def test_outside_of_a_terminal_it_is_a_plain_line_at_the_end() -> None:
    err = io.StringIO()
    list(Bars(Terminal(err=err, environ={})).track(range(1234), "articles"))
    assert re.fullmatch(r"articles: 1,234 in \d\.\d s\n", err.getvalue())


def test_on_a_terminal_it_is_one_line_that_is_written_again() -> None:
    err = Tty()
    list(Bars(Terminal(err=err, environ={"NO_COLOR": "1"})).track(range(10), "articles"))
    written = err.getvalue()
    assert written.startswith("\rarticles  ")
    assert written.count("\n") == 1
    assert written.endswith("10  0 s\x1b[K\n")


def test_work_that_fails_leaves_the_line_where_it_stopped() -> None:
    err = io.StringIO()
    tracked = Bars(Terminal(err=err, environ={})).track(range(10), "articles")
    next(tracked)
    next(tracked)
    with pytest.raises(ZeroDivisionError):
        tracked.throw(ZeroDivisionError)  # type: ignore[attr-defined]  # it is a generator
    assert err.getvalue().startswith("articles: 1 in")


@pytest.mark.parametrize(
    ("done", "total", "full"), [(0, 10, 0), (5, 10, 14), (10, 10, 28), (20, 10, 28), (0, 0, 0)]
)
def test_a_bar_is_as_full_as_the_work_is_done(done: int, total: int, full: int) -> None:
    assert bar_of(done, total).count("█") == full


def test_work_of_unknown_length_has_no_bar() -> None:
    assert not bar_of(5, None)
