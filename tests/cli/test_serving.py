from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mainspring.cli._command import Parser
from mainspring.cli._errors import UsageError
from mainspring.cli._serving import LACKING, configured, takes_server
from mainspring.cli.dev import places
from mainspring.serve import Config
from mainspring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser() -> Parser:
    made = Parser(prog="mainspring serve")
    takes_server(made)
    return made


def config_of(words: Sequence[str], **settings: object) -> Config:
    return configured(parser().read(words), Settings(**settings))  # type: ignore[arg-type]


def test_without_flags_the_server_is_uvicorns_default() -> None:
    assert config_of([]) == Config(forwarded_allow_ips=("127.0.0.1",))


def test_settings_say_what_flags_do_not() -> None:
    found = config_of([], host="0.0.0.0", port=9000, workers=3, forwarded_allow_ips=("10.0.0.1",))
    assert (found.host, found.port, found.workers) == ("0.0.0.0", 9000, 3)
    assert found.forwarded_allow_ips == ("10.0.0.1",)


def test_flags_win_over_settings() -> None:
    words = ["--host", "::1", "--port", "0", "--workers", "2", "--forwarded-allow-ips", "*"]
    found = config_of(words, host="0.0.0.0", port=9000, workers=3)
    assert (found.host, found.port, found.workers) == ("::1", 0, 2)
    assert found.forwarded_allow_ips == ("*",)


@pytest.mark.parametrize(
    "words",
    [
        ["--uds", "x.sock"],
        ["--fd", "3"],
        ["--reload"],
        ["--proxy-headers"],
        ["--no-proxy-headers"],
        ["--limit-concurrency", "10"],
        ["--limit-max-requests", "10", "--limit-max-requests-jitter", "5"],
        ["--timeout-keep-alive", "5"],
        ["--timeout-graceful-shutdown", "5"],
        ["--backlog", "10"],
        ["--ssl-keyfile", "k", "--ssl-certfile", "c", "--ssl-keyfile-password", "p"],
        ["--log-level", "debug"],
    ],
)
def test_uvicorns_flags_are_understood(words: list[str]) -> None:
    assert config_of(words)


def test_a_span_may_have_a_unit() -> None:
    assert config_of(["--timeout-keep-alive", "5"]).limits.keep_alive == timedelta(seconds=5)
    assert config_of(["--timeout-keep-alive", "2m"]).limits.keep_alive == timedelta(minutes=2)


@pytest.mark.parametrize("flag", LACKING)
def test_a_flag_that_is_lacking_says_what_to_do_instead(flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        parser().read([flag, "1"])
    assert caught.value.what == f"mainspring serve lacks {flag}"
    assert caught.value.fix == LACKING[flag]


def test_no_flag_is_lacking_that_is_there() -> None:
    assert not set(LACKING) & set(parser()._option_string_actions)


@pytest.mark.parametrize(
    ("config", "app"),
    [
        (Config(), "http://127.0.0.1:8000"),
        (Config(host="0.0.0.0", port=80), "http://127.0.0.1:80"),
        (Config(host="::"), "http://127.0.0.1:8000"),
        (Config(host="::1"), "http://[::1]:8000"),
        (Config(host="shop.local", ssl_certfile="c"), "https://shop.local:8000"),
    ],
)
def test_places_are_addresses_that_a_browser_opens(config: Config, app: str) -> None:
    assert places(config, docs=True) == {"app ": app, "docs": f"{app}/docs"}
    assert places(config, docs=False) == {"app ": app}


@pytest.mark.parametrize("config", [Config(port=0), Config(uds="x.sock"), Config(fd=3)])
def test_places_are_left_to_the_server_where_only_it_knows_them(config: Config) -> None:
    assert places(config, docs=True) == {}
