"""The child process that runs the Python blocks of a page: one namespace, one event loop.

Reads a JSON line per block, runs it, answers with a JSON line: empty, or the traceback.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import linecache
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import __main__


def main() -> None:
    # Answers have a channel of their own: blocks may print.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path[0] = str(Path.cwd())
    names: dict[str, Any] = vars(__main__)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            answers.write(json.dumps(run(json.loads(line), names, runner)) + "\n")
            answers.flush()


def run(block: dict[str, Any], names: dict[str, Any], runner: asyncio.Runner) -> str:
    # Empty lines before it make the line numbers those of the page.
    source = "\n" * (block["line"] - 1) + block["text"]
    page = block["page"]
    linecache.cache[page] = (len(source), None, source.splitlines(keepends=True), page)
    try:
        code = compile(
            source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(awaited(eval(code, names)))
        else:
            exec(code, names)
    except BaseException as exc:  # noqa: BLE001  # reported to the parent, whatever it is
        own = exc.__traceback__.tb_next if exc.__traceback__ else None
        return "".join(traceback.format_exception(type(exc), exc, own))
    return ""


async def awaited(block: Any) -> None:
    await block


if __name__ == "__main__":
    main()
