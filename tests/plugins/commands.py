"""The `mainspring` command as a person runs it: the real entry point, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRY_POINT = Path(sys.executable).parent / "mainspring"
_BOUND_S = 30
# What a developer has set for other purposes must not decide how a test ends.
_KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH")


@dataclass(frozen=True)
class Commands:
    """Runs commands in one folder.

    Attributes:
        folder: where they are given.
        environ: what they see beside the bare minimum.
    """

    folder: Path
    environ: dict[str, str]

    def __call__(
        self, *words: str, stdin: str | None = None, environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        return subprocess.run(
            [ENTRY_POINT, *words],
            cwd=self.folder,
            env=self._environ(environ or {}),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=_BOUND_S,
        )

    def fine(self, *words: str, **options: Any) -> str:
        """What it writes; fails the test unless it ends well."""
        done = self(*words, **options)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, **options: Any) -> Any:
        """What it writes for a script, whatever its exit status."""
        return json.loads(self(*words, "--json", **options).stdout)

    @contextmanager
    def running(self, *words: str, environ: dict[str, str] | None = None) -> Iterator[Running]:
        """One that goes on until it is stopped; killed if the block leaves it behind."""
        output = self.folder / f"{words[0]}.output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [ENTRY_POINT, *words],
                cwd=self.folder,
                env=self._environ(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Running(process, output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def within(self, *parts: str) -> Commands:
        """The same in a folder below."""
        return Commands(self.folder.joinpath(*parts), self.environ)

    def _environ(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, **self.environ, **more}


@dataclass(frozen=True)
class Running:
    """A command that goes on.

    Attributes:
        process: itself.
        output: the file of everything that it writes.
    """

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        """What it has written so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def until(self, condition: Callable[[], Any], *, what: str) -> Any:
        """The first true value of the condition; fails the test if the command ends before."""
        bound = time.monotonic() + _BOUND_S
        while time.monotonic() < bound:
            found = condition()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        pytest.fail(f"no {what}; status {self.process.poll()}; it said:\n{self.said()}")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(_BOUND_S)


@pytest.fixture
def mainspring(tmp_path: Path) -> Commands:
    """The command in an empty folder."""
    return Commands(tmp_path, {})


@pytest.fixture(scope="session")
def _new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    Commands(folder, {}).fine("new", "shop")
    return folder / "shop"


@pytest.fixture(scope="session")
def _migrated(_new: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = _copied(_new, tmp_path_factory.mktemp("migrated"))
    shop.fine("migrate")
    return shop.folder


@pytest.fixture(scope="session")
def _with_accounts(_migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = _copied(_migrated, tmp_path_factory.mktemp("accounts"))
    notes = shop.folder / "shop" / "notes.py"
    notes.write_text(notes.read_text().replace("anyone", "signed_in"))
    shop.fine("makemigrations", "-m", "accounts")
    shop.fine("migrate")
    return shop.folder


def _copied(project: Path, into: Path) -> Commands:
    return Commands(shutil.copytree(project, into / "shop", symlinks=True), {})


@pytest.fixture
def shop(_new: Path, tmp_path: Path) -> Commands:
    """The command in a project that `mainspring new shop` has just made."""
    return _copied(_new, tmp_path)


@pytest.fixture
def migrated_shop(_migrated: Path, tmp_path: Path) -> Commands:
    """The same after `mainspring migrate`."""
    return _copied(_migrated, tmp_path)


@pytest.fixture
def members_shop(_with_accounts: Path, tmp_path: Path) -> Commands:
    """The same, with routes that are only for those who have signed in."""
    return _copied(_with_accounts, tmp_path)
