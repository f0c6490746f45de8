"""How many instructions one request takes: callgrind, for changes that a clock cannot see.

    python bench/instructions.py                            # mainspring, W1 W2 W3
    python bench/instructions.py --subject falcon --workloads W1

The server runs twice in valgrind, once with few and once with many requests over one connection;
the difference, divided by the requests that made it, is free of start-up and of noise. A run
takes a minute or two for every workload. The kernel's instructions are not counted.
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

    from bench import counted

    sys.exit(counted.main(sys.argv[1:]))
