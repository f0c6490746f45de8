"""Access tokens. T36: whatever is not exactly one of ours is a 401."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from mainspring.auth import BadCredentials, JwtProof, MissingSecretKey, Tokens
from mainspring.auth._jwt import TokenReader
from mainspring.auth._keys import derive, derive_all
from mainspring.auth._tokens import LARGEST_BYTES
from mainspring.settings import Secret
from tests.auth.clients import bearing, client_of, opened, registered
from tests.auth.members import KEY, members

KEYS = derive_all([Secret(KEY)], purpose="jwt")
OTHER = derive_all([Secret("another key, which is as long as the first")], purpose="jwt")


@dataclass
class Somebody:
    id: int = 7
    credentials_version: int = 3


@dataclass
class Sent:
    raw_headers: dict[bytes, bytes]
    cookies: dict[str, str]


class ManualClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, span: timedelta) -> None:
        self.time += span


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock) -> Tokens:
    return make(clock)


def make(clock, keys=KEYS, **changed) -> Tokens:
    options = {"issuer": "shop", "audience": "shop", "lifetime": timedelta(hours=1)} | changed
    return Tokens(keys, clock=clock, **options)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def forged(header: dict, claims: dict | bytes, key: bytes = KEYS[0].secret) -> str:
    """Signed with HMAC-SHA256, whatever the header says."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    text = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), hashlib.sha256))}"


def parts(token: str) -> tuple[dict, dict]:
    header, claims, _ = token.split(".")
    return unb64(header), unb64(claims)


def test_a_token_says_whose_it_is_until_it_expires(tokens, clock) -> None:
    token = tokens.issue(Somebody()).encode()
    claim = tokens.verify(token)
    assert (claim.user_id, claim.version, claim.proof) == (7, 3, "jwt")
    clock.time += timedelta(minutes=59)
    assert tokens.verify(token) == claim
    clock.time += timedelta(minutes=2)
    with pytest.raises(BadCredentials, match="has expired"):
        tokens.verify(token)


def test_a_token_that_was_never_seen_is_known_to_have_expired_too(tokens, clock) -> None:
    token = tokens.issue(Somebody()).encode()
    clock.time += timedelta(hours=2)
    with pytest.raises(BadCredentials, match="has expired"):
        tokens.verify(token)


def test_a_token_holds_what_rfc_8725_asks_for(tokens) -> None:
    header, claims = parts(tokens.issue(Somebody()))
    assert header == {"typ": "at+jwt", "alg": "HS256", "kid": KEYS[0].id}
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "ver"}
    assert (claims["iss"], claims["aud"], claims["sub"], claims["ver"]) == ("shop", "shop", "7", 3)
    assert claims["exp"] - claims["iat"] == 3600


def test_no_two_tokens_are_the_same(tokens) -> None:
    assert tokens.issue(Somebody()) != tokens.issue(Somebody())


def test_the_key_can_be_replaced_while_its_tokens_are_about(tokens, clock) -> None:
    old = tokens.issue(Somebody()).encode()
    both = make(clock, keys=(*OTHER, *KEYS))
    assert both.verify(old).user_id == 7
    new = both.issue(Somebody())
    assert parts(new)[0]["kid"] == OTHER[0].id
    with pytest.raises(BadCredentials):
        tokens.verify(new.encode())


def test_each_purpose_has_a_key_of_its_own_and_none_is_the_master() -> None:
    master = Secret(KEY)
    jwt, cookies = derive(master, purpose="jwt"), derive(master, purpose="cookies")
    assert jwt == derive(master, purpose="jwt")
    assert len({jwt.secret, cookies.secret, KEY.encode()}) == 3
    assert jwt.id != cookies.id
    assert len(jwt.secret) == 32
    assert repr(jwt.secret) not in repr(jwt)


def test_without_a_key_there_are_no_tokens() -> None:
    assert derive_all([Secret(""), Secret("")], purpose="jwt") == ()
    with pytest.raises(MissingSecretKey):
        JwtProof().tokens((), name="shop")


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_PUBLIC = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed_by_rsa(header: dict, claims: dict) -> str:
    key = RSAKey.import_key(RSA_KEY)
    registry = jws.JWSRegistry(algorithms=["RS256"])
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=registry)


def attacker_key() -> dict:
    return OctKey.import_key(b"attacker" * 4).as_dict()


def no_signature(header: dict, claims: dict, alg: str) -> str:
    return forged(header | {"alg": alg}, claims).rpartition(".")[0] + "."


# Each makes a bad token out of header and claims of a good one, and says in what it is bad.
FORGERIES = {
    "alg none": lambda h, c: no_signature(h, c, "none"),
    "alg None": lambda h, c: no_signature(h, c, "None"),
    "alg none, signed": lambda h, c: forged(h | {"alg": "none"}, c),
    "alg empty": lambda h, c: forged(h | {"alg": ""}, c),
    "alg missing": lambda h, c: forged({k: v for k, v in h.items() if k != "alg"}, c),
    "alg a list": lambda h, c: forged(h | {"alg": ["HS256"]}, c),
    "alg HS512": lambda h, c: forged(h | {"alg": "HS512"}, c),
    "alg RS256 by RSA": lambda h, c: signed_by_rsa(h | {"alg": "RS256"}, c),
    "alg RS256 by our key": lambda h, c: forged(h | {"alg": "RS256"}, c),
    "HS256 by an RSA public key": lambda h, c: forged(h, c, RSA_PUBLIC),
    "HS256 by nothing": lambda h, c: forged(h, c, b""),
    "HS256 by the master key": lambda h, c: forged(h, c, KEY.encode()),
    "HS256 by another key": lambda h, c: forged(h, c, OTHER[0].secret),
    "no signature": lambda h, c: no_signature(h, c, "HS256"),
    "kid of another key": lambda h, c: forged(h | {"kid": OTHER[0].id}, c),
    "kid a path": lambda h, c: forged(h | {"kid": "../../dev/null"}, c, b""),
    "kid a number": lambda h, c: forged(h | {"kid": 1}, c),
    "kid a list": lambda h, c: forged(h | {"kid": [h["kid"]]}, c),
    "kid missing": lambda h, c: forged({k: v for k, v in h.items() if k != "kid"}, c),
    "crit unknown": lambda h, c: forged(h | {"crit": ["x"], "x": 1}, c),
    "crit empty": lambda h, c: forged(h | {"crit": []}, c),
    "crit b64": lambda h, c: forged(h | {"crit": ["b64"], "b64": False}, c),
    "embedded jwk": lambda h, c: forged(h | {"jwk": attacker_key()}, c, b"attacker" * 4),
    "embedded jwk, our key": lambda h, c: forged(h | {"jwk": attacker_key()}, c),
    "jku": lambda h, c: forged(h | {"jku": "https://attacker.example/keys"}, c),
    "x5u": lambda h, c: forged(h | {"x5u": "https://attacker.example/cert"}, c),
    "typ JWT": lambda h, c: forged(h | {"typ": "JWT"}, c),
    "typ of another use": lambda h, c: forged(h | {"typ": "rt+jwt"}, c),
    "typ missing": lambda h, c: forged({k: v for k, v in h.items() if k != "typ"}, c),
    "iss of another": lambda h, c: forged(h, c | {"iss": "other"}),
    "iss a prefix": lambda h, c: forged(h, c | {"iss": c["iss"][:-1]}),
    "iss with a suffix": lambda h, c: forged(h, c | {"iss": c["iss"] + ".evil.example"}),
    "iss in a list": lambda h, c: forged(h, c | {"iss": [c["iss"]]}),
    "iss empty": lambda h, c: forged(h, c | {"iss": ""}),
    "iss missing": lambda h, c: forged(h, without(c, "iss")),
    "aud of another": lambda h, c: forged(h, c | {"aud": "other"}),
    "aud of others": lambda h, c: forged(h, c | {"aud": ["other", "another"]}),
    "aud a prefix": lambda h, c: forged(h, c | {"aud": c["aud"][:-1]}),
    "aud an object": lambda h, c: forged(h, c | {"aud": {c["aud"]: 1}}),
    "aud missing": lambda h, c: forged(h, without(c, "aud")),
    "sub not a number": lambda h, c: forged(h, c | {"sub": "admin"}),
    "sub a number": lambda h, c: forged(h, c | {"sub": 7}),
    "sub with other digits": lambda h, c: forged(h, c | {"sub": "\u0667"}),
    "sub with a sign": lambda h, c: forged(h, c | {"sub": "+7"}),
    "sub enormous": lambda h, c: forged(h, c | {"sub": "9" * 2000}),
    "sub missing": lambda h, c: forged(h, without(c, "sub")),
    "expired": lambda h, c: forged(h, c | {"exp": c["iat"] - 3600}),
    "exp missing": lambda h, c: forged(h, without(c, "exp")),
    "exp text": lambda h, c: forged(h, c | {"exp": "9999999999"}),
    "exp true": lambda h, c: forged(h, c | {"exp": True}),
    "exp null": lambda h, c: forged(h, c | {"exp": None}),
    "exp infinite": lambda h, c: forged(h, c | {"exp": float("inf")}),
    "exp not a number": lambda h, c: forged(h, c | {"exp": float("nan")}),
    "nbf in an hour": lambda h, c: forged(h, c | {"nbf": c["iat"] + 3600}),
    "nbf missing": lambda h, c: forged(h, without(c, "nbf")),
    "iat in an hour": lambda h, c: forged(h, c | {"iat": c["iat"] + 3600}),
    "iat missing": lambda h, c: forged(h, without(c, "iat")),
    "ver missing": lambda h, c: forged(h, without(c, "ver")),
    "ver text": lambda h, c: forged(h, c | {"ver": "0"}),
    "ver true": lambda h, c: forged(h, c | {"ver": False}),
    "claims a list": lambda h, c: forged(h, json.dumps([c]).encode()),
    "claims not JSON": lambda h, _: forged(h, b"claims"),
    "claims not UTF-8": lambda h, _: forged(h, b'{"iss": "\xff"}'),
    "claims nested a thousand deep": lambda h, _: forged(h, b"[" * 1000 + b"]" * 1000),
    "claims of another token": lambda h, c: swapped(h, c),  # noqa: PLW0108  # defined below
    "100 KB": lambda h, c: forged(h, c | {"pad": "x" * 100_000}),
    "100 KB of nothing": lambda *_: "x" * 100_000,
    "100 KB of dots": lambda *_: "." * 100_000,
    "an encrypted token": lambda h, c: forged(h, c) + ".AAAA.AAAA",
    "two tokens": lambda h, c: f"{forged(h, c)}, Token {forged(h, c)}",
    "garbage": lambda *_: "garbage",
    "garbage in three parts": lambda *_: "a.b.c",
    "three empty parts": lambda *_: "..",
    "nothing": lambda *_: "",
    "not ASCII": lambda h, c: forged(h, c) + "\u00e9",
}  # fmt: skip


def without(claims: dict, name: str) -> dict:
    return {key: value for key, value in claims.items() if key != name}


def swapped(header: dict, claims: dict) -> str:
    """Claims of one token under the signature of another."""
    signature = forged(header, claims).rpartition(".")[2]
    return f"{forged(header, claims | {'sub': '8'}).rpartition('.')[0]}.{signature}"


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_token_that_is_not_exactly_ours_is_refused(tokens, clock, forge) -> None:
    header, claims = parts(tokens.issue(Somebody()))
    assert tokens.verify(
        forged(header, claims).encode()
    )  # so that the forgery is in one thing only
    reader = TokenReader(tokens, scheme="Token")
    sent = Sent({b"authorization": b"Token " + forge(header, claims).encode()}, {})
    with pytest.raises(BadCredentials) as caught:
        await reader.read(sent)
    assert caught.value.scheme


async def test_every_forgery_is_a_401_over_http(sqlite_url) -> None:
    async with opened(sqlite_url), client_of(members(sqlite_url)) as client:
        jane = await registered(client)
        header, claims = parts(jane["token"])
        assert (await client.get("/me", headers=bearing(forged(header, claims)))).status_code == 200
        for name, forge in FORGERIES.items():
            sent = {"Authorization": b"Token " + forge(header, claims).encode()}
            answer = await client.get("/me", headers=sent)
            assert answer.status_code == 401, name
            assert answer.headers["www-authenticate"] == 'Token error="invalid_token"', name


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(BadCredentials):
        make(ManualClock()).verify(data)


@given(st.integers(0, 2**32), st.integers(0, 255))
def test_no_byte_of_a_token_can_be_another(at: int, value: int) -> None:
    tokens = make(ManualClock())
    token = bytearray(tokens.issue(Somebody()).encode())
    at %= len(token)
    if token[at] == value:
        return
    token[at] = value
    try:
        claim = tokens.verify(bytes(token))
    except BadCredentials:
        return
    # The last character of a part may carry bits that stand for nothing; the content is the same.
    assert (claim.user_id, claim.version) == (7, 3)


def test_the_largest_of_our_tokens_is_far_below_the_bound() -> None:
    tokens = make(ManualClock(), issuer="i" * 255, audience="a" * 255)
    token = tokens.issue(Somebody(id=10**17, credentials_version=2**63)).encode()
    assert tokens.verify(token).user_id == 10**17
    assert len(token) < LARGEST_BYTES / 2


def test_what_was_verified_is_not_verified_again(tokens, monkeypatch) -> None:
    token = tokens.issue(Somebody()).encode()
    calls = []
    real = tokens._verify
    monkeypatch.setattr(tokens, "_verify", lambda token: calls.append(token) or real(token))
    assert tokens.verify(token) == tokens.verify(token)
    assert len(calls) == 1


def test_what_was_refused_is_not_remembered(tokens) -> None:
    for number in range(50):
        with pytest.raises(BadCredentials):
            tokens.verify(b"x.y.%d" % number)
    assert not tokens._verified


def test_only_so_many_tokens_are_remembered(tokens, monkeypatch) -> None:
    monkeypatch.setattr("mainspring.auth._tokens._REMEMBERED", 3)
    issued = [tokens.issue(Somebody(id=number)).encode() for number in range(5)]
    for token in issued:
        tokens.verify(token)
    assert [kept.claim.user_id for kept in tokens._verified.values()] == [2, 3, 4]
    assert tokens.verify(issued[0]).user_id == 0


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer x.y.z", b"Basic dG9rZW46", b"Tokens x.y.z", b"Tok en"]
)
async def test_what_is_of_another_scheme_is_not_mine(tokens, header) -> None:
    headers = {} if header is None else {b"authorization": header}
    assert await TokenReader(tokens, scheme="Token").read(Sent(headers, {})) is None


@pytest.mark.parametrize("written", ["Token {}", "token {}", "TOKEN   {}", "Token {} "])
async def test_the_scheme_is_read_without_case(tokens, written) -> None:
    header = written.format(tokens.issue(Somebody())).encode()
    claim = await TokenReader(tokens, scheme="Token").read(Sent({b"authorization": header}, {}))
    assert claim is not None
    assert claim.user_id == 7


@pytest.mark.parametrize("header", [b"Token", b"Token ", b"token   "])
async def test_the_scheme_without_a_token_is_bad_and_not_none(tokens, header) -> None:
    with pytest.raises(BadCredentials, match="no token"):
        await TokenReader(tokens, scheme="Token").read(Sent({b"authorization": header}, {}))
