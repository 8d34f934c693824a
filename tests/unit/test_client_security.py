"""The client's TLS and SASL options: parts that do not fit are refused where they are given, passwords stay unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from murmur import Security
from murmur.options import Options

CANARY = "canary-8812"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs username and password"),
        ({"username": "u"}, "needs username and password"),
        ({"protocol": "TLS"}, "choose one of SSL, SASL_SSL, SASL_PLAINTEXT"),
        ({"username": "u", "password": "p", "mechanism": "MD5"}, "choose one of PLAIN, SCRAM"),
        ({"protocol": "SSL", "key_file": "k.pem"}, "give cert_file"),
        ({"protocol": "SSL", "ca_file": "missing.pem"}, "there is no such file"),
    ],
)
def test_parts_that_do_not_fit_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Security(**given)


def test_a_password_is_in_no_text_of_the_options(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("x")
    security = Security(
        username="u", password=CANARY, cert_file=key, key_file=key, key_password=CANARY, mechanism="PLAIN"
    )
    options = Options(bootstrap="h:1", swarm_id="s", security=security, kafka_options={"sasl_plain_password": CANARY})
    assert CANARY not in repr(security) + str(options)


def test_users_without_tls_get_no_certificate_store() -> None:
    options = Security(protocol="SASL_PLAINTEXT", username="u", password="p", mechanism="PLAIN").kafka_options()
    assert options == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }
