"""Running a page: its blocks from top to bottom in an empty folder, as its reader would."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mainspring import settings
from tests.docs.blocks import Block, Command, blocks_of, commands_of, contains, matches

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
_PATIENCE = 30.0  # seconds for one command, and for a server to say that it is there
_PASSED_ON = ("LANG", "TMPDIR", "SYSTEMROOT")


class PageFailed(AssertionError):
    """A block did not do what the page says."""


class CommandMissing(Exception):
    """The machine lacks a program that the page uses."""


class Page:
    """A page that is being run. Whoever entered it owns what it started."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
        # Everybody's examples are on port 8000; here they go to one that is free.
        self._port = _free_port()
        self._text = re.sub(r"\b8000\b", str(self._port), path.read_text(encoding="utf-8"))
        self._start_folder = self._folder = folder
        self._python: subprocess.Popen[str] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def run(self) -> None:
        """Run every block.

        Raises:
            PageFailed: with the page, the line and what happened instead.
            CommandMissing: a program is not installed.
        """
        actions: dict[str, Callable[[Block], None]] = {
            "python": self._run_python,
            "console": self._run_console,
            "sh": self._run_sh,
            "toml": self._run_toml,
        }
        for block in blocks_of(self._text):
            if block.not_run:
                continue
            if block.file:
                self._write(block)
            if not block.file or block.language == "toml":
                actions.get(block.language, lambda _: None)(block)

    def _write(self, block: Block) -> None:
        path = self._folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def _run_python(self, block: Block) -> None:
        if self._python is None:
            self._python = self._start_python()
        assert self._python.stdin
        assert self._python.stdout
        order = {"text": block.text, "line": block.line, "page": self._name}
        self._python.stdin.write(json.dumps(order) + "\n")
        self._python.stdin.flush()
        answer = self._python.stdout.readline()
        failure = json.loads(answer) if answer else "the interpreter died"
        if failure:
            self._fail(block, failure)

    def _start_python(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-u", str(Path(__file__).parent / "interpreter.py")],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self._stack.callback(_stop, child)
        return child

    def _run_toml(self, block: Block) -> None:
        try:
            table = tomllib.loads(block.text)
            if "mainspring" in table.get("tool", {}):
                (self._folder / "pyproject.toml").write_text(block.text, encoding="utf-8")
                settings.load({}, folder=self._folder)
        except (tomllib.TOMLDecodeError, settings.SettingError) as exc:
            self._fail(block, str(exc))

    def _run_sh(self, block: Block) -> None:
        self._run_command(block, Command(block.text, "", stays=False))

    def _run_console(self, block: Block) -> None:
        for command in commands_of(block):
            if command.line.startswith("cd "):
                self._folder /= command.line.removeprefix("cd ").strip()
                continue
            (self._start_command if command.stays else self._run_command)(block, command)

    def _run_command(self, block: Block, command: Command) -> None:
        child, printed = self._start(command.line)
        try:
            status = child.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        text = printed.read_text(encoding="utf-8")
        if status == 127:
            raise CommandMissing(f"{self._name}, line {block.line}: {text.strip()}")
        if status is None or (status != 0) != block.fails:
            ended = "is still running" if status is None else f"exited with {status}"
            self._fail(block, f"$ {command.line}\n{ended} and printed\n{text}")
        if command.expected and not matches(command.expected, text):
            self._fail(
                block, f"$ {command.line}\nprinted\n{text}\nand the page says\n{command.expected}"
            )

    def _start_command(self, block: Block, command: Command) -> None:
        child, printed = self._start(command.line)
        end = time.monotonic() + _PATIENCE
        while not contains(command.expected, text := printed.read_text(encoding="utf-8")):
            if child.poll() is not None or time.monotonic() > end:
                self._fail(
                    block,
                    f"$ {command.line} &\nprinted\n{text}\nand the page says\n{command.expected}",
                )
            time.sleep(0.05)

    def _start(self, line: str) -> tuple[subprocess.Popen[Any], Path]:
        printed = self._start_folder.parent / f"{self._start_folder.name}.out.{time.monotonic_ns()}"
        with printed.open("wb") as out:
            child = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", line],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._stack.callback(_stop, child)
        return child, printed

    def _environment(self) -> dict[str, str]:
        """What a reader has: the program on the path, and nothing configured."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        own = {
            "PATH": path,
            "HOME": str(self._folder),
            "PORT": str(self._port),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
        }
        return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | own

    def _fail(self, block: Block, reason: str) -> None:
        raise PageFailed(f"{self._name}, line {block.line}: {reason.strip()}")


def _stop(child: subprocess.Popen[Any]) -> None:
    """End a process and its children: politely, and after five seconds not."""
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=5)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
