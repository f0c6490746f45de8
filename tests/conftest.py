"""What every test gets: an event loop of its own, a bound on its time, and servers to talk to."""

from __future__ import annotations

import hypothesis

pytest_plugins = ["tests.plugins.loop", "tests.plugins.servers"]

# No deadline per example: a slow machine is not a wrong answer.
hypothesis.settings.register_profile("mainspring", deadline=None, print_blob=True)
hypothesis.settings.load_profile("mainspring")
