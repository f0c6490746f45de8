"""Which of PostgreSQL's errors mean that the same unit may succeed, whichever driver reports it."""

from __future__ import annotations

from mainspring.data._retry import Retry

# PostgreSQL manual, appendix A, class 40.
BY_STATE = {"40001": Retry.CONFLICT, "40P01": Retry.DEADLOCK}
