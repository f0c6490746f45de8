"""Accounts as handlers meet them: what may be asked for by type, and who answers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.auth import Accounts, Identification, JwtProof, Passwords, Principal, Tokens, User
from mainspring.auth._identification import attached
from mainspring.auth._jwt import TokenReader
from mainspring.auth._keys import derive_all
from mainspring.data import Database
from mainspring.http._binding import Provider
from mainspring.http._problem import Unauthorized
from mainspring.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mainspring.auth import Proof
    from mainspring.auth._keys import SigningKey
    from mainspring.data import UnitOfWork
    from mainspring.http._request import Request
    from mainspring.services import Services
    from mainspring.settings import Settings


@dataclass(frozen=True, slots=True)
class Identity:
    """How an application knows its users.

    Attributes:
        identification: finds the principal of a request.
        providers: what handlers may ask for by type.
    """

    identification: Identification[Any]
    providers: Mapping[Any, Provider]


def identity(
    user_type: type[User],
    proofs: Sequence[Proof | JwtProof],
    *,
    name: str,
    settings: Settings,
    services: Services,
) -> Identity:
    """The identity of an application with accounts.

    Args:
        user_type: the application's user.
        proofs: in the order in which they are asked.
        name: of the application, which is the issuer of its tokens.
        settings: where the keys come from.
        services: where the database and the hashing threads are, once they are open.

    Raises:
        MissingSecretKey: a proof signs, and outside development there is nothing to sign with.
    """

    def read() -> UnitOfWork:
        return services.get(Database).unit(write=False)

    opened = list(_opened(proofs, name=name, settings=settings))
    identification = Identification([proof for proof, _ in opened], user_type, read=read)
    tokens = next((tokens for _, tokens in opened if tokens is not None), None)

    def accounts(request: Request) -> Accounts[Any]:
        passwords = services.get(Passwords)
        session = request.unit.session
        return Accounts(session, passwords=passwords, user_type=user_type, read=read)

    def unknown() -> Exception:
        return Unauthorized(challenge=identification.challenge)

    user = Provider(_user, unit=True, principal=True, absent=unknown)
    given: dict[Any, Provider] = dict.fromkeys(_up_to_user(user_type), user)
    given[Principal] = Provider(lambda request: request.principal, principal=True, absent=unknown)
    given[Accounts] = given[Accounts[user_type]] = Provider(accounts, unit=True)  # type: ignore[valid-type]  # a key, made when the type is known
    if tokens is not None:
        given[Tokens] = Provider(lambda _: tokens)
    return Identity(identification, given)


def _user(request: Request) -> Any:
    principal = request.principal
    return None if principal is None else attached(principal.user, request.unit.session)


def _up_to_user(user_type: type[User]) -> list[type]:
    """The application's user and what it inherits from, down to ours: all name the same row."""
    return [kind for kind in user_type.__mro__ if issubclass(kind, User)]


def _opened(
    proofs: Sequence[Proof | JwtProof], *, name: str, settings: Settings
) -> Iterator[tuple[Proof, Tokens | None]]:
    for proof in proofs:
        if isinstance(proof, JwtProof):
            tokens = proof.tokens(_keys(settings), name=name)
            yield TokenReader(tokens, scheme=proof.scheme), tokens
        else:
            yield proof, None


def _keys(settings: Settings) -> tuple[SigningKey, ...]:
    masters = [settings.secret_key, settings.secret_key_previous]
    if settings.debug and not settings.secret_key:
        # Whoever develops without a key signs in again after each restart.
        masters = [Secret(secrets.token_hex(32))]
    return derive_all(masters, purpose="jwt")
