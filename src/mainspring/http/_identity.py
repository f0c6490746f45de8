"""Accounts as handlers meet them: what may be asked for by type, and who answers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.auth import (
    Accounts,
    Identification,
    JwtProof,
    MissingSecretKey,
    Passwords,
    Principal,
    Tokens,
    User,
)
from mainspring.auth._identification import attached
from mainspring.auth._jwt import TokenReader
from mainspring.auth._keys import derive_all
from mainspring.http._binding import Provider
from mainspring.http._problem import Unauthorized
from mainspring.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mainspring.auth import Proof
    from mainspring.auth._keys import SigningKey
    from mainspring.data import Session, UnitOfWork
    from mainspring.http._request import Request
    from mainspring.http._routing import Route
    from mainspring.services import Services
    from mainspring.settings import Settings


@dataclass(frozen=True, slots=True)
class Identity:
    """How an application knows its users.

    Attributes:
        identification: finds the principal of a request.
        providers: what handlers may ask for by type.
        accounts: the same for whoever has a session and no request, such as a command.
        keyless: tokens would be signed with a key that the next start forgets.
    """

    identification: Identification[Any]
    providers: Mapping[Any, Provider]
    accounts: Callable[[Session], Accounts[Any]]
    keyless: bool = False

    def check(self, route: Route, *, principal: bool) -> None:
        """Raise if a route needs the key that there is not.

        Args:
            route: with its signature read.
            principal: whether it asks who is asking.

        Raises:
            MissingSecretKey: it signs or verifies tokens, and SECRET_KEY is not set.
        """
        if self.keyless and (principal or _asks_for(route, Tokens)):
            raise MissingSecretKey


def _asks_for(route: Route, kind: object) -> bool:
    signature = route.signature
    return signature is not None and any(p.kind is kind for p in signature.of("provided"))


def identity(
    user_type: type[User],
    proofs: Sequence[Proof | JwtProof],
    *,
    name: str,
    settings: Settings,
    services: Services,
    read: Callable[[], UnitOfWork],
) -> Identity:
    """The identity of an application with accounts.

    Args:
        user_type: the application's user.
        proofs: in the order in which they are asked.
        name: of the application, which is the issuer of its tokens.
        settings: where the keys come from.
        services: where the hashing threads are, once they are open.
        read: opens a unit that only reads.
    """
    opened = list(_opened(proofs, name=name, settings=settings))
    identification = Identification([proof for proof, _ in opened], user_type, read=read)
    tokens = next((tokens for _, tokens in opened if tokens is not None), None)

    def accounts(session: Session) -> Accounts[Any]:
        passwords = services.get(Passwords)
        return Accounts(session, passwords=passwords, user_type=user_type, read=read)

    def unknown() -> Exception:
        return Unauthorized(challenge=identification.challenge)

    user = Provider(_user, unit=True, principal=True, absent=unknown)
    given: dict[Any, Provider] = dict.fromkeys(_up_to_user(user_type), user)
    given[Principal] = Provider(lambda request: request.principal, principal=True, absent=unknown)
    asked = Provider(lambda request: accounts(request.unit.session), unit=True)
    given[Accounts] = given[Accounts[user_type]] = asked  # type: ignore[valid-type]  # a key, made when the type is known
    if tokens is not None:
        given[Tokens] = Provider(lambda _: tokens)
    keyless = tokens is not None and not settings.secret_key and not settings.debug
    return Identity(identification, given, accounts, keyless=keyless)


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
    if not settings.secret_key:
        # Whoever develops without a key signs in again after each restart; `check` refuses the
        # routes that need one outside development.
        masters = [Secret(secrets.token_hex(32))]
    return derive_all(masters, purpose="jwt")
