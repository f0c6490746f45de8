from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serve.cases import CASES, Case
from tests.serve.processes import Running, serving
from tests.serve.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving("mainspring") as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_byte_of_the_table_gets_its_answer(server: Running, case: Case) -> None:
    verdict = judge(case, server.port, patience=5)
    assert verdict.exact, f"{case.name}: {verdict.said}\n{server.stderr()[-2000:]}"
