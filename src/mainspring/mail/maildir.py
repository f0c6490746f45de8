"""Messages as files of a Maildir, for development on several processes and for tests.

Source: https://cr.yp.to/proto/maildir.html: written into `tmp`, then renamed into `new`, so
that nobody ever reads half of one.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mainspring.mail._errors import MailUrlError

if TYPE_CHECKING:
    from mainspring.mail._transport import Envelope, Transport


class Maildir:
    """`file:///srv/mail` or `file:mail`, which is beside the working directory.

    A message that is delivered again replaces the file that it made the first time.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        path = unquote(parts.path)
        if parts.netloc or not path.strip("/"):
            raise MailUrlError(
                f"MAIL_URL {url!r} names no folder", fix="write file:///srv/mail or file:mail"
            )
        self.folder = Path(path).absolute()

    async def deliver(self, envelope: Envelope) -> tuple[()]:
        await asyncio.to_thread(self._write, envelope)
        return ()

    def _write(self, envelope: Envelope) -> None:
        for part in ("tmp", "new", "cur"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        name = envelope.message_id
        written = self.folder / "tmp" / f"{name}.{os.getpid()}"
        with written.open("wb") as file:
            file.write(envelope.as_bytes())
            file.flush()
            os.fsync(file.fileno())
        written.rename(self.folder / "new" / name)

    async def close(self) -> None:
        """Nothing is open."""


if TYPE_CHECKING:
    _fits: type[Transport] = Maildir
