"""The models and the application of the tests of resources."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from sqlalchemy import MetaData, false, or_
from sqlalchemy.orm import registry

from mainspring.app import App
from mainspring.auth import Claim, Principal, User, anyone, signed_in
from mainspring.data import Mapped, Model, Versioned, column, foreign_key, relationship
from mainspring.data._model import NAMING
from mainspring.data.types import PYTHON_TYPES
from mainspring.http import Rows
from mainspring.settings import Settings


class Kept(Model):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)
    # Other tests have classes of the same names.
    _sa_registry = registry(metadata=metadata, type_annotation_map=PYTHON_TYPES)


class Rack(Kept):
    __tablename__ = "res_shelves"
    name: Mapped[str] = column(max_length=20)


class Memo(Versioned, Kept):
    __tablename__ = "res_memos"
    owner_id: Mapped[int]
    title: Mapped[str] = column(max_length=50)
    body: Mapped[str | None]
    public: Mapped[bool] = column(default=False)
    secret: Mapped[str] = column(max_length=20, default="hush")
    shelf_id: Mapped[int | None] = foreign_key(Rack.id)
    shelf: Mapped[Rack | None] = relationship()


class RackOut(msgspec.Struct):
    name: str


class MemoOut(msgspec.Struct):
    id: int
    owner_id: int
    title: str
    body: str | None
    public: bool
    shelf: RackOut | None


class RackFields(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=2, max_length=20)]


class ByHeader:
    """Who asks says so: `Authorization: Test 7`. Good enough for a test of what follows."""

    scheme = "Test"

    async def read(self, credentials: Any) -> Claim | None:
        sent = credentials.raw_headers.get(b"authorization")
        if sent is None:
            return None
        return Claim(user_id=int(sent.split()[1]), proof="test", scheme="Test")


def _mine(who: Principal | None) -> Any:
    return false() if who is None else Memo.owner_id == who.user_id


RULES = Rows(see=lambda who: or_(Memo.public.is_(True), _mine(who)), change=_mine)


def application(url: str, **more: Any) -> App:
    """Memos of owners, and shelves of everybody."""
    settings = Settings(database_url=url, debug=True, log_level="critical")
    app = App("memos", settings=settings, user=User, proofs=[ByHeader()])
    app.resource(
        "/memos",
        Memo,
        out=MemoOut,
        write=("title", "body", "public", "shelf_id"),
        filter=("owner_id", "public", "title"),
        sort=("title", "id"),
        rows=RULES,
        given=lambda who: {"owner_id": who.user_id},
        allow=anyone,
        allow_changes=signed_in,
        **more,
    )
    app.resource("/shelves", Rack, out=RackOut, write=RackFields, allow=anyone)
    return app
