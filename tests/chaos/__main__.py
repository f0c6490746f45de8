"""`python -m tests.chaos --seconds N`: exit status 0 only if the ledger is exact."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="repeats the dice, though not the timing")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--shared", action="store_true",
        help="use the PostgreSQL server of DATABASE_URL instead of a cluster of its own",
    )  # fmt: skip
    options = parser.parse_args()
    url = os.environ.get("DATABASE_URL", "sqlite:///")
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    if not options.json:
        print(f"seed {seed}, {url.partition(':')[0]}, {options.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        found = chaos(url, Path(folder), seconds=options.seconds, seed=seed, shared=options.shared)
        if found["faults"] and (kept := os.environ.get("CHAOS_LOGS")):
            os.makedirs(kept, exist_ok=True)  # noqa: PTH103  # one line
            for log in Path(folder).glob("node-*.log"):
                (Path(kept) / log.name).write_bytes(log.read_bytes())
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _tell(found)
    return 1 if found["faults"] else 0


def _tell(found: dict[str, object]) -> None:
    for part in ("done", "counts"):
        for name, count in found[part].items():  # type: ignore[attr-defined]
            print(f"  {name:24} {count}")
    for fault in found["faults"]:  # type: ignore[attr-defined]
        print(f"FAULT: {fault}")
    print("the ledger is exact" if not found["faults"] else "the ledger is not exact")


if __name__ == "__main__":
    sys.exit(main())
