"""How a publisher proves who it is: TLS and SASL.

In: names, passwords, PEM files. Out: keyword arguments of `AIOKafkaProducer`. Never: shows a password, opens a
connection, trusts a certificate nobody named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Protocol = Literal["SSL", "SASL_SSL", "SASL_PLAINTEXT"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What the brokers ask for. Raises ValueError when the parts do not fit or a file is not there.

    `ca_file`: PEM certificates that may sign the brokers' (none: those the system trusts). `cert_file`, `key_file`:
    our own, where the brokers ask for one. `mechanism` PLAIN sends the password: use it over TLS only.
    """

    protocol: Protocol = "SASL_SSL"
    username: str = ""
    password: str = field(default="", repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"
    ca_file: Path | str | None = None
    cert_file: Path | str | None = None
    key_file: Path | str | None = None
    key_password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.protocol not in get_args(Protocol):
            raise ValueError(f"protocol={self.protocol!r}: choose one of {', '.join(get_args(Protocol))}")
        if self.mechanism not in get_args(Mechanism):
            raise ValueError(f"mechanism={self.mechanism!r}: choose one of {', '.join(get_args(Mechanism))}")
        if self.protocol.startswith("SASL_") and not (self.username and self.password):
            raise ValueError(f"protocol={self.protocol!r} needs username and password")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file without its certificate: give cert_file")
        for name in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise ValueError(f"{name}={str(path)!r}: there is no such file")

    def kafka_options(self) -> dict[str, Any]:
        """What an aiokafka client takes. Raises ssl.SSLError when a file does not hold what it should."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            import ssl  # costs an importing agent 10 ms it may never need

            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                # Never None: OpenSSL would ask for the password of an encrypted key on the agent's terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password=lambda: self.key_password)
            options["ssl_context"] = context
        if self.protocol.startswith("SASL_"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options
