"""Instructions per request, from two runs of the same server in callgrind."""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench.http.subjects import SUBJECTS, environment
from bench.http.workloads import WORKLOADS, Workload
from bench.servers import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

# Enough before the difference that caches, freelists and adaptive bytecode are settled.
_FEW, _MANY = 300, 1300
_BOUND_S = 300.0
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class NothingCounted(Exception):
    """Valgrind is missing, or left no total."""


def main(arguments: Sequence[str]) -> int:
    """Count the chosen workloads and print one line each."""
    parser = argparse.ArgumentParser(prog="bench/instructions.py", description=__doc__)
    parser.add_argument("--subject", choices=[*SUBJECTS], default="mainspring")
    parser.add_argument("--workloads", default="W1,W2,W3")
    chosen = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        raise NothingCounted("valgrind is not installed: apt-get install -y valgrind")
    for name in chosen.workloads.split(","):
        few = _total(chosen.subject, WORKLOADS[name], requests=_FEW)
        many = _total(chosen.subject, WORKLOADS[name], requests=_MANY)
        each = (many - few) / (_MANY - _FEW)
        sys.stdout.write(f"{name} {chosen.subject}: {each:,.0f} instructions a request\n")
        sys.stdout.flush()
    return 0


def _total(name: str, workload: Workload, *, requests: int) -> int:
    """Instructions of a whole life of the server, with so many requests in it."""
    subject = SUBJECTS[name]
    with tempfile.TemporaryDirectory() as folder:
        pattern = Path(folder, "out.%p")
        valgrind = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={pattern}"]
        where = {**environment(subject, workload=workload.name), "PYTHONHASHSEED": "0"}
        command = [*valgrind, "--trace-children=yes", *subject.command]
        path = workload.call.path
        with serving(command, path=path, environment=where, bound_s=_BOUND_S) as server:
            _ask(server.port, workload, requests)
        files = [path.read_text(errors="replace") for path in Path(folder).iterdir()]
        totals = [int(found[1]) for text in files if (found := _TOTAL.search(text))]
    if not totals:
        raise NothingCounted(f"callgrind left no total for {name}")
    return sum(totals)


def _ask(port: int, workload: Workload, requests: int) -> None:
    # Head and body in one write, as wrk sends them; `http.client` sends two, and a server then
    # does the work of a body that is still on its way.
    call = workload.call
    fields = {"Host": f"127.0.0.1:{port}", **call.headers}
    if call.body:
        fields["Content-Length"] = str(len(call.body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    message = f"{call.method} {call.path} HTTP/1.1\r\n{head}\r\n".encode() + call.body
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        answers = connection.makefile("rb")
        for _ in range(requests):
            connection.sendall(message)
            _skip_answer(answers)


def _skip_answer(answers: BinaryIO) -> None:
    length = 0
    while (line := answers.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)
