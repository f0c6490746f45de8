"""Accounts: who somebody is, and what they may do."""

from mainspring.auth._policy import Policy, anyone, role, signed_in
from mainspring.auth._principal import Principal

__all__ = ["Policy", "Principal", "anyone", "role", "signed_in"]
