"""What accounts report."""

from __future__ import annotations

from datetime import timedelta

from mainspring.errors import ConfigError, MainspringError


class HashingBusy(MainspringError):
    """Every hashing thread is taken, and the queue before them is full or too slow.

    Attributes:
        retry_after: when it is worth another try.
    """

    code = "auth.hashing-busy"

    def __init__(self, waiting: int, *, retry_after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(
            f"{waiting} passwords are waiting to be hashed",
            fix="try again later; if it happens often, add cores or limit the rate of log-ins",
        )
        self.retry_after = retry_after


class Unacceptable(MainspringError):
    """A value of an account cannot be taken: too short, too long, not an address.

    Attributes:
        field: which one, such as `password`.
        detail: what is wrong with it, for the person who typed it.
    """

    code = "auth.unacceptable"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


class Taken(MainspringError):
    """Another account has this value already.

    Attributes:
        field: which one, such as `email`.
    """

    code = "auth.taken"

    def __init__(self, field: str) -> None:
        super().__init__(f"another account has this {field}")
        self.field = field


class BadCredentials(MainspringError):
    """Credentials were sent, and they are not good.

    Attributes:
        scheme: of `Authorization`, which the challenge of the answer repeats.
    """

    code = "auth.bad-credentials"

    def __init__(self, what: str = "the credentials are not valid", *, scheme: str = "") -> None:
        super().__init__(what, fix="sign in again")
        self.scheme = scheme


class MissingSecretKey(ConfigError):
    """Tokens or cursors are to be signed, and there is no SECRET_KEY to sign them with."""

    code = "auth.missing-secret-key"

    def __init__(self) -> None:
        super().__init__(
            "the application signs tokens or cursors, and SECRET_KEY is not set",
            fix="set it to the output of: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
