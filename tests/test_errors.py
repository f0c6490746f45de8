from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from mainspring.errors import ConfigError, Finding, MainspringError, MissingExtra, suggestion
from tests.plugins.tree import classes_below

PAGES = Path(__file__).parent.parent / "docs" / "errors"
ERRORS = classes_below(MainspringError)


def _made(kind: type[MainspringError]) -> MainspringError:
    """An error of any class, whatever its constructor asks for."""
    parameters = list(inspect.signature(kind).parameters.values())
    named = {p.name: "x" for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    plain = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    try:
        return kind(*["x"] * len(plain), **named)
    except (TypeError, AttributeError):
        # The constructor works on values of its own: what must survive is the state, not the call.
        error = kind.__new__(kind)
        MainspringError.__init__(error, "what", fix="fix")
        return error


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__qualname__)
class TestEveryError:
    def test_survives_the_way_between_two_processes(self, kind: type[MainspringError]) -> None:
        error = _made(kind)
        error.evidence = 7  # type: ignore[attr-defined]
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert (copy.what, copy.fix, copy.evidence) == (error.what, error.fix, 7)
        assert str(copy) == str(error)
        assert copy.args == error.args

    def test_has_a_code_with_a_page_of_its_own(self, kind: type[MainspringError]) -> None:
        page = PAGES / f"{kind.code}.md"
        assert page.is_file(), f"write docs/errors/{kind.code}.md"
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {kind.code}\n")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings[:2] == ["Why", "What to do"]

    def test_has_a_code_that_is_dotted_lower_case(self, kind: type[MainspringError]) -> None:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)*", kind.code)

    def test_says_what_it_is_for(self, kind: type[MainspringError]) -> None:
        assert kind.__doc__
        assert kind.__doc__ != Exception.__doc__


def test_every_page_explains_an_error_or_a_finding_that_exists() -> None:
    codes = {kind.code for kind in ERRORS}
    source = "".join(
        path.read_text(encoding="utf-8") for path in (PAGES.parent.parent / "src").rglob("*.py")
    )
    pages = {page.stem for page in PAGES.glob("*.md")} - {"index"}
    orphans = {code for code in pages - codes if f'"{code}"' not in source}
    assert not orphans


def test_no_two_classes_declare_the_same_code() -> None:
    declared = [kind.code for kind in ERRORS if "code" in vars(kind)]
    assert sorted(declared) == sorted(set(declared))


def test_an_error_says_what_happened_what_to_do_and_where_to_read_more() -> None:
    error = ConfigError("the pool is larger than the server allows", fix="lower it to 90")
    assert str(error) == (
        "the pool is larger than the server allows\n"
        "  fix:  lower it to 90\n"
        "  more: mainspring explain config.invalid"
    )


def test_an_error_without_a_remedy_does_not_pretend_to_have_one() -> None:
    assert "fix:" not in str(MainspringError("gone"))


def test_a_finding_states_the_facts_of_the_error() -> None:
    error = ConfigError("what", fix="fix")
    assert error.finding == Finding("config.invalid", "what", "fix")
    assert str(error.finding) == str(error)


def test_a_traceback_names_the_class_once() -> None:
    text = "".join(traceback.format_exception_only(ConfigError("what")))
    assert text.count("ConfigError") == 1


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = MissingExtra("redis://", package="redis", extra="redis")
    assert "'redis'" in error.what
    assert error.fix == "pip install 'mainspring[redis]'"


def test_an_error_raised_in_another_process_arrives_whole() -> None:
    program = (
        "import pickle, sys; from mainspring.errors import MissingExtra; "
        "sys.stdout.buffer.write(pickle.dumps(MissingExtra('f', package='p', extra='e')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    error = pickle.loads(done.stdout)
    assert isinstance(error, MissingExtra)
    assert error.fix == "pip install 'mainspring[e]'"


@pytest.mark.parametrize(
    ("word", "expected"),
    [("reddis", "did you mean 'redis'?"), ("redis", "did you mean 'redis'?"), ("kafka", "")],
)
def test_a_suggestion_names_the_nearest_word_or_none(word: str, expected: str) -> None:
    assert suggestion(word, ["redis", "memory"]) == expected
