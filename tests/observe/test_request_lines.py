from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

_APPLICATION = textwrap.dedent("""
    import asyncio
    from mainspring import App, anyone

    app = App("quiet")

    @app.get("/", allow=anyone)
    async def greet() -> str:
        return "hello"

    async def ask():
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/",
                 "raw_path": b"/", "query_string": b"", "scheme": "http",
                 "headers": [(b"host", b"localhost")], "client": None}
        async def receive():
            await asyncio.sleep(60)
        async def send(message):
            pass
        async with app.running():
            await app(scope, receive, send)

    asyncio.run(ask())
""")


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("warning", 0)])
def test_the_line_of_a_request_is_information(level: str, lines: int) -> None:
    environment = {**os.environ, "LOG_LEVEL": level}

    done = subprocess.run(
        [sys.executable, "-c", _APPLICATION],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip

    written = [json.loads(line) for line in done.stdout.splitlines()]
    assert len([line for line in written if line.get("path") == "/"]) == lines
