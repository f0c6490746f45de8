"""The API keeps to its description: schemathesis over the sample application."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from mainspring.app import App
from mainspring.serve import Server
from mainspring.settings import Settings
from tests.http.test_openapi import sample

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def address() -> Iterator[str]:
    """The sample on the built-in server, in a thread, so that a test may block."""
    ready, stop = threading.Event(), threading.Event()
    ports: list[int] = []

    async def run() -> None:
        app = App("sample", settings=Settings(log_level="critical", docs="anyone"))
        app.routes = [r for r in sample().routes if not r.allow.needs_principal]
        app.routes = [r for r in app.routes if r.name != "greeting"]
        async with Server(app, port=0) as server:
            ports.append(server.port)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    stop.set()
    thread.join(10)


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_api_keeps_to_its_description(address: str) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    bounds = settings(
        max_examples=15,
        deadline=timedelta(seconds=10),
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    checked = []
    for result in schema.get_all_operations():
        operation = result.ok()

        @bounds
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            # To JSON Schema 1.0 is an integer, and to the decoder it is not.
            excluded = [positive_data_acceptance]
            case.call_and_validate(base_url=address, timeout=10, excluded_checks=excluded)

        run()
        checked.append(operation.label)
    assert len(checked) >= 14
