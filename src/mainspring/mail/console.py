"""The development mailbox: messages are printed, and the last ones kept in memory."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.mail._transport import Envelope, Transport

_KEPT = 200


class Console:
    """Prints that there was a message; `messages` are the last 200, the newest last.

    For development and tests: what the process forgets is gone.
    """

    def __init__(self, url: str) -> None:
        del url
        self.messages: deque[Envelope] = deque(maxlen=_KEPT)

    async def deliver(self, envelope: Envelope) -> tuple[()]:
        self.messages.append(envelope)
        to = ", ".join(envelope.recipients)
        print(f"mail to {to}: {envelope.message.subject}", file=sys.stderr)  # noqa: T201  # its purpose
        return ()

    async def close(self) -> None:
        """Nothing is open."""


if TYPE_CHECKING:
    _fits: type[Transport] = Console
