"""Streams and events under the servers of others: the same suite, over ASGI."""

from __future__ import annotations

import pytest

from tests.http import test_sse
from tests.http.every_server import EVERY, repeated

globals().update(repeated(test_sse))


@pytest.fixture(params=sorted(EVERY.keys() - {"own"}))
def server(request) -> str:
    return request.param
