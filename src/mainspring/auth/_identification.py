"""Who is asking: the proofs in order, then the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from mainspring.auth._errors import BadCredentials
from mainspring.auth._principal import Principal
from mainspring.auth._user import User

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.auth._proof import Claim, Credentials, Proof
    from mainspring.data import Session, UnitOfWork

    class Asker(Credentials, Protocol):
        """A request: credentials, and the unit of work that it will use."""

        @property
        def unit(self) -> UnitOfWork | None: ...


U = TypeVar("U", bound=User)


class Identification(Generic[U]):
    """Finds the principal of a request.

    Args:
        proofs: asked in order; the first that recognises something decides.
        user_type: the application's user.
        read: opens a unit that only reads.
    """

    def __init__(
        self, proofs: Sequence[Proof], user_type: type[U], *, read: Callable[[], UnitOfWork]
    ) -> None:
        self._proofs = tuple(proofs)
        self._user_type = user_type
        self._read = read

    @property
    def challenge(self) -> str:
        """The scheme that a caller who sent nothing is asked for."""
        return next((proof.scheme for proof in self._proofs if proof.scheme), "Bearer")

    async def __call__(self, request: Asker) -> Principal | None:
        """Who is asking, or None if the request says nothing about it.

        Raises:
            BadCredentials: the proof is not good, or the account is gone, inactive, or has
                changed its password since.
        """
        claim = await self._claim(request)
        if claim is None:
            return None
        user = await self._find(claim.user_id, request.unit)
        if user is None or not user.is_active or _outdated(claim, user):
            raise BadCredentials(
                "the account does not accept these credentials", scheme=claim.scheme
            )
        return Principal(
            user_id=claim.user_id, roles=frozenset(user.roles), proof=claim.proof, user=user
        )

    async def _claim(self, credentials: Credentials) -> Claim | None:
        for proof in self._proofs:
            claim = await proof.read(credentials)
            if claim is not None:
                return claim
        return None

    async def _find(self, user_id: int, unit: UnitOfWork | None) -> U | None:
        # A unit that writes is not begun here: it would keep SQLite's one place to write, or a
        # connection, for as long as the client takes to send the body.
        if unit is not None and not unit.write:
            return await unit.session.get(self._user_type, user_id)
        async with self._read() as session:
            return await session.get(self._user_type, user_id)


def _outdated(claim: Claim, user: User) -> bool:
    return claim.version is not None and claim.version != user.credentials_version


def attached(user: U, session: Session) -> U:
    """The user as an object of the session, so that changes to it are saved with the rest."""
    if user not in session:
        session.add(user)
    return user
