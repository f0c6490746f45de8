"""The page of the API in a real browser, which needs nothing but the application."""

from __future__ import annotations

import asyncio
import re
import shutil

import pytest

from mainspring.serve import Server
from tests.auth.members import Member
from tests.http.test_openapi import sample

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.timeout(60)
@pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not installed")
async def test_every_operation_is_shown_and_nothing_breaks_the_page_s_own_policy(tmp_path) -> None:
    async with Server(sample(user=Member), port=0) as server:
        shown, said = await open_page(f"http://127.0.0.1:{server.port}/docs", tmp_path)
    assert "<title>shop: API</title>" in shown
    for name in ("list_items", "add_item", "events", "add_picture", "secret"):
        assert f'id="operation-{name}"' in shown
    assert 'id="state" role="status"></p>' in shown
    assert not re.findall(r"Content Security Policy|Uncaught", said)


async def open_page(address: str, profile) -> tuple[str, str]:
    """What the page has become, and what the browser said about it."""
    assert _CHROMIUM is not None
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
        f" --user-data-dir={profile} --enable-logging=stderr --virtual-time-budget=5000 --dump-dom"
    )
    browser = await asyncio.create_subprocess_exec(
        _CHROMIUM,
        *flags.split(),
        address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await browser.communicate()
    return out.decode(), err.decode()
