"""Mounted applications under the servers of others: the same suite, over ASGI."""

from __future__ import annotations

import pytest

from tests.http import test_mount
from tests.http.every_server import EVERY, repeated

globals().update(repeated(test_mount))


@pytest.fixture(params=sorted(EVERY.keys() - {"own"}))
def server(request) -> str:
    return request.param
