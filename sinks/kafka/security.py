"""How every Kafka client of ours proves who it is, and what it means when a broker does not let it in.

In: settings. Out: keyword arguments of aiokafka's clients; the reason of a refusal. Never: shows a password.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from models.settings import Settings
from models.tls import kafka_tls

LOOK_TIMEOUT_MS: Final = 5_000  # a broker that lets nobody in says so at once


def client_options(settings: Settings) -> dict[str, Any]:
    """`security_protocol`, `ssl_context` and `sasl_*` of an aiokafka client. Raises SettingsError."""
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    context = kafka_tls(settings)
    if context is not None:
        options["ssl_context"] = context
    if settings.kafka_security_protocol.startswith("SASL_"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


async def refusal(settings: Settings) -> str | None:
    """Why a broker that answers does not let us in: one line with what to do. None: it does, or none answers.

    aiokafka tells only that no broker could be used; this opens one connection and looks at its own error.
    """
    for address in settings.kafka_bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            connection = await create_conn(
                host.strip("[]"), int(port), request_timeout_ms=LOOK_TIMEOUT_MS, **client_options(settings)
            )
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            reason = _reason(error, settings)
            if reason is not None:
                return f"Kafka at {address.strip()} does not let us in: {reason}"
        else:
            connection.close()
            return None
    return None


def _reason(error: BaseException, settings: Settings) -> str | None:
    if isinstance(error, SaslAuthenticationFailed | AuthenticationFailedError):
        user = settings.kafka_sasl_username
        return (
            f"it refuses user {user!r} or the password. Check MURMUR_KAFKA_SASL_USERNAME, MURMUR_KAFKA_SASL_PASSWORD "
            f"and MURMUR_KAFKA_SASL_MECHANISM ({settings.kafka_sasl_mechanism})"
        )
    if isinstance(error, UnsupportedSaslMechanismError | IllegalSaslStateError):
        return (
            f"it does not offer {settings.kafka_sasl_mechanism} here. "
            "Check MURMUR_KAFKA_SASL_MECHANISM and MURMUR_KAFKA_SECURITY_PROTOCOL"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}). "
            "Check MURMUR_KAFKA_SSL_CA_FILE, and that the address is a name of the certificate"
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return (
            f"the TLS handshake failed ({error.reason}). "
            "Check MURMUR_KAFKA_SECURITY_PROTOCOL, the port, and MURMUR_KAFKA_SSL_CERT_FILE"
        )
    return None
