from __future__ import annotations

import io

import pytest

from mainspring.cli._terminal import Terminal, wants_colour, width


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "0"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour_is_for_a_person_who_has_not_declined_it(
    environ: dict[str, str], on_terminal: bool, elsewhere: bool
) -> None:
    assert wants_colour(Tty(), environ) is on_terminal
    assert wants_colour(io.StringIO(), environ) is elsewhere


def test_each_stream_decides_for_itself() -> None:
    terminal = Terminal(io.StringIO(), Tty(), environ={})
    assert terminal.paint("x", "red") == "x"
    assert terminal.paint("x", "red", "bold", err=True) == "\x1b[31;1mx\x1b[0m"


class TestTable:
    def test_columns_are_as_wide_as_their_widest_cell(self) -> None:
        out = io.StringIO()
        Terminal(out, environ={}).table(("A", "LONG"), [("one", "1"), ("é", "2")])
        assert out.getvalue() == "A    LONG\none  1\né    2\n"

    def test_colour_does_not_shift_columns(self) -> None:
        plain, coloured = io.StringIO(), Tty()
        for out in (plain, coloured):
            table = (("A", "B"), [("x", "1"), ("wide", "2")])
            Terminal(out, environ={}).table(*table, colours={0: "green"})
        stripped = coloured.getvalue()
        for code in ("\x1b[1m", "\x1b[32m", "\x1b[0m"):
            stripped = stripped.replace(code, "")
        assert stripped == plain.getvalue()

    def test_a_table_without_rows_is_its_header(self) -> None:
        out = io.StringIO()
        Terminal(out, environ={}).table(("A", "B"), [])
        assert out.getvalue() == "A  B\n"


@pytest.mark.parametrize(("text", "columns"), [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1)])
def test_a_text_is_as_wide_as_a_terminal_shows_it(text: str, columns: int) -> None:
    assert width(text) == columns


def test_json_is_one_document_that_keeps_what_people_wrote() -> None:
    out = Tty()
    Terminal(out, environ={}).json({"name": "Käse"})
    assert out.getvalue() == '{\n  "name": "Käse"\n}\n'


def test_notes_come_behind_what_was_said_before_them() -> None:
    both = io.StringIO()
    terminal = Terminal(both, both, environ={})
    terminal.say("one")
    terminal.note("two")
    assert both.getvalue() == "one\ntwo\n"
