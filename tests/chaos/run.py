"""One run: start everything, hurt it until the time is up, let it rest, and check the ledger."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from mainspring.data import Database, Model
from mainspring.data._journal_table import JOURNAL
from tests.chaos.servers import server_for
from tests.chaos.transfers import Transfers
from tests.chaos.world import ROOT, Capability, Node, Sink, World

if TYPE_CHECKING:
    from collections.abc import Callable


CAPABILITIES: tuple[Callable[[], Capability], ...] = (Transfers,)
_SERVING = 3
_BETWEEN_SECONDS = (0.3, 1.2)
_REST_SECONDS = 90.0


def chaos(url: str, folder: Path, *, seconds: float, seed: int, shared: bool) -> dict[str, Any]:
    """What happened, as it is printed; `faults` is empty if the ledger is exact."""
    with server_for(url, folder, shared=shared) as server, Sink() as sink:
        nodes = _nodes(server.url, sink.port, folder)
        world = World(random.Random(seed), server, sink, nodes, Counter(), folder)
        try:
            return asyncio.run(_run(world, seconds=seconds, seed=seed))
        finally:
            for node in nodes:
                node.kill()


def _nodes(url: str, mail_port: int, folder: Path) -> list[Node]:
    environ = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "DATABASE_URL": url,
        "MAIL_URL": f"smtp://127.0.0.1:{mail_port}?starttls=never",
        "MAIL_FROM": "chaos@example.org",
        "LOG_LEVEL": "warning",
    }
    return [Node(n, environ, folder, serves=n < _SERVING) for n in range(_SERVING + 1)]


async def _run(world: World, *, seconds: float, seed: int) -> dict[str, Any]:
    async with Database(world.server.url) as database:
        await database.on_connection(lambda c: (Model.metadata.create_all(c), c.commit()))
    capabilities = [make() for make in CAPABILITIES]
    for capability in capabilities:
        await capability.prepare(world)
    for node in world.nodes:
        node.start()
    await asyncio.gather(*(node.answers() for node in world.nodes))
    began = time.monotonic()
    loading = [asyncio.create_task(capability.load(world)) for capability in capabilities]
    await _break_things(world, until=began + seconds)
    for task in loading:
        task.cancel()
    ended = await asyncio.gather(*loading, return_exceptions=True)
    left = await _rest(world)
    faults = [f"the load ended: {e!r}" for e in ended if not isinstance(e, asyncio.CancelledError)]
    faults += [f"{count} rows of the journal are {state}" for state, count in left.items()]
    if world.done["ended by itself"]:
        faults.append(f"{world.done['ended by itself']} times a node ended by itself")
    counts: dict[str, int] = {}
    for capability in capabilities:
        verdict = await capability.check(world)
        counts |= verdict.counts
        faults += verdict.faults
    return {
        "seed": seed, "database": world.server.url.partition(":")[0],
        "seconds": round(time.monotonic() - began), "done": dict(world.done),
        "counts": counts, "faults": faults,
    }  # fmt: skip


async def _break_things(world: World, *, until: float) -> None:
    dice = world.dice
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(*_BETWEEN_SECONDS))
        for node in world.nodes:
            if node.stopped and time.monotonic() >= node.stopped_until:
                node.go_on()
            if not node.alive:
                world.done["ended by itself"] += 1
                node.start()
        await _hurt_one(world)


async def _hurt_one(world: World) -> None:
    dice, node = world.dice, world.dice.choice(world.nodes)
    chance = dice.random()
    if world.server.hurts and chance < 0.12:
        how = dice.choice(world.server.hurts)
        await world.server.hurt(how)
        world.done[how] += 1
    elif chance < 0.75:
        node.kill()
        node.start()
        world.done["kill -9"] += 1
    elif not node.stopped:
        # Short ones meet a transaction in its middle; long ones outlive the leases.
        node.stop_for(dice.choice((0.2, 1.0, 3.0, 20.0)))
        world.done["SIGSTOP"] += 1


async def _rest(world: World) -> dict[str, int]:
    """Let everything run again until the journal is empty; what is left of it, by state."""
    for node in world.nodes:
        node.go_on()
        if not node.alive:
            node.start()
    await asyncio.gather(*(node.answers() for node in world.nodes))
    until = time.monotonic() + _REST_SECONDS
    async with Database(world.server.url) as database:
        while True:
            left = await _left(database)
            if not left or time.monotonic() > until:
                break
            await asyncio.sleep(0.5)
    for node in world.nodes:
        node.signal(signal.SIGTERM)
    for node in world.nodes:
        if node.process is not None:
            try:
                await asyncio.to_thread(node.process.wait, 45)
            except Exception:  # noqa: BLE001  # it is told, and killed
                left["of a node that does not stop"] = 1
                node.kill()
    return left


async def _left(database: Database) -> dict[str, int]:
    names = {0: "waiting", 1: "claimed", 2: "dead"}
    async with database.unit(write=False) as db:
        rows = await db.execute(select(JOURNAL.c.state, func.count()).group_by(JOURNAL.c.state))
        return {names[state]: count for state, count in rows}
