"""`python -m mainspring.serve module:app`: the server without the rest of the command line."""

from __future__ import annotations

import sys

from mainspring.serve._arguments import parse
from mainspring.serve._run import run

if __name__ == "__main__":
    path, config = parse(sys.argv[1:])
    run(path, config=config)
