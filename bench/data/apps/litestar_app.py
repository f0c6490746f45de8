"""Litestar with SQLAlchemy as in its tutorial: a transaction by dependency, structs out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, get
from litestar.exceptions import NotFoundException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.data.apps.entities import World, engine, sessions
from bench.data.apps.world import LISTED, WorldOut


@asynccontextmanager
async def lifespan(_app: Litestar) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def provide_transaction() -> AsyncIterator[AsyncSession]:
    async with sessions() as session, session.begin():
        yield session


def _out(world: World) -> WorldOut:
    return WorldOut(world.id, world.name, world.email, world.number, world.created)


@get("/row/{id:int}")
async def row(id: int, transaction: AsyncSession) -> WorldOut:
    found = await transaction.get(World, id)
    if found is None:
        raise NotFoundException
    return _out(found)


@get("/rows")
async def rows(transaction: AsyncSession) -> list[WorldOut]:
    statement = select(World).where(World.id <= LISTED).order_by(World.id)
    return [_out(world) for world in await transaction.scalars(statement)]


app = Litestar([row, rows], dependencies={"transaction": provide_transaction}, lifespan=[lifespan])
