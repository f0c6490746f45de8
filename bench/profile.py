"""Where one request's time goes: py-spy on a subject under load.

    python bench/profile.py                                # mainspring, W1 W2 W3
    python bench/profile.py --workloads W2 --native        # C frames as well
    python bench/profile.py --subject falcon --seconds 10

Prints the functions that hold most of the time, alone ("self") and with what they call ("all"),
and leaves a speedscope file of every workload in `build/profile/`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    _here = Path(__file__).resolve().parent
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != _here]
    sys.path.insert(0, str(_here.parent))

    from bench import environment

    environment.enter()

    from bench import hot

    sys.exit(hot.main(sys.argv[1:]))
