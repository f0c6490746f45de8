"""Who is asking behind trusted proxies: the only reader of `X-Forwarded-*`.

Whoever can reach the server can write these headers, so that they count only when the
connection itself comes from a proxy that is trusted, and only the part that trusted proxies
have written: the list is read from its right end.

Source: MDN, "X-Forwarded-For: selecting an IP address"; RFC 7239, section 8.1.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Address = tuple[str, int]
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class Proxies:
    """The proxies that are believed.

    Args:
        trusted: addresses and networks; `*` for every peer, which is right only where nobody
            but the proxy can connect; None for nobody at all.

    Raises:
        ConfigError: one of them is neither.
    """

    def __init__(self, trusted: Iterable[str] | None) -> None:
        self._none = trusted is None
        names = set(trusted or ())
        self._all = "*" in names
        self._networks: list[IPv4Network | IPv6Network] = []
        for name in names - {"*"}:
            try:
                self._networks.append(ip_network(name, strict=False))
            except ValueError:
                raise ConfigError(
                    f"{name!r} in the trusted proxies is neither an address nor a network",
                    fix="give addresses such as 10.0.0.7 or networks such as 10.0.0.0/8",
                ) from None

    def trusts(self, address: str | None) -> bool:
        """Whether a peer is one of them. None is a peer on a Unix socket, which always is."""
        if self._none:
            return False
        if address is None or self._all:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)

    def resolve(
        self, peer: Address | None, scheme: str, headers: Mapping[bytes, bytes]
    ) -> tuple[Address | None, str]:
        """Address and scheme of the client, as far as they can be believed."""
        listed = headers.get(b"x-forwarded-for")
        told = headers.get(b"x-forwarded-proto")
        if (listed is None and told is None) or not self.trusts(peer[0] if peer else None):
            return peer, scheme
        if told is not None:
            # The proxy nearest to us wrote the last one.
            scheme = _SCHEMES.get(told.rpartition(b",")[2].strip().lower(), scheme)
        if listed is None:
            return peer, scheme
        return self._client(listed, peer), scheme

    def _client(self, listed: bytes, peer: Address | None) -> Address | None:
        """The rightmost address that is not a trusted proxy's; never past one that is none."""
        client = peer
        for part in reversed(listed.decode("latin-1").split(",")):
            address = _address(part.strip())
            if address is None:
                return client
            client = address
            if self._all:
                continue
            if not self.trusts(address[0]):
                return client
        return client


def _address(text: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; None if it is neither."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return str(ip_address(host)), int(port) if port.isascii() and port.isdigit() else 0
    except ValueError:
        return None
