"""`python -m mainspring`: the same as the `mainspring` command."""

from mainspring.cli import main

raise SystemExit(main())
