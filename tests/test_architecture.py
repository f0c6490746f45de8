"""The rules of the house that a tool can check. Exceptions are listed here, with their reason."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.plugins.tree import modules

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PACKAGES = [path for path in SOURCES if path.name == "__init__.py"]

MAX_LINES_OF_A_FILE = 500
MAX_LINES_OF_A_FUNCTION = 40
# "file:function" to the reason why it is clearer in one piece.
LONG_FUNCTIONS: dict[str, str] = {
    "src/mainspring/serve/_protocol.py:_answer_all": (
        "every call less is a tenth of the cheapest request; docs/why/server.md has the figures"
    ),
}
# A file to the reason why it is not cut yet.
LONG_FILES: dict[str, str] = {}

JUNK = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
# Nothing that a process imports before it knows that it needs it.
LATE = {"sqlalchemy", "uvloop", "jinja2", "alembic", "cryptography", "argon2", "asyncpg", "asyncio"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"},
        capture_output=True,
        check=False,
        text=True,
    )


def test_imports_point_down() -> None:
    done = _lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def _with_changes(folder: Path, changes: dict[str, str]) -> str:
    """What the contracts say about a copy of the package to whose files text was appended."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "src", folder / "src")
    for file, text in changes.items():
        with (folder / "src" / "mainspring" / file).open("a") as source:
            source.write(text)
    done = _lint_imports(folder)
    assert done.returncode != 0
    return done.stdout


def test_a_module_without_a_place_is_refused(tmp_path: Path) -> None:
    assert "stray" in _with_changes(tmp_path, {"stray.py": ""})


def test_an_import_that_the_architecture_forbids_is_refused(tmp_path: Path) -> None:
    said = _with_changes(
        tmp_path,
        {
            "errors.py": "import mainspring.settings\n",
            "clock.py": "import mainspring.deadline\n",
            "backends.py": "import sqlalchemy\n",
            "services.py": "import pytest\n",
        },
    )
    assert "mainspring.errors -> mainspring.settings" in said
    assert "mainspring.clock -> mainspring.deadline" in said
    assert "mainspring.backends -> sqlalchemy" in said
    assert "mainspring.services -> pytest" in said


def test_every_file_has_a_name_from_the_field() -> None:
    parts = {_name(path): Path(_name(path)).with_suffix("").parts for path in SOURCES}
    assert not {name for name, parts in parts.items() if {p.strip("_") for p in parts} & JUNK}


def test_every_file_is_short_enough_to_be_read() -> None:
    lengths = {_name(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES_OF_A_FILE}
    assert not {name: lines for name, lines in long.items() if name not in LONG_FILES}
    assert not LONG_FILES.keys() - long.keys(), "these are short by now"


def test_every_function_is_short() -> None:
    lengths = {
        f"{_name(path)}:{node.name}": _length(node)
        for path in SOURCES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES_OF_A_FUNCTION}
    assert not {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS}
    assert not LONG_FUNCTIONS.keys() - long.keys(), "these are short by now"


def test_every_module_says_what_it_is_for() -> None:
    assert not [_name(path) for path in SOURCES if not ast.get_docstring(_tree(path))]


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", PACKAGES, ids=_name)
def test_a_package_names_all_that_it_promises_and_keeps_it(path: Path) -> None:
    dotted = ".".join(path.parent.relative_to(ROOT / "src").parts)
    package = importlib.import_module(dotted)
    promised = set(getattr(package, "__all__", ()))
    assert {name for name in _bound(_tree(path)) if not name.startswith("_")} <= promised
    for name in promised:
        getattr(package, name)


def _bound(module: ast.Module) -> set[str]:
    """The names that the body of a module gives a value, other than what it imports for itself."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mainspring"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_every_module_can_be_imported_on_its_own() -> None:
    for name in modules():
        importlib.import_module(name)


def test_importing_the_package_imports_nothing_that_may_not_be_needed() -> None:
    program = "import sys, json, mainspring; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert not LATE & set(json.loads(done.stdout))


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    # In pieces, because this file is searched too.
    forbidden = re.compile(
        "|".join(
            [
                "py" + r"pi\.org",
                "pythonhosted" + r"\.org",
                "npm" + r"js\.(org|com)",
                "deb" + r"ian\.org",
                "crates" + r"\.io",
                r"(?<![\w.])/(work|root|home/\w+|Users/\w+)" + "/",
            ]
        )
    )
    found = {
        f"{_name(path)}: {match[0]}"
        for path in _tracked()
        for match in forbidden.finditer(path.read_text(encoding="utf-8", errors="ignore"))
    }
    assert not found


def test_nothing_is_left_to_do_in_a_comment() -> None:
    marks = re.compile(r"#.*\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
    found = {
        _name(path)
        for path in _tracked()
        if path.suffix == ".py" and marks.search(path.read_text(encoding="utf-8"))
    }
    assert not found
