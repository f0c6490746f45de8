"""The environment of the peers: `bench/.venv`, made from `bench/requirements.txt` by uv.

Only the standard library is used here, because this runs before that environment exists.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_VENV = _HERE / ".venv"
_PYTHON = _VENV / "bin" / "python"
_LOCK = _HERE / "requirements.txt"
_MARK = _VENV / "locked.sha256"


def enter() -> None:
    """Continue this very command inside the peers' environment, made or renewed if necessary."""
    if Path(sys.prefix).resolve() == _VENV:
        return
    ensure()
    root = str(_HERE.parent)
    # The root, not this folder: `bench.http` must not be taken for the standard `http`.
    os.environ["PYTHONPATH"] = f"{root}{os.pathsep}{_HERE.parent / 'src'}"
    os.environ["PYTHONSAFEPATH"] = "1"
    os.execv(_PYTHON, [str(_PYTHON), *sys.argv])


def ensure() -> None:
    """Make `bench/.venv` of the Python that runs this, with exactly the locked packages."""
    wanted = f"{hashlib.sha256(_LOCK.read_bytes()).hexdigest()} {sys.version}"
    if _MARK.exists() and _MARK.read_text() == wanted:
        return
    uv = _uv()
    base = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(_VENV)]
    subprocess.run(base, check=True)
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
    subprocess.run([*sync, "--python", str(_PYTHON), str(_LOCK)], check=True)
    _MARK.write_text(wanted)


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else "uv"
