"""A client that sends exactly the bytes it is told to, and reads whatever comes back."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    """False when the connection ended before the response did."""


@dataclass(slots=True)
class Exchange:
    """What a connection brought."""

    answers: list[Answer] = field(default_factory=list)
    closed: bool = False
    """The server closed the connection (or reset it)."""
    raw: bytes = b""

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def connect(port: int, *, patience: float = 5.0) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=patience)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(
    port: int,
    pieces: Iterable[bytes],
    *,
    answers: int | None = None,
    patience: float = 5.0,
    pause: float = 0.0,
    head: bool = False,
) -> Exchange:
    """Send the pieces, then read.

    Args:
        answers: stop reading after so many; None reads until the server closes.
        patience: seconds without anything new after which the server is taken to wait.
        pause: seconds between two pieces.
        head: the answers are to HEAD.
    """
    with connect(port, patience=patience) as sock:
        with contextlib.suppress(ConnectionError, TimeoutError):
            for piece in pieces:
                sock.sendall(piece)
                if pause:
                    time.sleep(pause)
        return read(sock, answers=answers, head=head)


def read(sock: socket.socket, *, answers: int | None = None, head: bool = False) -> Exchange:
    """Read from a connection until it is closed, silent, or has brought so many answers."""
    found = Exchange()
    while answers is None or len(found.answers) < answers:
        try:
            data = sock.recv(65536)
        except TimeoutError:
            break
        except ConnectionError:
            data = b""
        if not data:
            found.closed = True
            break
        found.raw += data
        found.answers = parse(found.raw, head=head)
    found.answers = parse(found.raw, head=head, ended=found.closed)
    return found


def parse(raw: bytes, *, head: bool = False, ended: bool = False) -> list[Answer]:
    """The responses in the bytes; the last may be cut off if the connection has ended."""
    found = []
    while raw:
        top, separator, rest = raw.partition(b"\r\n\r\n")
        if not separator:
            break
        lines = top.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        pairs = [line.partition(":") for line in lines[1:]]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if status < 200:
            raw = rest
            found.append(Answer(status, headers, b""))
            continue
        taken = _body(status, headers, rest, head=head, ended=ended)
        if taken is None:
            break
        body, raw, whole = taken
        found.append(Answer(status, headers, body, whole))
    return found


def _body(
    status: int, headers: dict[str, str], rest: bytes, *, head: bool, ended: bool
) -> tuple[bytes, bytes, bool] | None:
    if head or status in {204, 304}:
        return b"", rest, True
    if headers.get("transfer-encoding") == "chunked":
        return _chunked(rest, ended=ended)
    if "content-length" in headers:
        size = int(headers["content-length"])
        if len(rest) < size:
            return (rest, b"", False) if ended else None
        return rest[:size], rest[size:], True
    return (rest, b"", True) if ended else None


def _chunked(rest: bytes, *, ended: bool) -> tuple[bytes, bytes, bool] | None:
    body = b""
    while True:
        line, separator, after = rest.partition(b"\r\n")
        size = int(line, 16) if separator else 0
        if not separator or len(after) < size + 2:
            return (body, b"", False) if ended else None
        body, rest = body + after[:size], after[size + 2 :]
        if size == 0:
            return body, rest, True
