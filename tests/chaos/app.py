"""The application that is killed: accounts, transfers that can be repeated, and a mail for each."""

from __future__ import annotations

from mainspring import App, Conflict, Struct, anyone
from mainspring.data import Mapped, Model, Session, column, foreign_key, select, update
from mainspring.mail import Mailer, Message

app = App("chaos")


class Account(Model):
    balance: Mapped[int]


class Transfer(Model):
    key: Mapped[str] = column(max_length=64, unique=True)
    source_id: Mapped[int] = foreign_key(Account.id)
    target_id: Mapped[int] = foreign_key(Account.id)
    amount: Mapped[int]
    message_id: Mapped[str] = column(max_length=200)


class NewTransfer(Struct):
    key: str
    source_id: int
    target_id: int
    amount: int
    fails: bool = False


class Done(Struct):
    message_id: str


@app.post("/transfers", allow=anyone)
async def transfer(new: NewTransfer, db: Session, mail: Mailer) -> Done:
    """Move money once, however often the same key is sent."""
    found = (await db.execute(select(Transfer.message_id).filter_by(key=new.key))).scalar()
    if found is not None:
        return Done(found)
    message_id = await mail.send(Message(to="owner@example.org", subject=new.key, text="moved"))
    changes = sorted([(new.source_id, -new.amount), (new.target_id, new.amount)])
    for account_id, change in changes:  # in one order, so that no two wait for each other
        await db.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(balance=Account.balance + change)
            .execution_options(synchronize_session=False)
        )
    db.add(
        Transfer(
            key=new.key,
            source_id=new.source_id,
            target_id=new.target_id,
            amount=new.amount,
            message_id=message_id,
        )
    )
    await db.flush()
    if new.fails:
        raise Conflict("asked to fail after everything was done")
    return Done(message_id)
