"""What is to happen when a unit of work ends, and what becomes of it in a savepoint."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from mainspring import telemetry

Hook: TypeAlias = Callable[[], Awaitable[object] | object]
Mark: TypeAlias = tuple[int, int, int]


class Hooks:
    """The hooks of one unit, in the order in which they were registered."""

    __slots__ = ("after_commit", "after_rollback", "before_commit", "undone")

    def __init__(self) -> None:
        self.before_commit: list[Hook] = []
        self.after_commit: list[Hook] = []
        self.after_rollback: list[Hook] = []
        self.undone: list[Hook] = []

    def mark(self) -> Mark:
        """Where a savepoint begins."""
        return len(self.before_commit), len(self.after_commit), len(self.after_rollback)

    def undo_since(self, mark: Mark) -> None:
        """Forget what the undone part wanted to happen with the commit.

        What it wanted to happen after a rollback has become due; it waits for the end of the
        unit, since a hook may take its time and the transaction is still open.
        """
        before, after, rolled_back = mark
        del self.before_commit[before:]
        del self.after_commit[after:]
        self.undone += self.after_rollback[rolled_back:]
        del self.after_rollback[rolled_back:]

    async def prepare(self) -> bool:
        """Run what is to happen before the commit; False if there was nothing.

        A hook may register another one, which is run too. What a hook raises is raised.
        """
        if not self.before_commit:
            return False
        hooks, self.before_commit = self.before_commit, []
        for hook in hooks:
            result = hook()
            if inspect.isawaitable(result):
                await result
        return True

    async def committed(self) -> None:
        """Run what waits for the commit, and what waits for a savepoint's rollback."""
        await _tell("data.after_rollback", self.undone)
        await _tell("data.after_commit", self.after_commit)

    async def rolled_back(self) -> None:
        """Run what waits for the rollback."""
        await _tell("data.after_rollback", self.undone)
        await _tell("data.after_rollback", self.after_rollback)


async def _tell(name: str, hooks: list[Hook]) -> None:
    for hook in hooks:
        try:
            result = hook()
            if inspect.isawaitable(result):
                await result
        except Exception as exc:  # noqa: BLE001  # the outcome is decided; a hook cannot change it
            telemetry.failed(name, exc, hook=getattr(hook, "__qualname__", repr(hook)))
