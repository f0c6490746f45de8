"""What can be done with accounts: register, sign in, change the password, give roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from mainspring import telemetry
from mainspring.auth._errors import HashingBusy, Taken, Unacceptable
from mainspring.auth._identification import attached
from mainspring.auth._names import normalize_email, normalize_username
from mainspring.auth._passwords import Match
from mainspring.auth._user import User
from mainspring.data import IntegrityError, select, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Row

    from mainspring.auth._passwords import Passwords
    from mainspring.data import Session, UnitOfWork

U = TypeVar("U", bound=User)

ADMIN: Final = "admin"
"""The role of those who may do everything."""

_SERVER_ONLY: Final = frozenset({
    "id", "password_hash", "is_active", "roles", "credentials_version", "password_changed_at",
    "created_at",
})  # fmt: skip


_UNIQUE: Final = ("email", "username")


class Accounts(Generic[U]):
    """Accounts, within one unit of work.

    Passwords are hashed while no transaction is open, unless the caller has begun one: a hash
    takes as long as a hundred statements, and on SQLite nobody else could write meanwhile.

    Args:
        db: what is changed is part of this session.
        passwords: hashes them.
        user_type: the application's user.
        read: opens a unit that only reads, for looking before hashing.
    """

    def __init__(
        self,
        db: Session,
        *,
        passwords: Passwords,
        user_type: type[U],
        read: Callable[[], UnitOfWork],
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._user_type = user_type
        self._read = read

    async def register(
        self, *, email: str, password: str, username: str | None = None, **extra: Any
    ) -> U:
        """A new account, which has its id already and is committed with the unit.

        Args:
            email: in any case; stored in lower case.
            password: at least as long as `Passwords` demands.
            username: for applications that have public names.
            extra: columns that the application added to its user.

        Raises:
            Unacceptable: a value cannot be taken, or only the server may set it.
            Taken: another account has the address or the name.
            HashingBusy: no password can be hashed now.
        """
        values = self._values(extra, email=email, username=username)
        return await self._create(values, password, roles=[])

    async def create_superuser(
        self, *, email: str, password: str, username: str | None = None, **extra: Any
    ) -> U:
        """A new account with the role `admin`; raises what `register` does."""
        values = self._values(extra, email=email, username=username)
        return await self._create(values, password, roles=[ADMIN])

    async def authenticate(self, email: str, password: str) -> U | None:
        """The user, if there is one with this address and password who may sign in.

        The same work is done for an address that nobody has, a user without a password, one
        who is inactive and a wrong password, so that neither answer nor time tells them apart.

        Raises:
            HashingBusy: no password can be verified now.
        """
        row = await self._look_up(email)
        user_id, stored, is_active = row or (None, None, False)
        found = await self._passwords.verify(password, stored)
        if not isinstance(found, Match) or not is_active:
            telemetry.emit("auth.login_refused", user_id=user_id)
            return None
        anew = await self._hashed_anew(password) if found.outdated else None
        user = await self._db.get(self._user_type, user_id)
        # Whoever was shut out or changed the password while it was verified stays out.
        if user is None or not user.is_active or user.password_hash != stored:
            return None
        if anew is not None:
            user.password_hash = anew
        telemetry.emit("auth.login", user_id=user.id)
        return user

    async def change_password(self, user: U, *, current: str, new: str) -> U:
        """The user with another password; everything that was signed in before is not any more.

        Raises:
            Unacceptable: `current` is not the password, or `new` cannot be one.
            HashingBusy: no password can be hashed now.
        """
        known = user.password_hash
        if not isinstance(await self._passwords.verify(current, known), Match):
            raise Unacceptable("current", "is not the password of this account")
        hashed = await self._passwords.hash(new)
        row = await self._locked(user)
        if row.password_hash != known:
            raise Unacceptable("current", "is not the password of this account any more")
        return await self._store(user, hashed, version=row.credentials_version + 1)

    async def set_password(self, user: U, new: str) -> U:
        """The same without asking for the current one, for whoever proved it in another way."""
        hashed = await self._passwords.hash(new)
        row = await self._locked(user)
        return await self._store(user, hashed, version=row.credentials_version + 1)

    async def update(
        self,
        user: U,
        *,
        email: str | None = None,
        username: str | None = None,
        password: str | None = None,
        **extra: Any,
    ) -> U:
        """The user with other values for what is given; raises what `register` does.

        Either all of them are changed or none is. A new password ends what was signed in.
        """
        values = self._values(extra, email=email, username=username)
        hashed = None if password is None else await self._passwords.hash(password)
        attached(user, self._db)
        try:
            async with self._db.begin_nested():
                if hashed is not None:
                    row = await self._locked(user)
                    await self._store(user, hashed, version=row.credentials_version + 1)
                for name, value in values.items():
                    setattr(user, name, value)
                await self._db.flush()
        except IntegrityError:
            await self._db.refresh(user)
            await self._raise_taken(values, besides=user.id)
            raise
        return user

    async def grant(self, user_id: int, role: str) -> U | None:
        """Give a role, in effect from the next request; None if there is no such user."""
        return await self._change_roles(user_id, lambda roles: roles | {role})

    async def revoke(self, user_id: int, role: str) -> U | None:
        """Take a role away, in effect from the next request; None if there is no such user."""
        return await self._change_roles(user_id, lambda roles: roles - {role})

    async def _create(self, values: dict[str, Any], password: str, *, roles: list[str]) -> U:
        hashed = await self._passwords.hash(password)
        user = self._user_type(
            roles=roles, password_hash=hashed, password_changed_at=utc_now(), **values
        )
        try:
            # The database decides who was first; a savepoint, so that the unit can go on.
            async with self._db.begin_nested():
                self._db.add(user)
                await self._db.flush()
        except IntegrityError:
            await self._raise_taken(values)
            raise
        telemetry.emit("auth.registered", user_id=user.id)
        return user

    @staticmethod
    def _values(
        extra: dict[str, Any], *, email: str | None, username: str | None
    ) -> dict[str, Any]:
        for name in _SERVER_ONLY.intersection(extra):
            raise Unacceptable(name, "cannot be chosen")
        given = {
            "email": None if email is None else normalize_email(email),
            "username": None if username is None else normalize_username(username),
        }
        return extra | {name: value for name, value in given.items() if value is not None}

    async def _raise_taken(self, values: dict[str, Any], *, besides: int | None = None) -> None:
        kind = self._user_type
        for field in _UNIQUE:
            same = select(kind.id).where(getattr(kind, field) == values.get(field))
            if besides is not None:
                same = same.where(kind.id != besides)
            if field in values and await self._db.scalar(same) is not None:
                raise Taken(field) from None

    async def _look_up(self, email: str) -> Row[int, str | None, bool] | None:
        kind = self._user_type
        try:
            address = normalize_email(email)
        except Unacceptable:
            return None
        wanted = select(kind.id, kind.password_hash, kind.is_active).where(kind.email == address)
        async with self._read() as db:
            return (await db.execute(wanted)).one_or_none()

    async def _hashed_anew(self, password: str) -> str | None:
        try:
            return await self._passwords.rehash(password)
        except HashingBusy:  # the next log-in will do it
            return None

    async def _locked(self, user: U) -> Row[str | None, int]:
        kind = self._user_type
        wanted = select(kind.password_hash, kind.credentials_version).where(kind.id == user.id)
        return (await self._db.execute(wanted.with_for_update())).one()

    async def _store(self, user: U, hashed: str, *, version: int) -> U:
        attached(user, self._db)
        user.password_hash = hashed
        user.credentials_version = version
        user.password_changed_at = utc_now()
        await self._db.flush()
        telemetry.emit("auth.password_changed", user_id=user.id)
        return user

    async def _change_roles(
        self, user_id: int, change: Callable[[frozenset[str]], frozenset[str]]
    ) -> U | None:
        await self._db.flush()
        user = await self._db.get(
            self._user_type, user_id, with_for_update=True, populate_existing=True
        )
        if user is not None:
            user.roles = sorted(change(frozenset(user.roles)))
            telemetry.emit("auth.roles_changed", user_id=user.id, roles=user.roles)
        return user
