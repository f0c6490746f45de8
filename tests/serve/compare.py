"""`python -m tests.serve.compare`: the table against our server and others, as Markdown.

Every server runs the same application, so that what differs is the server. A case counts as
safe when nothing was served that must not be, and the connection ended or went on as it must;
which 4xx is answered, or whether anything is, makes no difference.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib.metadata import version

from tests.serve.cases import CASES
from tests.serve.processes import serving
from tests.serve.verdict import Verdict, judge

SERVERS = ("mainspring", "uvicorn", "granian")
_PATIENCE = {"mainspring": 5.0}


def verdicts(server: str) -> dict[str, Verdict]:
    """Every case's name and verdict. A server that dies is started again."""
    found = {}
    with serving(server) as running:
        for case in CASES:
            found[case.name] = judge(case, running.port, patience=_PATIENCE.get(server, 1.0))
            sys.stderr.write("." if found[case.name].safe else "x")
            sys.stderr.flush()
    sys.stderr.write(f" {server}\n")
    return found


def main() -> None:
    found = {server: verdicts(server) for server in SERVERS}
    names = [s if s == "mainspring" else f"{s} {version(s)}" for s in SERVERS]
    print(f"| threat | cases | {' | '.join(names)} |")
    print(f"|---|---|{'---|' * len(names)}")
    groups = defaultdict(list)
    for case in CASES:
        groups[case.threat].append(case.name)
    for threat in sorted(groups, key=lambda name: int(name[1:])):
        cells = [
            str(sum(found[server][name].safe for name in groups[threat])) for server in SERVERS
        ]
        print(f"| {threat} | {len(groups[threat])} | {' | '.join(cells)} |")
    cells = [str(sum(verdict.safe for verdict in found[server].values())) for server in SERVERS]
    print(f"| all | {len(CASES)} | {' | '.join(cells)} |")
    for server in SERVERS:
        failed = {name: v for name, v in found[server].items() if not v.safe}
        if failed:
            print(f"\n{server}:\n")
            for name, verdict in failed.items():
                print(f"- {name}: {verdict.said}")


if __name__ == "__main__":
    main()
