"""The one Settings model: every knob, its unit, its default and its reason.

In: MURMUR_* environment, one TOML / YAML / JSON file, overrides from flags. Out: `Settings`.
Never: opens a connection. Nothing else in the product reads the environment.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.alerts.severity import SEVERITIES
from models.broken_rule import rule_of

ENV_PREFIX = "MURMUR_"
WINDOW_MS_MIN = 1_000  # below one second a window holds less than a publisher's own batch age
WINDOW_MS_MAX = 86_400_000  # one day; longer spans are roll-ups of closed windows
WINDOWS_MAX = 4  # each adds its own state and rows for every series

_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)\Z")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


class SettingsError(ValueError):
    """Every mistake of a configuration at once, one a line."""


def parse_duration_ms(text: str) -> int:
    """`10s` -> 10000. Units ms, s, m, h; a bare number is refused because it has no unit."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a whole number and ms, s, m or h, for example 10s")
    return int(match[1]) * _UNIT_MS[match[2]]


def parse_windows(text: str) -> tuple[tuple[int, int], ...]:
    """`10s,60s,60s/10s` -> ((size_ms, step_ms), ...): `size` is tumbling, `size/step` is hopping.

    Sizes are distinct (the size names the window in every table), and a hopping window's step divides its size,
    so that every event is in the same number of windows.
    """
    windows: list[tuple[int, int]] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        size_text, _, step_text = part.partition("/")
        size_ms = parse_duration_ms(size_text)
        step_ms = parse_duration_ms(step_text) if step_text else size_ms
        if not WINDOW_MS_MIN <= size_ms <= WINDOW_MS_MAX:
            raise ValueError(f"window {part}: size must be between 1s and 24h")
        if step_ms <= 0 or step_ms > size_ms or size_ms % step_ms:
            raise ValueError(
                f"window {part}: the step must divide the size, else events would belong to no window or to a "
                "varying number of them; for example 60s/10s"
            )
        if any(size_ms == known for known, _ in windows):
            raise ValueError(f"window {part}: two windows of one size cannot be told apart; keep one")
        windows.append((size_ms, step_ms))
    if not windows or len(windows) > WINDOWS_MAX:
        raise ValueError(f"windows: between 1 and {WINDOWS_MAX} are possible, got {len(windows)}")
    return tuple(sorted(windows))


CHANNELS = ("console", "webhook", "slack", "teams", "email")


def parse_channels(text: str) -> tuple[tuple[str, str], ...]:
    """`console,slack:high` -> (("console", "info"), ("slack", "high")): channels and the severity each is told from."""
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, severity = part.partition(":")
        for word, known in ((name, CHANNELS), (severity or "info", SEVERITIES)):
            if word not in known:
                near = difflib.get_close_matches(word, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"{part}: {word!r} is not one of {', '.join(known)}{hint}")
        if name in found:
            raise ValueError(f"{part}: {name} is named twice")
        found[name] = severity or "info"
    return tuple(found.items())


def _check_channels(text: str) -> str:
    parse_channels(text)
    return text


def _check_windows(text: str) -> str:
    parse_windows(text)
    return text


def _absolute(path: Path | None) -> Path | None:
    """Absolute, because our processes do not share a working directory."""
    return path and path.expanduser().absolute()


def _check_detectors(text: str) -> str:
    from models.detect.catalogue import names_of  # here: a client that only publishes needs none of it

    names_of(text)
    return text


AnomalyMode = Literal["auto", "full", "lean", "zscore", "iqr"]
File = Annotated[Path | None, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """All settings. Environment: MURMUR_ + the upper-case field name. Units stand last in the names."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        Path("~/.murmur"), validate_default=True, description="Data, logs, pid files and snapshots of the local stack."
    )
    kafka_bootstrap: str = Field("127.0.0.1:9092", description="host:port[,host:port] of the Kafka brokers.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the brokers are spoken to: SSL is TLS, SASL_ means with user and password."
    )
    kafka_ssl_ca_file: File = Field(
        None, description="PEM certificates that may sign the brokers'; none: those the system trusts."
    )
    kafka_ssl_cert_file: File = Field(
        None, description="PEM certificate of ours, where the brokers ask for one; may hold the key as well."
    )
    kafka_ssl_key_file: File = Field(None, description="PEM key of that certificate.")
    kafka_ssl_key_password: SecretStr = Field(SecretStr(""), description="Password of that key.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the password is proved; PLAIN sends it, so use it over TLS only."
    )
    kafka_sasl_username: str = Field("", validate_default=True, description="Kafka user.")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), validate_default=True, description="Kafka password.")
    clickhouse_url: str = Field("http://127.0.0.1:8123", description="HTTP(S) address of ClickHouse.")
    clickhouse_user: str = Field("default", description="ClickHouse user.")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="ClickHouse password.")
    clickhouse_database: str = Field("default", description="ClickHouse database that holds our tables.")

    topic_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{0,64}$")] = Field(
        "", description="Put before every topic name, for several installations on one broker."
    )
    app_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,64}$")] = Field(
        "murmur", description="Consumer group of the workers; fold version N > 1 adds `-vN`."
    )
    partitions: Annotated[int, Field(ge=1, le=1024)] = Field(
        4, description="Partitions of a source topic when it is created; choose once, it bounds the workers."
    )
    replication_factor: Annotated[int, Field(ge=1, le=16)] = Field(1, description="Replicas of a created topic.")

    windows: Annotated[str, AfterValidator(_check_windows)] = Field(
        "10s,60s", description="Window sizes: `10s` is tumbling, `60s/10s` hopping; between 1s and 24h."
    )
    allowed_lateness_ms: Annotated[int, Field(ge=0, le=86_400_000)] = Field(
        5_000, description="How long after its end a window stays open for late events (event time)."
    )
    future_skew_ms: Annotated[int, Field(ge=0, le=3_600_000)] = Field(
        5_000, description="Events further than this after their record's append time are dead letters."
    )

    fold_version: Annotated[int, Field(ge=1, le=65_535)] = Field(
        1, description="Raise it to recompute all results from the log under changed settings, beside the old ones."
    )
    flush_interval_ms: Annotated[int, Field(ge=50, le=60_000)] = Field(
        1_000, description="Longest time between a folded record and its rows in the sinks."
    )
    flush_rows_max: Annotated[int, Field(ge=1_000, le=10_000_000)] = Field(
        1_000_000, description="Rows that may wait in a partition (40 bytes an event); half as many start a flush."
    )
    snapshot_interval_ms: Annotated[int, Field(ge=100, le=600_000)] = Field(
        10_000, description="Time between snapshots of a partition; bounds the replay after a crash."
    )
    snapshots_kept: Annotated[int, Field(ge=2, le=1_000)] = Field(3, description="Snapshots kept a partition.")
    snapshot_store: Literal["directory", "kafka"] = Field(
        "directory",
        description="Where snapshots lie: under the home, or in the topic `<app_id>-state` for several hosts.",
    )
    poll_records_max: Annotated[int, Field(ge=1, le=100_000)] = Field(
        20_000, description="Most Kafka records of one fetch round."
    )
    chunk_records_max: Annotated[int, Field(ge=1, le=100_000)] = Field(
        2_000, description="Most Kafka records folded as one chunk; does not influence results."
    )
    session_timeout_ms: Annotated[int, Field(ge=6_000, le=300_000)] = Field(
        10_000, description="Kafka group session timeout: how long a dead worker that stays away keeps its partitions."
    )
    open_windows_max: Annotated[int, Field(ge=1_000, le=10_000_000)] = Field(
        200_000,
        description="Windows of one size a partition holds open; further series' go out in parts and are not scored.",
    )
    series_max: Annotated[int, Field(ge=1_000, le=10_000_000)] = Field(
        200_000, description="Series a partition keeps warm scorers for; the longest-silent one leaves first."
    )
    series_idle_ms: Annotated[int, Field(ge=60_000)] = Field(
        3_600_000,
        description="Event time after which a silent series' scorer is forgotten; 168 times that after 200 windows.",
    )
    dedup_ids_max: Annotated[int, Field(ge=1_000, le=50_000_000)] = Field(
        1_000_000, description="Producer event ids a partition remembers to drop duplicates."
    )
    bad_input_ratio_max: Annotated[float, Field(gt=0, le=1)] = Field(
        0.95, description="Share of bad records above which the worker stops instead of dead-lettering on."
    )
    bad_input_run_min: Annotated[int, Field(ge=10)] = Field(
        10_000, description="Records the bad-input ratio is taken over."
    )
    anomaly_score_min: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.999, description="Calibrated score from which a closed window becomes an anomaly record."
    )
    anomaly_mode: AnomalyMode = Field(
        "auto",
        description="Scorer of a new series: full, lean, auto (full for the first 2,000 of a partition), zscore, iqr.",
    )
    anomaly_sensitivity: Annotated[float, Field(ge=0, le=100)] = Field(
        0.0, description="Standard deviations of zscore (0: 2.0), interquartile ranges of iqr (0: 1.5)."
    )
    detectors_off: Annotated[str, AfterValidator(_check_detectors)] = Field(
        "", description="Named detectors to leave out, with commas between them (`murmur detect list`)."
    )
    control_policy_file: File = Field(
        None, description="Policy of advisories on `swarm.control` (YAML); none: no verdicts at all."
    )
    alert_rules_file: File = Field(None, description="Alert rules to use instead of the built-in ones (YAML).")
    alert_channels: Annotated[str, AfterValidator(_check_channels)] = Field(
        "console", description="Where alerts are told, and from which severity on: `console,slack:high,email:critical`."
    )
    alert_webhook_url: SecretStr = Field(SecretStr(""), description="Address the channel `webhook` posts to.")
    alert_webhook_secret: SecretStr = Field(SecretStr(""), description="Key that signs what the webhook gets.")
    alert_slack_url: SecretStr = Field(SecretStr(""), description="Address of a Slack incoming webhook.")
    alert_teams_url: SecretStr = Field(SecretStr(""), description="Address of a Teams workflow's webhook.")
    alert_smtp_host: str = Field("", description="Mail server of the channel `email`.")
    alert_smtp_port: Annotated[int, Field(ge=1, le=65_535)] = Field(587, description="Port of the mail server.")
    alert_smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the mail server is spoken to; `none` sends no password."
    )
    alert_smtp_user: str = Field("", description="User at the mail server; empty: no login.")
    alert_smtp_password: SecretStr = Field(SecretStr(""), validate_default=True, description="Password there.")
    alert_email_from: Annotated[str, Field(pattern=r"^[^\r\n]{0,320}$")] = Field("", description="Sender of the mails.")
    alert_email_to: Annotated[str, Field(pattern=r"^[^\r\n]{0,4000}$")] = Field(
        "", validate_default=True, description="Recipients of the mails, with commas between them."
    )
    alert_retry_budget_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = Field(
        900_000, description="How long a message to a channel is tried before it counts as undelivered."
    )
    prices_file: File = Field(None, description="Price book to use instead of the built-in one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Log level.")

    @field_validator("kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _needs_sasl(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        protocol = info.data.get("kafka_security_protocol", "")  # absent when it broke its own rule
        given = bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
        if protocol.startswith("SASL_") and not given:
            raise ValueError(f"missing, and needed with kafka_security_protocol={protocol}")
        if protocol in ("PLAINTEXT", "SSL") and given:
            raise ValueError(f"would not be used with kafka_security_protocol={protocol}: set SASL_SSL")
        return value

    @field_validator("kafka_ssl_ca_file", "kafka_ssl_cert_file", "kafka_ssl_key_file")
    @classmethod
    def _needs_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        protocol = info.data.get("kafka_security_protocol", "")
        if value is not None and protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
            raise ValueError(f"would not be used with kafka_security_protocol={protocol}: set SSL or SASL_SSL")
        if info.field_name == "kafka_ssl_key_file" and value is not None and not info.data.get("kafka_ssl_cert_file"):
            raise ValueError("a key without its certificate: set kafka_ssl_cert_file")
        return value

    @field_validator("alert_smtp_password")
    @classmethod
    def _encrypted(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value.get_secret_value() and info.data.get("alert_smtp_security") == "none":
            raise ValueError("would be sent in the clear with alert_smtp_security=none: set starttls or tls")
        return value

    @field_validator("alert_email_to")
    @classmethod
    def _channels_are_complete(cls, value: str, info: ValidationInfo) -> str:
        """The last field a channel needs, so that all others are known."""
        data = {**info.data, "alert_email_to": value}
        needs = {
            "webhook": ("alert_webhook_url",),
            "slack": ("alert_slack_url",),
            "teams": ("alert_teams_url",),
            "email": ("alert_smtp_host", "alert_email_from", "alert_email_to"),
        }
        for channel, _ in parse_channels(data.get("alert_channels", "")):
            for name in needs.get(channel, ()):
                given = data.get(name, "")
                if not (given.get_secret_value() if isinstance(given, SecretStr) else given):
                    raise ValueError(f"alert_channels names {channel}, which needs {ENV_PREFIX}{name.upper()}")
        return value

    @property
    def alert_routes(self) -> tuple[tuple[str, str], ...]:
        """((channel, severity from which on it is told), ...)."""
        return parse_channels(self.alert_channels)

    @property
    def detectors_off_names(self) -> tuple[str, ...]:
        """The detectors to leave out, in the order of their names."""
        from models.detect.catalogue import names_of

        return names_of(self.detectors_off)

    @property
    def window_specs(self) -> tuple[tuple[int, int], ...]:
        """((size_ms, step_ms), ...), smallest first."""
        return parse_windows(self.windows)

    @property
    def consumer_group(self) -> str:
        """The workers' group on the broker. A fold version has its own, so that a new one runs beside the old."""
        return self.app_id if self.fold_version == 1 else f"{self.app_id}-v{self.fold_version}"

    @property
    def state_dir(self) -> Path:
        """Where the directory snapshot store of this installation lies."""
        return self.home / "state"


def load(config_file: Path | None = None, **overrides: Any) -> Settings:
    """Flags over environment over file over defaults.

    Raises SettingsError with every mistake, one a line, when any value breaks its rule.
    """
    path = config_file or (Path(p) if (p := os.environ.get(f"{ENV_PREFIX}CONFIG")) else None)
    from_file = read_table(path) if path is not None else {}
    mistakes = [_unknown(path, name) for name in sorted(set(from_file) - set(Settings.model_fields))]
    known = {name: value for name, value in from_file.items() if name in Settings.model_fields}
    from_env = {
        name: os.environ[key] for name in Settings.model_fields if (key := ENV_PREFIX + name.upper()) in os.environ
    }
    given = {k: v for k, v in overrides.items() if v is not None}
    try:
        settings = Settings(**{**known, **from_env, **given})
    except ValidationError as error:
        mistakes += [
            f"{ENV_PREFIX}{'_'.join(str(part) for part in e['loc']).upper() or 'CONFIG'}: {rule_of(e['msg'])}"
            for e in error.errors()
        ]
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def environment_of(settings: Settings) -> dict[str, str]:
    """The MURMUR_* variables that give a child process these settings, secrets included."""
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        values[ENV_PREFIX + name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return values


def read_table(path: Path) -> dict[str, Any]:
    """The one table of a TOML, YAML or JSON file (by its ending). Raises SettingsError in one line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        if path.suffix == ".json":
            data = json.loads(text)
        elif path.suffix in {".yaml", ".yml"}:
            import yaml

            data = yaml.safe_load(text)
        else:
            data = tomllib.loads(text)
    except Exception as error:
        raise SettingsError(f"{path}: not valid {path.suffix.lstrip('.') or 'toml'}: {_one_line(error)}") from None
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: the file must hold one table of names and values")
    return data


def _unknown(path: Path | None, name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return f"{path}: unknown setting {name}" + (f"; did you mean {near[0]}?" if near else "")


def _one_line(error: Exception) -> str:
    """What a parser complains about. YAML's own text spans lines and quotes the file, perhaps a password in it."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    return str(error) if problem is None or mark is None else f"{problem} (line {mark.line + 1})"


def inherited_environment(changes: dict[str, str] | None = None, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """This process's environment with `changes`, for a child process."""
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return {**kept, **(changes or {})}
