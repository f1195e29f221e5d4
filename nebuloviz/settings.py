"""Every setting of NebuloViz: one frozen object, read once at start.

A value comes from the environment (`NEBULOVIZ_<NAME>`), from a file named by `NEBULOVIZ_<NAME>_FILE` (for secrets that are
mounted), or from `.env` in the working directory, in this order of precedence; `.env` may name such a file as well, and its own
value wins over that. `docs/settings.md` is generated from here (`python -m nebuloviz.settings`), and a test fails when it lags behind.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from nebuloviz.errors import ConfigurationError

PREFIX = "NEBULOVIZ_"
MIN_SECRET_LENGTH = 32
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
#: What stands in examples until somebody replaces it; compared with the letters of a secret.
_PLACEHOLDERS = (
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "yoursecret",
    "placeholder",
    "insecure",
    "example",
)

#: Language code -> its own name, in the order in which they are offered.
SUPPORTED_LANGUAGES: dict[str, str] = {"en": "English", "de": "Deutsch", "es": "Español", "ar": "العربية"}


class _FileSource(PydanticBaseSettingsSource):
    """Reads `NEBULOVIZ_<NAME>_FILE`: the value is that file's text without the newline at its end."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._paths = {name.upper(): path for name, path in variables.items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the signature is pydantic's
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = self._paths.get(variable)
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, ValueError) as error:  # of text that is not in UTF-8, and of names with NUL
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            message = f"{variable} names {path}, which cannot be read: {reason}."
            raise ConfigurationError(message) from error

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """The settings of one process. Durations are in the unit that the name ends with."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    host: str = Field("127.0.0.1", description="Address that the server listens on.")
    port: int = Field(8050, ge=0, le=65535, description="Port that the server listens on; 0 takes a free one.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port at which `ingest` answers `/healthz`, `/readyz` and `/metrics`. Empty: it does not; `serve` always does.",
    )
    public_address: str = Field(
        "",
        pattern=r"^(https?://[^/\s]+/?)?$",
        description="Address that people open, `https://sales.example.com`. Links begin with it; its certificate is watched.",
    )
    data_dir: Path = Field(
        Path.home() / ".local" / "share" / "nebuloviz",
        description="Folder of the embedded database, the generated secrets and uploads in progress.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="SQLAlchemy URL of the database, `postgresql://user:password@host/name` or `sqlite:///file`. "
        "Empty: an embedded SQLite file in the data folder.",
    )
    database_pool_size: int = Field(10, ge=1, le=200, description="Connections a process keeps open to PostgreSQL.")
    statement_timeout_seconds: int = Field(
        30,
        ge=1,
        description="PostgreSQL ends a page's or API call's statement after this; SQLite has no such limit.",
    )
    redis_url: SecretStr | None = Field(
        None, description="`redis://host:port/db` for cache and limits shared by all processes. Empty: in-process."
    )
    kafka_bootstrap_servers: str = Field(
        "", description="Comma-separated `host:port` of Kafka brokers. Empty: no Kafka."
    )
    kafka_topic: str = Field("sales", description="Topic that sales are read from.")
    kafka_group: str = Field(
        "nebuloviz", description="Consumer group; every ingesting process of an installation shares it."
    )
    ingest_in_app: bool = Field(
        True,
        description="Whether `serve` also consumes from Kafka, in a background thread. Off where `ingest` runs apart.",
    )
    ingest_batch_size: int = Field(10_000, ge=1, le=100_000, description="Most records written in one transaction.")
    late_horizon_days: int = Field(
        7300, ge=1, description="A streamed sale older than this is rejected as too late and kept as a dead letter."
    )
    dead_letter_limit: int = Field(
        100_000,
        ge=1,
        description="Rejections in a row, with nothing accepted, after which a partition halts instead of draining.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Signs cookies and tokens; at least 32 characters, the same for all processes. Generated into the data "
        "folder for an embedded database, required in production.",
    )
    admin_password: SecretStr | None = Field(
        None,
        description="First password of the user `admin`. Empty: generated and printed once, but in production, which waits for it.",
    )
    environment: Literal["auto", "embedded", "production"] = Field(
        "auto",
        description="`production` demands a secret key, a first password and migrations by hand. `auto`: production with PostgreSQL.",
    )
    demo: Literal["auto", "off"] = Field(
        "auto",
        description="`auto` shows a real supermarket's sales when no database and no source is configured; `off` never.",
    )
    language: str = Field("en", description="Language before a user has chosen one: en, de, es or ar.")
    time_zone: str = Field(
        "UTC",
        description="IANA name of the zone whose days the daily rollups hold; the default of new users. The first sale settles it: "
        "for another one, stop every process and run `doctor --rebuild`.",
    )
    currency: str = Field(
        "",
        pattern=r"^([A-Z]{3})?$",
        description="ISO 4217 code of all amounts, settled by the first sale. Empty: that of the first sale that names one.",
    )
    week_start: int = Field(0, ge=0, le=6, description="First day of the week: 0 = Monday ... 6 = Sunday.")
    refresh_seconds: int = Field(1, ge=1, le=3600, description="How often an open page asks whether anything is new.")
    session_hours: int = Field(12, ge=1, description="A browser session ends after this time, even while it is in use.")
    session_idle_minutes: int = Field(
        120,
        ge=1,
        description="A browser session ends after this time without activity; an open, visible page counts as activity.",
    )
    requests_per_minute: int = Field(
        3000,
        ge=0,
        description="Most requests a minute of one browser session or API user; beyond it, 429. 0: no limit.",
    )
    access_token_minutes: int = Field(15, ge=1, description="Life of an API access token.")
    refresh_token_days: int = Field(14, ge=1, description="Life of an API refresh token.")
    cookie_secure: bool = Field(
        False, description="Send cookies over HTTPS only. Switch on wherever TLS ends before the program."
    )
    trusted_proxies: int = Field(
        0, ge=0, le=5, description="Number of proxies in front whose X-Forwarded-For is believed; 0 believes none."
    )
    max_upload_mb: int = Field(200, ge=1, description="Largest file that can be uploaded, in megabytes.")
    watch: Literal["auto", "off"] = Field(
        "auto",
        description="`auto` watches sales in a process beside this one; `off` leaves that to other processes, and saves its memory.",
    )
    watched_series: int = Field(
        264,
        ge=1,
        le=10_000,
        description="Most series that the detector watches by the hour, and again by the day; the largest by volume.",
    )
    false_alerts_per_week: float = Field(
        1.0,
        gt=0,
        le=100,
        description="How many false alerts a week are acceptable; the detector sets its thresholds by it.",
    )
    detector: str = Field(
        "forest",
        description="What scores deviations: `forest` (an isolation forest), `largest_deviation`, or one of your own.",
    )
    closed_days_file: Path | None = Field(
        None, description="CSV with a column `date` of planned closures that must not alert. Empty: none known."
    )
    reword_url: str = Field(
        "",
        description="OpenAI-compatible endpoint that rewords the digest, such as `https://llm.example.com/v1`. Empty: none does.",
    )
    reword_hosts: str = Field(
        "", description="Hosts that insights may be sent to for that, apart by commas; they may be private ones."
    )
    reword_model: str = Field("", description="Model that the endpoint is asked for.")
    reword_key: SecretStr | None = Field(None, description="Key that the endpoint is asked with.")
    extensions_dir: Path | None = Field(
        None,
        description="Folder whose Python files are loaded at start: metrics, dimensions, charts, pages, detectors of your own.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        description="Least severe log line that is written; of libraries none below INFO, as they would quote data.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text to a terminal, JSON elsewhere."
    )

    tracing_address: str = Field(
        "",
        pattern=r"^(https?://[^/\s]+/?)?$",
        description="Collector that OpenTelemetry traces are sent to by OTLP over HTTP, `http://collector:4318`; needs "
        "`requirements-tracing.txt`. Empty: nothing is traced.",
    )
    tracing_share: float = Field(
        1.0, ge=0, le=1, description="At most this part of the traces that begin here is sent: 0.1 is every tenth."
    )

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(_REDIS_SCHEMES):
            message = f"must begin with one of {', '.join(_REDIS_SCHEMES)}"
            raise ValueError(message)
        return value

    @field_validator("language")
    @classmethod
    def _supported_language(cls, value: str) -> str:
        if value not in SUPPORTED_LANGUAGES:
            message = f"must be one of {', '.join(SUPPORTED_LANGUAGES)}"
            raise ValueError(message)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - only this check needs it

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = "is no IANA time zone; try Europe/Berlin or UTC"
            raise ValueError(message) from error
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        lines = dotenv_settings.env_vars if isinstance(dotenv_settings, DotEnvSettingsSource) else {}
        mounted, mounted_by_lines = _FileSource(settings_cls, os.environ), _FileSource(settings_cls, lines)
        return init_settings, env_settings, mounted, dotenv_settings, mounted_by_lines

    @property
    def resolved_database_url(self) -> str:
        """The configured database, or the embedded one's file in `data_dir`."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'nebuloviz.sqlite3'}"

    @property
    def production(self) -> bool:
        """Whether secrets must be given and migrations are run by hand."""
        if self.environment != "auto":
            return self.environment == "production"
        return not self.resolved_database_url.startswith("sqlite")

    @property
    def demo_wanted(self) -> bool:
        """Nothing else is configured to show, and nobody declined the sample."""
        return self.demo == "auto" and self.database_url is None and not self.kafka_bootstrap_servers

    def secret(self) -> str:
        """The key that signs cookies and tokens; generated once into `data_dir` for an embedded installation.

        Raises:
            ConfigurationError: it is too weak, or missing in production.
        """
        if self.secret_key is not None:
            return _strong(self.secret_key.get_secret_value())
        if self.production:
            message = (
                f"{PREFIX}SECRET_KEY is not set. A production installation needs one of at least {MIN_SECRET_LENGTH} characters, "
                'the same for all its processes. Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
            raise ConfigurationError(message)
        return _generated_secret(self.data_dir / "secret_key")


def _strong(secret: str) -> str:
    letters = "".join(filter(str.isalpha, secret.lower()))
    if len(secret) < MIN_SECRET_LENGTH or len(set(secret)) < 8 or any(word in letters for word in _PLACEHOLDERS):
        message = (
            f"{PREFIX}SECRET_KEY is too weak: it needs at least {MIN_SECRET_LENGTH} characters, chosen at random. "
            'Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
        raise ConfigurationError(message)
    return secret


def _generated_secret(path: Path) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass  # another process, or an earlier start, was first: its secret is ours
    except OSError as error:
        message = f"{PREFIX}DATA_DIR names {path.parent}, which cannot be written: {error.strerror}."
        raise ConfigurationError(message) from error
    return _strong(path.read_text(encoding="utf-8"))


def load(**overrides: Any) -> Settings:
    """Read the settings; keyword arguments win over the environment.

    Raises:
        ConfigurationError: names each bad variable and what is wrong with it.
    """
    try:
        return Settings(**overrides)
    except UnicodeDecodeError as error:
        message = "The file .env in the working directory cannot be read: it is not text in UTF-8."
        raise ConfigurationError(message) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{str(e['loc'][0]).upper()} {e['msg']}" for e in error.errors(include_input=False)
        )
        message = f"The settings are not valid: {problems}."
        raise ConfigurationError(message) from None


def markdown() -> str:
    """The text of `docs/settings.md`."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_shown_default(name, field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    head = [
        "# Settings",
        "",
        "Generated by `python -m nebuloviz.settings > docs/settings.md`; do not edit by hand.",
        "",
        f"Each value comes from the environment, from a file named by `{PREFIX}..._FILE`, or from `.env` in the working directory,",
        f"in this order; `.env` may hold `{PREFIX}..._FILE` as well.",
        "",
        "Administrators decide some of these, and more, in the running program: see [installation.md](installation.md). What is set",
        "here wins, and cannot be changed there.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _shown_default(name: str, field: FieldInfo) -> str:
    if name == "data_dir":
        return "`~/.local/share/nebuloviz`"
    return f"`{field.default}`" if field.default not in (None, "") else ""


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201 - this is a command
