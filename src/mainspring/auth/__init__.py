"""Accounts: who somebody is, and what they may do."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mainspring.auth._errors import (
    BadCredentials,
    HashingBusy,
    MissingSecretKey,
    Taken,
    Unacceptable,
)
from mainspring.auth._policy import Policy, anyone, role, signed_in
from mainspring.auth._principal import Principal
from mainspring.auth._proof import Claim, Credentials, Proof

if TYPE_CHECKING:
    from mainspring.auth._accounts import ADMIN, Accounts
    from mainspring.auth._identification import Identification
    from mainspring.auth._jwt import JwtProof
    from mainspring.auth._passwords import Cost, Match, Mismatch, Passwords
    from mainspring.auth._tokens import Tokens
    from mainspring.auth._user import User

# Loaded when first asked for: an application without accounts needs neither SQLAlchemy nor
# argon2, and gets no table of users.
_HOMES = {
    "ADMIN": "_accounts",
    "Accounts": "_accounts",
    "Cost": "_passwords",
    "Identification": "_identification",
    "JwtProof": "_jwt",
    "Match": "_passwords",
    "Mismatch": "_passwords",
    "Passwords": "_passwords",
    "Tokens": "_tokens",
    "User": "_user",
}

__all__ = [
    "ADMIN",
    "Accounts",
    "BadCredentials",
    "Claim",
    "Cost",
    "Credentials",
    "HashingBusy",
    "Identification",
    "JwtProof",
    "Match",
    "Mismatch",
    "MissingSecretKey",
    "Passwords",
    "Policy",
    "Principal",
    "Proof",
    "Taken",
    "Tokens",
    "Unacceptable",
    "User",
    "anyone",
    "role",
    "signed_in",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mainspring.auth' has no attribute {name!r}")
    return getattr(import_module(f"mainspring.auth.{home}"), name)
