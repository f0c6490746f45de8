"""What every subject reads: a table of worlds, and the struct that a world is sent as."""

from datetime import datetime

from msgspec import Struct

LISTED = 1_000


class WorldOut(Struct):
    id: int
    name: str
    email: str
    number: int
    created: datetime
