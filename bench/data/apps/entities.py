"""The peers' mapping of the same table, and their engine, as SQLAlchemy's documentation has it."""

import os
from datetime import datetime

from sqlalchemy import DateTime, String
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class World(Base):
    __tablename__ = "worlds"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    email: Mapped[str]
    number: Mapped[int]
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True))


engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:")
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
