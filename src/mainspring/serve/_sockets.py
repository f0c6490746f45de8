"""Listening sockets."""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from mainspring.serve._config import Config


class CannotListen(ConfigError):
    """The address is taken, not ours, or not allowed."""

    code = "serve.cannot-listen"


class Listening:
    """The sockets that a configuration asks for, open until `close`.

    Attributes:
        sockets: listening; a name may have several.
        owned: nobody else holds them, so that closing them ends their queue.

    Raises:
        CannotListen: the system refused.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.owned = config.fd is None
        self.sockets = _listen(config)
        self._file = _identity(config.uds) if config.uds else None

    @property
    def address(self) -> str:
        """Where it listens, for a person."""
        config = self._config
        scheme = "http" if config.ssl_certfile is None else "https"
        if config.uds is not None or config.fd is not None:
            return f"{scheme} at {describe(config)}"
        host = f"[{config.host}]" if ":" in config.host else config.host
        return f"{scheme}://{host}:{self.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Close them, and remove the file of a Unix socket."""
        for sock in self.sockets:
            sock.close()
        path = self._config.uds
        # A successor may have put its own socket there in the meantime.
        if path and self._file is not None and _identity(path) == self._file:
            Path(path).unlink(missing_ok=True)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _listen(config: Config) -> list[socket.socket]:
    try:
        if config.fd is not None:
            inherited = socket.socket(fileno=os.dup(config.fd))
            inherited.setblocking(False)  # noqa: FBT003  # the socket API's own form
            return [inherited]
        if config.uds is not None:
            return [_unix(Path(config.uds), config.backlog)]
        return _tcp(config)
    except OSError as exc:
        raise CannotListen(
            f"cannot listen on {describe(config)}: {exc.strerror or exc}",
            fix="choose another port, or stop what is using this one",
        ) from exc


def describe(config: Config) -> str:
    """Where a configuration listens, for a person."""
    if config.fd is not None:
        return f"file descriptor {config.fd}"
    return str(config.uds) if config.uds is not None else f"{config.host}:{config.port}"


def _tcp(config: Config) -> list[socket.socket]:
    found = socket.getaddrinfo(
        config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    opened: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            # All addresses of a name get the same port, also when the system chooses it.
            port = opened[0].getsockname()[1] if opened else address[1]
            opened.append(_bound(family, (address[0], port, *address[2:]), config.backlog))
    except OSError:
        for sock in opened:
            sock.close()
        raise
    return opened


def _bound(family: int, address: tuple[object, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for the connections of the process before it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003  # the socket API's own form
    return sock


def _unix(path: Path, backlog: int) -> socket.socket:
    # A socket file that nobody listens on is what a crash leaves behind.
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
            path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003  # the socket API's own form
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


# Of a TCP segment, byte 13 holds the flags: SYN is 2, ACK is 16 (RFC 9293, section 3.1).
_SYN_ONLY: Final = (
    (0x30, 0, 0, 13),  # A = byte 13
    (0x54, 0, 0, 0x12),  # A = A & (SYN | ACK)
    (0x15, 0, 1, 0x02),  # A == SYN: next, else skip one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take
)
_SO_ATTACH_FILTER: Final = 26


def refuse_newcomers(sock: socket.socket) -> bool:
    """Let no further handshake begin, while those that have begun still end in the queue.

    Closing a listening socket resets whatever its queue holds, and between the last `accept`
    and the `close` something can always come in. A filter that drops SYN segments closes the
    door first; then the queue can be emptied for good. A client that knocks meanwhile tries
    again a second later, and finds a successor or nobody.

    Returns:
        Whether the system can do that (Linux, TCP).
    """
    if not hasattr(socket, "AF_UNIX") or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    code = b"".join(struct.pack("HBBI", *step) for step in _SYN_ONLY)
    import ctypes  # noqa: PLC0415  # the kernel wants a pointer to the program, once per stop

    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(_SYN_ONLY), ctypes.addressof(buffer))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True
