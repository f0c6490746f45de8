"""A process with a lease, as `test_owners` starts it: says what it has, does what it is told.

`python -m tests.data.slow.owner URL race NAME` takes the lease if it can and says which token.
`… hold NAME` takes it, keeps it, and for each line that comes tries to write under it.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from sqlalchemy import insert

from mainspring.data import Database
from mainspring.data._lease import LEASES, LeaseLost, Leases

SPAN = timedelta(seconds=1.5)


async def main(url: str, what: str, name: str) -> None:
    async with Database(url, pool_size=2) as database, Leases(database, span=SPAN) as leases:
        if what == "race":
            lease = await leases.take(name)
            say("none" if lease is None else lease.token)
            await asyncio.sleep(1)
            return
        lease = await leases.take(name)
        assert lease is not None
        say(lease.token)
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                async with database.unit() as session:
                    await session.execute(
                        insert(LEASES).values(name="written", owner="it", token=1, expires_at=0)
                    )
                    await leases.guard(session, lease)
                said = "written"
            except LeaseLost:
                said = "lost"
            say(f"{said} {'held' if leases.held(lease) else 'not held'}")


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
