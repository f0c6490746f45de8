"""The proof that reads an access token from `Authorization`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.auth._errors import BadCredentials, MissingSecretKey
from mainspring.auth._tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.auth._keys import SigningKey
    from mainspring.auth._proof import Claim, Credentials, Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtProof:
    """How an application uses access tokens: `App("shop", proofs=[JwtProof(scheme="Token")])`.

    Attributes:
        scheme: the word before the token in `Authorization`, `Bearer` by default (RFC 6750).
        lifetime: how long a token is good.
        issuer: who gives them out; the application's name by default.
        audience: whom they are for; the issuer by default.
    """

    scheme: str = "Bearer"
    lifetime: timedelta = timedelta(hours=1)
    issuer: str = ""
    audience: str = ""

    def tokens(self, keys: Sequence[SigningKey], *, name: str) -> Tokens:
        """What issues and verifies the tokens.

        Args:
            keys: the first signs, all verify.
            name: of the application.

        Raises:
            MissingSecretKey: there is no key.
        """
        if not keys:
            raise MissingSecretKey
        issuer = self.issuer or name
        return Tokens(
            keys,
            issuer=issuer,
            audience=self.audience or issuer,
            lifetime=self.lifetime,
            scheme=self.scheme,
        )


class TokenReader:
    """The proof itself: `Authorization: <scheme> <token>`.

    Args:
        tokens: verify what was sent.
        scheme: compared without case (RFC 9110, section 11.1).
    """

    def __init__(self, tokens: Tokens, *, scheme: str) -> None:
        self.scheme = scheme
        self._tokens = tokens
        self._wanted = scheme.lower().encode()

    async def read(self, credentials: Credentials) -> Claim | None:
        sent = credentials.raw_headers.get(b"authorization")
        if sent is None:
            return None
        scheme, _, token = sent.partition(b" ")
        if scheme.lower() != self._wanted:
            return None
        token = token.strip(b" ")
        if not token:
            raise BadCredentials("there is no token", scheme=self.scheme)
        return self._tokens.verify(token)


if TYPE_CHECKING:
    _fits: type[Proof] = TokenReader
