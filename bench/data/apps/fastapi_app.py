"""FastAPI with SQLAlchemy: a session by dependency, entities through a response model."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.data.apps.entities import World, engine, sessions
from bench.data.apps.world import LISTED


class WorldOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    number: int
    created: datetime


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


app = FastAPI(lifespan=lifespan)
Db = Annotated[AsyncSession, Depends(session)]


@app.get("/row/{id}", response_model=WorldOut)
async def row(id: int, db: Db) -> World:
    found = await db.get(World, id)
    if found is None:
        raise HTTPException(404)
    return found


@app.get("/rows", response_model=list[WorldOut])
async def rows(db: Db) -> Sequence[World]:
    return (await db.scalars(select(World).where(World.id <= LISTED).order_by(World.id))).all()
