"""What HTTPS needs.

Source: Mozilla's "intermediate" server recommendation: TLS 1.2 and later, forward secrecy only.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from mainspring.serve._config import Config


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The context of the certificate, or None if there is none.

    Raises:
        ConfigError: certificate or key cannot be read or do not fit each other.
    """
    if config.ssl_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(
            config.ssl_certfile, config.ssl_keyfile, config.ssl_keyfile_password
        )
    except OSError as exc:
        raise ConfigError(
            f"the certificate {config.ssl_certfile!r} cannot be used: {exc}",
            fix="give PEM files of a certificate and of its key",
        ) from exc
    return context
