"""The Mainspring application with a database in use: what start and idle memory are taken of."""

from bench.http.apps.mainspring_app import app as plain
from mainspring import App, Struct, anyone
from mainspring.data import Mapped, Model, Session, func, select

app = App("bench")
app.include(plain)


class Stored(Model):
    name: Mapped[str]
    price: Mapped[float]


class Seen(Struct):
    one: int


@app.get("/one", allow=anyone)
async def one(db: Session) -> Seen:
    return Seen(one=await db.scalar(select(func.abs(1))) or 0)
