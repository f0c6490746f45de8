"""Money that moves, and a mail for each time it did: nothing lost, nothing doubled, no ghosts."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import httpx

from mainspring.data import Database, func, insert, select
from tests.chaos.app import Account, Transfer
from tests.chaos.world import Verdict

if TYPE_CHECKING:
    from tests.chaos.world import World

ACCOUNTS = 20
START = 1_000
_CLIENTS = 6
_PAUSE_SECONDS = 0.03
_PATIENCE_SECONDS = 12.0


class Transfers:
    """Clients that send transfers, some of them asked to fail, and repeat what was not answered.

    Every transfer has a key. What is answered with 200 must be there exactly once; what was
    never answered may be there or not, but wholly; what was to fail must not be there.
    """

    name = "transfers"

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.unknown: set[str] = set()
        self.to_fail: set[str] = set()

    async def prepare(self, world: World) -> None:
        async with Database(world.server.url) as database, database.unit() as db:
            await db.execute(insert(Account), [{"balance": START} for _ in range(ACCOUNTS)])

    async def load(self, world: World) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._client(world, number))

    async def _client(self, world: World, number: int) -> None:
        dice, serial = world.dice, 0
        limits = httpx.Timeout(_PATIENCE_SECONDS)
        async with httpx.AsyncClient(timeout=limits, trust_env=False) as client:
            while True:
                serial += 1
                source, target = dice.sample(range(1, ACCOUNTS + 1), 2)
                body = {
                    "key": f"c{number}-{serial}", "source_id": source, "target_id": target,
                    "amount": dice.randint(1, 50), "fails": dice.random() < 0.15,
                }  # fmt: skip
                await self._send(world, client, body, attempts=dice.choice((1, 3, 6)))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _send(
        self, world: World, client: httpx.AsyncClient, body: dict[str, object], *, attempts: int
    ) -> None:
        key = str(body["key"])
        (self.to_fail if body["fails"] else self.unknown).add(key)
        for _ in range(attempts):
            port = world.dice.choice([node.port for node in world.nodes if node.serves])
            try:
                answer = await client.post(f"http://127.0.0.1:{port}/transfers", json=body)
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
                continue
            if answer.status_code == 200:
                self.unknown.discard(key)
                self.acknowledged.add(key)
                return
            if body["fails"] and answer.status_code == 409:
                return
            await asyncio.sleep(0.05)

    async def check(self, world: World) -> Verdict:
        async with Database(world.server.url) as database, database.unit(write=False) as db:
            balances = dict((await db.execute(select(Account.id, Account.balance))).all())
            found = (await db.execute(
                select(Transfer.key, Transfer.source_id, Transfer.target_id, Transfer.amount,
                       Transfer.message_id)
            )).all()  # fmt: skip
            total = await db.scalar(select(func.sum(Account.balance)))
        verdict = Verdict()
        there = Counter(row.key for row in found)
        self._check_rows(there, verdict)
        expected = dict.fromkeys(balances, START)
        for row in found:
            expected[row.source_id] -= row.amount
            expected[row.target_id] += row.amount
        if total != ACCOUNTS * START:
            verdict.faults.append(f"the sum of the accounts is {total}, not {ACCOUNTS * START}")
        wrong = [number for number, balance in balances.items() if balance != expected[number]]
        if wrong:
            verdict.faults.append(f"accounts {wrong} do not match their transfers")
        _check_mails({row.key: row.message_id for row in found}, world.sink.taken, verdict)
        return verdict

    def _check_rows(self, there: Counter[str], verdict: Verdict) -> None:
        lost = self.acknowledged - there.keys()
        doubled = [key for key, count in there.items() if count > 1]
        ghosts = self.to_fail & there.keys()
        strangers = there.keys() - self.acknowledged - self.unknown - self.to_fail
        for name, keys in (
            ("acknowledged and lost", lost), ("doubled", doubled),
            ("rolled back and there", ghosts), ("never sent and there", strangers),
        ):  # fmt: skip
            if keys:
                verdict.faults.append(f"{len(keys)} transfers {name}: {sorted(keys)[:5]}")
        verdict.counts |= {
            "acknowledged": len(self.acknowledged),
            "unanswered": len(self.unknown),
            "unanswered and there": len(self.unknown & there.keys()),
            "rolled back": len(self.to_fail),
            "transfers": len(there),
        }


def _check_mails(committed: dict[str, str], taken: list[tuple[str, str]], verdict: Verdict) -> None:
    delivered: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for message_id, key in taken:
        delivered[key][message_id] += 1
    lost = [key for key in committed if key not in delivered]
    ghosts = [key for key in delivered if key not in committed]
    mixed = [k for k, ids in delivered.items() if k in committed and set(ids) != {committed[k]}]
    for name, keys in (
        ("of committed transfers were lost", lost),
        ("are of transfers that were rolled back", ghosts),
        ("have another Message-ID than was committed", mixed),
    ):
        if keys:
            verdict.faults.append(f"{len(keys)} mails {name}: {sorted(keys)[:5]}")
    verdict.counts |= {
        "mails": len(delivered),
        "mails delivered again": len(taken) - sum(len(ids) for ids in delivered.values()),
    }
