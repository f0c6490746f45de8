"""Compare Mainspring and its peers, side by side in one run.

    python bench/run.py --group http
    python bench/run.py --group http --subjects mainspring,empty@uvicorn --workloads W1 --seconds 2

Writes `bench/results/<group>.json` (a list of workload, subject, value, unit, rounds) and
`bench/results/<group>.meta.json` (machine, versions, what could not be measured). Figures of
different runs must not be compared; ratios within one run may.
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

    from bench import command

    sys.exit(command.main(sys.argv[1:]))
