"""The TLS context of our Kafka clients, from the settings.

In: settings. Out: an `ssl.SSLContext`, or None where the brokers are spoken to in plain text. Never: opens a
connection; trusts a certificate nobody named.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from models.settings import Settings, SettingsError


def kafka_tls(settings: Settings) -> ssl.SSLContext | None:
    """Checks the broker's certificate and its name. Raises SettingsError when a file cannot be used."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    ca, cert, key = settings.kafka_ssl_ca_file, settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise _unusable("MURMUR_KAFKA_SSL_CA_FILE", ca, error) from None
    if cert is not None:
        # Never None: OpenSSL would ask for the password of an encrypted key on the terminal.
        password = settings.kafka_ssl_key_password.get_secret_value()
        try:
            context.load_cert_chain(cert, key, password=lambda: password)
        except (OSError, ValueError) as error:
            names = "MURMUR_KAFKA_SSL_CERT_FILE, MURMUR_KAFKA_SSL_KEY_FILE or MURMUR_KAFKA_SSL_KEY_PASSWORD"
            raise _unusable(names, cert, error) from None
    return context


def _unusable(names: str, path: Path | None, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return SettingsError(f"{names}: {path}: not usable ({reason}): give readable PEM files that belong together")
