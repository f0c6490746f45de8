from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mainspring import telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.telemetry import Event


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    events: list[Event] = []
    end = telemetry.subscribe(events.append)
    yield events
    end()


@dataclass
class Request:
    id: str = "r1"
    trace_id: str = "t1"


def test_a_listener_hears_the_name_and_the_facts(heard: list[Event]) -> None:
    telemetry.emit("cache.hit", key="k", name="a fact may be called name")
    [event] = heard
    assert event.name == "cache.hit"
    assert event.facts == {"key": "k", "name": "a fact may be called name"}
    assert event.seconds is None
    assert event.unit is None


def test_a_listener_that_has_ended_hears_nothing_and_may_end_again() -> None:
    events: list[Event] = []
    end = telemetry.subscribe(events.append)
    end()
    end()
    telemetry.emit("cache.hit")
    assert events == []


def test_an_event_carries_the_unit_of_work_it_happened_in(heard: list[Event]) -> None:
    token = telemetry.current.set(Request())
    telemetry.emit("cache.hit")
    telemetry.current.reset(token)
    telemetry.emit("cache.hit")
    assert [event.unit for event in heard] == [Request(), None]


def test_a_span_is_told_once_with_its_duration_and_what_was_noted(heard: list[Event]) -> None:
    with telemetry.span("db.query", table="note") as seen:
        assert heard == []
        seen.note(rows=3)
    [event] = heard
    assert event.facts == {"table": "note", "rows": 3}
    assert event.seconds is not None
    assert event.seconds >= 0
    assert event.error is None


def test_a_span_that_fails_is_told_with_the_error_and_lets_it_pass(heard: list[Event]) -> None:
    error = OSError("gone")
    with pytest.raises(OSError, match="gone"), telemetry.span("db.query"):
        raise error
    assert [event.error for event in heard] == [error]


def test_a_span_that_nobody_hears_takes_notes_all_the_same() -> None:
    with telemetry.span("db.query") as seen:
        seen.note(rows=3)
    assert seen.facts == {"rows": 3}


def test_a_handled_error_is_told_with_its_facts(heard: list[Event]) -> None:
    error = OSError("gone")
    telemetry.failed("relay.push", error, broker="b")
    [event] = heard
    assert event.error is error
    assert event.facts == {"broker": "b"}


def test_a_listener_that_fails_disturbs_neither_the_others_nor_the_work(
    heard: list[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Event) -> None:
        raise OSError("disk full")

    end = telemetry.subscribe(broken)
    telemetry.emit("cache.hit")
    end()
    assert len(heard) == 1
    assert "disk full" in capsys.readouterr().err


def test_a_listener_may_end_itself_while_it_is_called(heard: list[Event]) -> None:
    end = telemetry.subscribe(lambda _: end())
    telemetry.emit("one")
    telemetry.emit("two")
    assert [event.name for event in heard] == ["one", "two"]


def test_ids_are_trace_ids_and_unique_over_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = pool.map(lambda _: [telemetry.new_id() for _ in range(2000)], range(8))
    ids = [id_ for batch in batches for id_ in batch]
    assert len(set(ids)) == len(ids) == 16_000
    assert all(telemetry.read_traceparent(f"00-{id_}-{'1' * 16}-01") == id_ for id_ in ids[:100])


def test_ids_of_one_process_sort_by_age() -> None:
    ids = [telemetry.new_id() for _ in range(100)]
    assert ids == sorted(ids)


def test_a_forked_child_does_not_repeat_the_ids_of_its_parent() -> None:
    # In a process of its own: this one may have threads, and forking it would not be safe.
    program = (
        "import os; from mainspring.telemetry import new_id; child = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"
        "print(*(new_id() for _ in range(100)), flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    theirs, ours = (line.split() for line in done.stdout.splitlines())
    assert len(set(ours) | set(theirs)) == 200
    assert ours[0][:16] != theirs[0][:16]


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header", [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f"01-{TRACE}-{PARENT}-01-more"]
)
def test_a_well_formed_traceparent_gives_its_trace_id(header: str) -> None:
    assert telemetry.read_traceparent(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01x",
        f"00-{TRACE}-{PARENT}-01\n",
        f"ff-{TRACE}-{PARENT}-01",
        f"0g-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-011",
    ],
)
def test_a_malformed_traceparent_is_ignored(header: str) -> None:
    assert telemetry.read_traceparent(header) is None
