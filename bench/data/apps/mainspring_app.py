"""Mainspring in its four speeds, chosen by BENCH_SPEED; everything that is on by default is on."""

import os

from bench.data.apps.world import LISTED, WorldOut
from bench.data.tables import World
from mainspring import App, anyone
from mainspring.data import Rows, Session, bindparam, hot, select

app = App("bench")
speed = os.environ["BENCH_SPEED"]

by_id = hot(select(World).where(World.id == bindparam("id")), WorldOut)
first = hot(select(World).where(World.id <= bindparam("last")).order_by(World.id), WorldOut)

if speed == "hot":

    @app.get("/row/{id}", allow=anyone)
    async def hot_row(id: int) -> WorldOut | Rows:
        return by_id(id=id)

    @app.get("/rows", allow=anyone)
    async def hot_rows() -> list[WorldOut] | Rows:
        return first(last=LISTED)

elif speed == "select":

    @app.get("/row/{id}", allow=anyone)
    async def select_row(id: int) -> WorldOut | Rows:
        return select(World).where(World.id == id)

    @app.get("/rows", allow=anyone)
    async def select_rows() -> list[WorldOut] | Rows:
        return select(World).where(World.id <= LISTED).order_by(World.id)

else:

    @app.get("/row/{id}", allow=anyone)
    async def entity(db: Session, id: int) -> WorldOut:
        return await db.find(World, id=id)

    @app.get("/rows", allow=anyone)
    async def entities(db: Session) -> list[WorldOut]:
        statement = select(World).where(World.id <= LISTED).order_by(World.id)
        return [*await db.scalars(statement)]
