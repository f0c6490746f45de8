"""The FastAPI application with a database in use, as its page on SQL databases arranges it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.http.apps.fastapi_app import app as plain


class Base(DeclarativeBase):
    pass


class Stored(Base):
    __tablename__ = "stored"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[float]


class Seen(BaseModel):
    one: int


engine = create_async_engine(os.environ["DATABASE_URL"].replace("sqlite:", "sqlite+aiosqlite:"))
sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


app = FastAPI(lifespan=lifespan)
app.include_router(plain.router)


@app.get("/one")
async def one(db: Annotated[AsyncSession, Depends(session)]) -> Seen:
    return Seen(one=await db.scalar(select(func.abs(1))) or 0)
