from __future__ import annotations

import json
import subprocess
import sys
import textwrap

_APPLICATION = textwrap.dedent("""
    import asyncio, logging
    import structlog
    from mainspring import App, anyone

    app = App("talker")

    @app.get("/", allow=anyone)
    async def greet() -> str:
        structlog.get_logger().warning("said so", fruit="pear")
        logging.getLogger("old").warning("said %s", "this")
        try:
            1 / 0
        except ZeroDivisionError:
            structlog.get_logger().exception("failed")
        structlog.get_logger().debug("not wanted")
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

_DATABASE = textwrap.dedent("""
    import asyncio, json, sys
    from mainspring import App, Struct, anyone
    from mainspring.data import Mapped, Model, Session, func, select

    app = App("small")

    class Pear(Model):
        name: Mapped[str]

    @app.get("/", allow=anyone)
    async def count(db: Session) -> int:
        return await db.scalar(select(func.count()).select_from(Pear)) or 0

    async def start():
        async with app.running():
            pass

    asyncio.run(start())
    print(json.dumps(sorted(sys.modules)))
""")


def _printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_structlog_and_logging_end_in_lines_with_the_id_of_the_request() -> None:
    lines = [json.loads(line) for line in _printed(_APPLICATION)]
    request = next(line for line in lines if line["event"] == "request")
    said = {line["event"]: line for line in lines if line["event"] != "request"}
    assert set(said) == {"said so", "said this", "failed"}
    assert {line["request_id"] for line in said.values()} == {request["request_id"]}
    assert said["said so"]["fruit"] == "pear"
    assert "ZeroDivisionError" in said["failed"]["exception"]


def test_an_application_starts_without_what_it_does_not_use() -> None:
    loaded = set(json.loads(_printed(_DATABASE)[-1]))
    # Not what a start takes: 4 MB and a tenth of the time in all.
    assert not loaded & {
        "alembic", "asyncpg", "cryptography", "jinja2", "mimetypes", "multipart", "multiprocessing",
        "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql", "structlog",
    }  # fmt: skip
