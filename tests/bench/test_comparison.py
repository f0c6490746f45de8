"""One tiny round with real servers: two subjects that need nothing but the development packages."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from bench import command
from bench.http.check import WrongAnswer, check
from bench.http.subjects import SUBJECTS, environment
from bench.http.workloads import WORKLOADS
from bench.servers import ServerFailed, serving

if TYPE_CHECKING:
    from pathlib import Path

    from bench.http.subjects import Subject


def _wrk() -> None:
    if shutil.which("wrk") is None:
        reason = "wrk is not installed: scripts/services wrk"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


def _serving(subject: Subject, workload: str):
    where = environment(subject, workload=workload)
    return serving(subject.command, path=WORKLOADS[workload].call.path, environment=where)


@pytest.mark.timeout(60)
def test_a_tiny_round_writes_figures_of_both_subjects_and_facts_of_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _wrk()
    output = tmp_path / "http.json"
    chosen = "--subjects mainspring@uvicorn,empty@uvicorn --workloads W2 --seconds 1 --rounds 1"

    status = command.main(["--group", "http", *chosen.split(), "--output", str(output), "--json"])

    rows = json.loads(output.read_text())
    assert status == 0
    assert json.loads(capsys.readouterr().out) == rows
    assert {(row["workload"], row["subject"], row["unit"]) for row in rows} == {
        (workload, subject, unit)
        for workload, unit in (("W2", "req/s"), ("W2-cpu", "µs/req"))
        for subject in ("mainspring@uvicorn", "empty@uvicorn")
    }
    assert all(row["value"] > 0 and row["rounds"] == [row["value"]] for row in rows)
    about = json.loads((tmp_path / "http.meta.json").read_text())
    assert about["python"] == sys.version.split()[0]
    assert about["versions"]["uvicorn"]
    assert about["not_measured"] == {}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_mainspring_answers_the_workloads_and_refuses_wrong_input(workload: str) -> None:
    with _serving(SUBJECTS["mainspring@uvicorn"], workload) as server:
        check(server.port, WORKLOADS[workload])


def test_a_subject_that_takes_wrong_input_is_not_timed() -> None:
    with (
        _serving(SUBJECTS["empty@uvicorn"], "W2") as server,
        pytest.raises(WrongAnswer, match="201 where a 4xx is due"),
    ):
        check(server.port, WORKLOADS["W2"])


def test_a_subject_that_answers_something_else_is_not_timed() -> None:
    with (
        _serving(SUBJECTS["empty@uvicorn"], "W1") as server,
        pytest.raises(WrongAnswer, match="W3: 200"),
    ):
        check(server.port, WORKLOADS["W3"], refuses=False)


def test_a_server_that_ends_tells_what_it_wrote() -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no such port')"]
    with (
        pytest.raises(ServerFailed, match="no such port"),
        serving(broken, path="/", environment={}),
    ):
        pytest.fail("it never started")


def test_the_whole_tree_of_a_server_is_gone_afterwards() -> None:
    with _serving(SUBJECTS["empty@granian"], "W1") as server:
        tree = server.tree()
        assert len(tree) > 1
        assert server.memory().rss_bytes > 0

    assert not any(process.is_running() for process in tree)


@pytest.mark.parametrize("chosen", ["--subjects nobody", "--workloads W9"])
def test_an_unknown_name_stops_before_anything_starts(
    chosen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--group", "http", *chosen.split()]) == 2
    assert "there are" in capsys.readouterr().err
