from __future__ import annotations

import asyncio
import json
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from mainspring.errors import ConfigError
from mainspring.http._forwarded import Proxies
from mainspring.serve import Config, Limits, Server
from mainspring.serve._sockets import CannotListen, refuse_newcomers
from tests.serve.conftest import Client
from tests.serve.target import app

if TYPE_CHECKING:
    from pathlib import Path

_GET = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def test_a_unix_socket_is_served_and_removed(tmp_path: Path):
    path = tmp_path / "app.sock"
    async with Server(app, config=Config(uds=str(path))):
        client = Client(*await asyncio.open_unix_connection(path))
        found = json.loads((await client.get("/echo", "X-Forwarded-For: 192.0.2.1")).body)
        client.close()
    # Who can connect to a file is decided by its permissions, so that such a peer is believed.
    assert found["client"] == "192.0.2.1"
    assert not path.exists()


async def test_a_socket_file_that_a_crash_has_left_is_replaced(tmp_path: Path):
    path = tmp_path / "app.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with Server(app, config=Config(uds=str(path))):
        client = Client(*await asyncio.open_unix_connection(path))
        assert (await client.get("/")).status == 200
        client.close()


async def test_a_socket_file_that_is_served_is_not_taken(tmp_path: Path):
    path = tmp_path / "app.sock"
    async with Server(app, config=Config(uds=str(path))):
        with pytest.raises(CannotListen, match=r"app\.sock"):
            async with Server(app, config=Config(uds=str(path))):
                pass
        assert path.exists()


async def test_an_inherited_socket_is_served_and_left_open():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with Server(app, config=Config(fd=listener.fileno())) as server:
            assert server.port == listener.getsockname()[1]
            client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
            assert (await client.get("/")).status == 200
            client.close()
        # The queue goes on: whoever holds the socket serves it next.
        with socket.create_connection(listener.getsockname(), timeout=2):
            pass


async def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen, match=str(port)):
            async with Server(app, port=port):
                pass


async def test_ipv6_is_served():
    async with Server(app, host="::1", port=0) as server:
        client = Client(*await asyncio.open_connection("::1", server.port))
        assert json.loads((await client.get("/echo")).body)["client"] == "::1"
        assert server.address == f"http://[::1]:{server.port}"
        client.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> tuple[trustme.CA, str, str]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    folder = tmp_path_factory.mktemp("tls")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    return authority, str(folder / "cert.pem"), str(folder / "key.pem")


def _client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_https_is_spoken(certificates):
    authority, certificate, key = certificates
    config = Config(port=0, ssl_certfile=certificate, ssl_keyfile=key)
    async with Server(app, config=config) as server:
        client = Client(
            *await asyncio.open_connection(
                "127.0.0.1",
                server.port,
                ssl=_client_context(authority),
                server_hostname="localhost",
            )
        )
        found = json.loads((await client.get("/echo")).body)
        assert found["scheme"] == "https"
        answer = await client.get("/large?size=3000000")
        assert len(answer.body) == 3_000_000
        assert (await client.get("/stream?count=1000")).whole
        client.close()


async def test_a_handshake_that_does_not_come_holds_nothing(certificates):
    _, certificate, key = certificates
    limits = Limits(header_deadline=Limits().header_deadline / 50)
    config = Config(port=0, ssl_certfile=certificate, ssl_keyfile=key, limits=limits)
    async with Server(app, config=config) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(_GET)
        assert await reader.read() == b""
        silent, other = await asyncio.open_connection("127.0.0.1", server.port)
        assert await silent.read() == b""
        writer.close()
        other.close()


async def test_old_versions_of_tls_are_refused(certificates):
    authority, certificate, key = certificates
    context = _client_context(authority)
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    config = Config(port=0, ssl_certfile=certificate, ssl_keyfile=key)
    async with Server(app, config=config) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=context, server_hostname="localhost"
            )


@pytest.mark.parametrize(
    "options",
    [
        {"ssl_certfile": "no-such.pem"},
        {"ssl_keyfile": "key.pem"},
        {"workers": 0},
        {"uds": "a.sock", "fd": 3},
        {"forwarded_allow_ips": ("not an address",)},
    ],
)
async def test_a_configuration_that_cannot_work_stops_the_start(options):
    with pytest.raises(ConfigError):
        async with Server(app, config=Config(port=0, **options)):
            pass


_FORWARDED = {
    "nobody is trusted": (None, {"for": b"192.0.2.1"}, "10.0.0.1"),
    "another is trusted": (("10.9.9.9",), {"for": b"192.0.2.1"}, "10.0.0.1"),
    "the peer is trusted": (("10.0.0.1",), {"for": b"192.0.2.1"}, "192.0.2.1"),
    "a network is trusted": (("10.0.0.0/8",), {"for": b"192.0.2.1"}, "192.0.2.1"),
    "the client lies": (("10.0.0.0/8",), {"for": b"6.6.6.6, 192.0.2.1"}, "192.0.2.1"),
    "two proxies": (("10.0.0.0/8",), {"for": b"6.6.6.6, 192.0.2.1, 10.0.0.7"}, "192.0.2.1"),
    "only proxies": (("10.0.0.0/8",), {"for": b"10.0.0.8, 10.0.0.7"}, "10.0.0.8"),
    "everybody is trusted": (("*",), {"for": b"192.0.2.1, 192.0.2.2"}, "192.0.2.1"),
    "a port": (("10.0.0.1",), {"for": b"192.0.2.1:1234"}, "192.0.2.1"),
    "IPv6": (("10.0.0.1",), {"for": b"2001:db8::1"}, "2001:db8::1"),
    "IPv6 with a port": (("10.0.0.1",), {"for": b"[2001:db8::1]:80"}, "2001:db8::1"),
    "nonsense": (("10.0.0.1",), {"for": b"<script>"}, "10.0.0.1"),
    "nonsense before": (("10.0.0.1",), {"for": b"6.6.6.6, unknown, 10.0.0.1"}, "10.0.0.1"),
    "nothing": (("10.0.0.1",), {"for": b""}, "10.0.0.1"),
}


@pytest.mark.parametrize("name", _FORWARDED)
def test_the_client_is_who_trusted_proxies_say(name):
    trusted, told, expected = _FORWARDED[name]
    headers = {b"x-forwarded-" + key.encode(): value for key, value in told.items()}
    client, scheme = Proxies(trusted).resolve(("10.0.0.1", 80), "http", headers)
    assert client is not None
    assert client[0] == expected
    assert scheme == "http"


def test_the_scheme_is_what_the_nearest_proxy_says():
    proxies = Proxies(["10.0.0.1"])
    peer = ("10.0.0.1", 80)
    assert proxies.resolve(peer, "http", {b"x-forwarded-proto": b"https"})[1] == "https"
    assert proxies.resolve(peer, "http", {b"x-forwarded-proto": b"http, https"})[1] == "https"
    assert proxies.resolve(peer, "http", {b"x-forwarded-proto": b"javascript"})[1] == "http"
    stranger = ("10.0.0.2", 80)
    assert proxies.resolve(stranger, "http", {b"x-forwarded-proto": b"https"})[1] == "http"


def test_an_ipv4_address_in_ipv6_is_the_same_peer():
    assert Proxies(["10.0.0.1"]).trusts("::ffff:10.0.0.1")


async def test_newcomers_are_kept_out_while_those_inside_go_on():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        waiting = socket.create_connection(listener.getsockname())
        assert refuse_newcomers(listener)
        newcomer = socket.socket()
        newcomer.settimeout(0.3)
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(newcomer.connect, listener.getsockname())
        accepted, _ = listener.accept()
        waiting.sendall(b"hello")
        assert accepted.recv(5) == b"hello"
        for sock in (waiting, newcomer, accepted):
            sock.close()
