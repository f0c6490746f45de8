"""How a server is reached, and by how many processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from mainspring.errors import ConfigError
from mainspring.serve._limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a command line says about a server. Names and defaults are those of Uvicorn.

    Attributes:
        host: address to listen on.
        port: 0 for any that is free.
        uds: path of a Unix socket to listen on instead.
        fd: an open listening socket, inherited from a supervisor, to use instead.
        backlog: connections that wait in the kernel.
        workers: processes that share the socket.
        reload: start again when a source file changes; for development.
        reload_folders: what is watched; the working directory by default.
        ssl_certfile: PEM file; HTTPS is spoken if it is given.
        ssl_keyfile: PEM file of the key, if it is not in the same file.
        ssl_keyfile_password: of the key.
        proxy_headers: believe `X-Forwarded-For` and `X-Forwarded-Proto` of trusted peers.
        forwarded_allow_ips: these peers: addresses, networks, or `*`.
        limits: see `Limits`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    fd: int | None = None
    backlog: int = 2048
    workers: int = 1
    reload: bool = False
    reload_folders: tuple[str, ...] = ()
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_keyfile_password: str | None = field(default=None, repr=False)
    proxy_headers: bool = True
    forwarded_allow_ips: tuple[str, ...] = ("127.0.0.1", "::1")
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"{self.workers} workers cannot serve", fix="give 1 or more")
        if self.uds is not None and self.fd is not None:
            raise ConfigError("uds and fd are two places to listen on", fix="give one of them")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ConfigError("a key without a certificate is no TLS", fix="give ssl_certfile too")

    @property
    def supervised(self) -> bool:
        """Whether the processes that serve have one above them."""
        return self.workers > 1 or self.reload or self.limits.requests > 0
