"""No framework: asyncpg, msgspec and Granian's own interface; the pool resets nothing."""

import os

import asyncpg
import msgspec

from bench.data.apps.world import LISTED, WorldOut

_COLUMNS = "SELECT id, name, email, number, created FROM worlds"
_ONE = f"{_COLUMNS} WHERE id = $1"
_SOME = f"{_COLUMNS} WHERE id <= $1 ORDER BY id"
_HEADERS = [("content-type", "application/json")]
_encode = msgspec.json.Encoder().encode


async def _leave(_connection):
    """In place of RESET ALL, which would be a round trip for each request."""


class Application:
    def __rsgi_init__(self, loop):
        loop.run_until_complete(self._open())

    async def _open(self):
        self._pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=10, max_size=10, reset=_leave
        )

    async def __rsgi__(self, scope, proto):
        path = scope.path
        if path == "/rows":
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(_SOME, LISTED)
            proto.response_bytes(200, _HEADERS, _encode([WorldOut(*row) for row in rows]))
            return
        number = path.removeprefix("/row/")
        if not number.isdecimal():
            proto.response_empty(404, [])
            return
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(_ONE, int(number))
        if row is None:
            proto.response_empty(404, [])
        else:
            proto.response_bytes(200, _HEADERS, _encode(WorldOut(*row)))


app = Application()
