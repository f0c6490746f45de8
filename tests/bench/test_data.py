"""The group `data` with next to no time: each subject is right, and each way gives figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench import command
from bench.data import embedded

if TYPE_CHECKING:
    from pathlib import Path

# What needs the peers' packages is left to the run itself, which checks before it measures.
OURS = ("apsw", "mainspring-hot@sqlite", "mainspring-orm@sqlite")


@pytest.mark.timeout(120)
def test_units_of_work_are_checked_and_measured(tmp_path: Path) -> None:
    output = tmp_path / "data.json"
    chosen = f"--subjects {','.join(OURS)} --workloads P5 --seconds 0.05 --rounds 1"
    assert command.main(["--group", "data", *chosen.split(), "--output", str(output)]) == 0
    rows = json.loads(output.read_text())
    assert {(row["workload"], row["subject"]) for row in rows} == {
        (f"{workload}{part}", subject)
        for workload in embedded.WORKLOADS
        for part in ("", "-cpu")
        for subject in OURS
    }
    assert all(row["value"] > 0 for row in rows)


def test_a_subject_that_reads_wrong_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.data import units

    monkeypatch.setattr(units, "SUBJECTS", {"nobody": None})
    chosen = "--subjects nobody --workloads P5-read --seconds 0.05 --rounds 1"
    from bench.data import group

    monkeypatch.setattr(group, "SUBJECTS", ("nobody",))
    output = tmp_path / "data.json"
    assert command.main(["--group", "data", *chosen.split(), "--output", str(output)]) == 1
    assert json.loads(output.read_text()) == []
    about = json.loads((tmp_path / "data.meta.json").read_text())
    assert "nobody" in about["not_measured"]["P5-read nobody"]


@pytest.mark.timeout(120)
@pytest.mark.may_block("the modules of the bench make folders when they are imported")
async def test_the_handlers_of_the_comparison_answer_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module, reload

    from bench.data import tables
    from bench.data.subjects import WORKLOADS
    from mainspring.data import Database
    from tests.http.direct import ask, value

    url = f"sqlite:///{tmp_path}/bench.db"
    async with Database(url) as database:
        await database.on_connection(tables.fill)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LOG_LEVEL", "critical")
    monkeypatch.setenv("BENCH_SPEED", "hot")
    module = import_module("bench.data.apps.mainspring_app")
    for speed in ("hot", "select", "orm"):
        monkeypatch.setenv("BENCH_SPEED", speed)
        app = reload(module).app
        for workload in WORKLOADS.values():
            answer = await ask(app, "GET", workload.call.path)
            assert (answer.status, value(answer)) == (workload.status, workload.answer)
            for wrong in workload.wrong:
                assert 400 <= (await ask(app, "GET", wrong.path)).status < 500
        await app.database.close()
