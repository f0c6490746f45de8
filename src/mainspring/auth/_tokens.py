"""Access tokens: signed statements that somebody signed in, and not yet too long ago."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry
from joserfc.registry import JWS_HEADER_REGISTRY

from mainspring import telemetry
from mainspring.auth._errors import BadCredentials
from mainspring.auth._proof import Claim
from mainspring.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.auth._keys import SigningKey
    from mainspring.clock import Clock

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
"""RFC 9068, section 2.1: no other kind of JWT can be mistaken for an access token."""
LARGEST_BYTES: Final = 4096
_HEADERS: Final = {name: JWS_HEADER_REGISTRY[name] for name in ("alg", "typ", "kid")}
# Verifying costs 45 µs, and finding what was verified before costs 1: 4,096 tokens are the
# signed-in users of some minutes, at half a megabyte.
_REMEMBERED: Final = 4096
_KEY: Final = re.compile(r"0|[1-9][0-9]{0,17}")
# Machines disagree by this much about what time it is.
_LEEWAY: Final = timedelta(seconds=5)


class Holder(Protocol):
    """Whom a token is given to; every `User` is one."""

    @property
    def id(self) -> Any: ...
    @property
    def credentials_version(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Verified:
    claim: Claim
    expires: int


class Tokens:
    """Issues access tokens and verifies them.

    Args:
        keys: the first signs, and all of them verify, so that a key can be replaced while
            tokens of the old one are still about.
        issuer: who gives them out.
        audience: whom they are for.
        lifetime: how long they are good.
        scheme: of `Authorization`, for the error that names it.
        clock: what time it is.
    """

    def __init__(
        self,
        keys: Sequence[SigningKey],
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta,
        scheme: str = "Bearer",
        clock: Clock | None = None,
    ) -> None:
        self._keys = {key.id: OctKey.import_key(key.secret) for key in keys}
        self._current = keys[0].id
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._scheme = scheme
        self._clock = clock or SystemClock()
        self._jws = JWSRegistry(algorithms=[ALGORITHM])
        # Parameters that can point to a key (jwk, jku, x5u) or change the rules (crit, b64) are
        # not merely ignored: no token of ours has them.
        self._jws.header_registry = dict(_HEADERS)
        self._rules = jwt.JWTClaimsRegistry(
            now=self._now,
            leeway=int(_LEEWAY.total_seconds()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            nbf={"essential": True},
            iat={"essential": True},
            ver={"essential": True},
        )
        self._verified: dict[bytes, _Verified] = {}

    def issue(self, user: Holder) -> str:
        """A token for the user, good until its lifetime ends or their password changes."""
        now = self._now()
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user.id),
            "iat": now,
            "nbf": now,
            "exp": now + int(self._lifetime.total_seconds()),
            "jti": telemetry.new_id(),
            "ver": user.credentials_version,
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._current}
        return jwt.encode(header, claims, self._keys[self._current], registry=self._jws)

    def verify(self, token: bytes) -> Claim:
        """What the token says, once it is known to be ours, for us, and good now.

        Raises:
            BadCredentials: it is not.

        Source: RFC 8725 (JWT Best Current Practices), section 3.
        """
        if len(token) > LARGEST_BYTES:
            raise self._bad("the token is too long to be one of ours")
        # The digest stands for the token, so that no usable token lies in memory.
        digest = hashlib.sha256(token).digest()
        known = self._verified.get(digest)
        if known is not None and self._now() < known.expires:
            return known.claim
        verified = self._verify(token)
        self._remember(digest, verified)
        return verified.claim

    def _verify(self, token: bytes) -> _Verified:
        try:
            decoded = jwt.decode(token, self._key, registry=self._jws)
            if decoded.header.get("typ") != TYPE:
                raise self._bad()
            self._rules.validate(decoded.claims)
            return self._read(decoded.claims)
        except ExpiredTokenError:
            raise self._bad("the token has expired") from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise self._bad() from None

    def _key(self, signed: Any) -> OctKey:
        try:
            return self._keys[signed.headers()["kid"]]
        except KeyError:
            raise self._bad() from None

    def _read(self, claims: dict[str, Any]) -> _Verified:
        subject, version = claims["sub"], claims["ver"]
        # Only the one way of writing a key that `issue` uses, and only one that a column can hold.
        if not _KEY.fullmatch(subject) or type(version) is not int:
            raise self._bad()
        claim = Claim(user_id=int(subject), proof="jwt", scheme=self._scheme, version=version)
        return _Verified(claim, int(claims["exp"]))

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        remembered = self._verified
        remembered.pop(digest, None)
        if len(remembered) >= _REMEMBERED:
            del remembered[next(iter(remembered))]
        remembered[digest] = verified

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _bad(self, what: str = "the token is not valid") -> BadCredentials:
        return BadCredentials(what, scheme=self._scheme)
