"""What every test gets: an event loop of its own, a bound on its time, and servers to talk to."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis

pytest_plugins = [
    "pytester",
    "tests.plugins.commands",
    "tests.plugins.loop",
    "tests.plugins.servers",
]

# The processes that tests start run this checkout's code, wherever the installed package points.
_SRC = str(Path(__file__).parent.parent / "src")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_SRC, os.environ.get("PYTHONPATH")]))

# No deadline per example: a slow machine is not a wrong answer.
hypothesis.settings.register_profile("mainspring", deadline=None, print_blob=True)
hypothesis.settings.load_profile("mainspring")
