"""Settings: every knob that Hearthline has, read once from the environment, `.env`, or the running demo's file.

Names and defaults are the interface of DESIGN section 11; README holds the same list as a table.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
import stat
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `service/`, `workers/` and `templates/`: the checkout, or site-packages."""
TEMPLATES = ROOT / "templates"
STATIC = ROOT / "service" / "static"
MIGRATIONS = ROOT / "service" / "migrations"

TWILIO_API = "https://api.twilio.com"
SENDGRID_API = "https://api.sendgrid.com"

Channel = Literal["sms", "email"]

DEMO_ENV = "demo.env"
DEMO_LOCK = "demo.lock"
"""Files in DATA_DIR: a running demo's own settings, and the lock that it holds."""

MAX_SOCKET_PATH = 100
"""Bytes in the path of a unix socket: Linux takes 107, macOS 103."""


class Settings(BaseSettings):
    """One frozen object; environment variables have the same names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Path("./var")
    database_url: str = ""
    redis_url: str = ""
    secret_key: str = ""
    encryption_keys: str = ""
    public_url: str = ""
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    sandbox_port: int = Field(default=8001, ge=1, le=65535)

    channels: str = "sms,email"
    twilio_account_sid: str = ""
    twilio_auth_token: str = Field(default="", repr=False)
    twilio_messaging_service_sid: str = ""
    twilio_from: str = ""
    twilio_api_url: str = TWILIO_API
    twilio_mps: float = Field(default=0, ge=0)
    twilio_concurrency: int = Field(default=16, ge=1, le=500)
    twilio_per_day: int = Field(default=0, ge=0)
    sendgrid_api_key: str = Field(default="", repr=False)
    sendgrid_from: str = ""
    sendgrid_api_url: str = SENDGRID_API
    sendgrid_webhook_public_key: str = ""
    sendgrid_inbound_public_key: str = ""
    sendgrid_inbound_domain: str = ""
    sendgrid_per_day: int = Field(default=0, ge=0)
    send_timeout: float = Field(default=10, gt=0, le=60)
    lease_seconds: float = Field(default=60, gt=0, le=3600)

    default_country: str = Field(default="US", min_length=2, max_length=2)
    sms_countries: str = ""
    sending_window: str = "10:00-18:00"
    daily_cap: int = Field(default=1, ge=0)
    weekly_cap: int = Field(default=3, ge=0)
    unknown_grace_sms: int = Field(default=120, ge=0)
    unknown_grace_email: int = Field(default=900, ge=0)

    answer_hours: str = ""
    answer_zone: str = "UTC"
    spam_score: float = Field(default=5.0, ge=0, le=100)
    conversation_days: int = Field(default=365, ge=0, le=36500)
    media_days: int = Field(default=30, ge=1, le=3650)

    org_name: str = "Hearthline"
    org_postal_address: str = ""
    org_help_contact: str = ""
    safety_page_sms: str = ""
    safety_page_email: str = ""
    provider_replies_checked: bool = False
    metrics_token: str = Field(default="", repr=False)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    demo: bool = False

    @field_validator("default_country")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @field_validator("public_url", "twilio_api_url", "sendgrid_api_url")
    @classmethod
    def _bare_url(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("must start with https:// (or http:// on your own machine)")
        return value.rstrip("/")

    @field_validator("sending_window")
    @classmethod
    def _window(cls, value: str) -> str:
        parse_window(value)
        return value

    @field_validator("answer_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        parse_hours(value)
        return value

    @field_validator("answer_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be a time zone such as America/New_York") from None
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _keys(cls, value: str) -> str:
        for entry in filter(None, (part.strip() for part in value.split(","))):
            decode_key(entry)
        return value

    # What follows is derived; a value that was not set gets the documented default.

    @cached_property
    def data_path(self) -> Path:
        """DATA_DIR as an absolute path; made on first use, readable by its owner only."""
        path = self.data_dir.expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @cached_property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        url = self.database_url or f"sqlite:///{self.data_path / 'hearthline.db'}"
        # Hosting companies hand out the old scheme; SQLAlchemy only knows the new one.
        return "postgresql://" + url.removeprefix("postgres://") if url.startswith("postgres://") else url

    @cached_property
    def valkey_socket(self) -> Path:
        """Where the demo's own Valkey listens. Raises ConfigurationError if the place is not ours alone."""
        path = self.data_path / "valkey.sock"
        return path if len(os.fsencode(path)) <= MAX_SOCKET_PATH else _short_socket(self.data_path)

    @cached_property
    def redis(self) -> str:
        """The URL of Redis or Valkey."""
        return self.redis_url or f"unix://{quote(str(self.valkey_socket))}"

    @cached_property
    def base_url(self) -> str:
        """The address at which members and providers reach this service, without a slash at the end."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @cached_property
    def secret_keys(self) -> list[str]:
        """Signing keys: the first signs, all verify. Made and kept in DATA_DIR if none is set."""
        given = _split(self.secret_key)
        return given or [_generated(self.data_path / "secret_key", lambda: secrets.token_urlsafe(48))]

    @cached_property
    def encryption_key_bytes(self) -> list[bytes]:
        """32-byte keys: the first encrypts, all decrypt. Made and kept in DATA_DIR if none is set."""
        given = _split(self.encryption_keys)
        if not given:
            made = _generated(
                self.data_path / "encryption_keys",
                lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
            )
            given = _split(made)
        return [decode_key(entry) for entry in given]

    @cached_property
    def enabled_channels(self) -> tuple[Channel, ...]:
        """The channels that this installation uses, from CHANNELS."""
        named = {c.lower() for c in _split(self.channels)}
        return tuple(c for c in ("sms", "email") if c in named)

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """ISO countries that may be texted, from SMS_COUNTRIES."""
        return tuple(c.upper() for c in _split(self.sms_countries)) or (self.default_country,)

    @cached_property
    def window(self) -> tuple[int, int]:
        """The sending window as minutes after local midnight: (from, to)."""
        return parse_window(self.sending_window)

    @cached_property
    def inbound_key(self) -> str:
        """The public key for Inbound Parse; defaults to the one for events."""
        return self.sendgrid_inbound_public_key or self.sendgrid_webhook_public_key

    @cached_property
    def uses_real_providers(self) -> bool:
        """Whether anything that is sent leaves for the real Twilio or SendGrid."""
        return TWILIO_API == self.twilio_api_url or SENDGRID_API == self.sendgrid_api_url

    def problems(self) -> list[str]:
        """Everything that keeps web and workers from running, in plain words; empty if nothing does."""
        missing = []
        if not self.enabled_channels:
            missing.append("CHANNELS: name at least one of sms, email")
        if "sms" in self.enabled_channels:
            missing += self._absent(("twilio_account_sid", "the Account SID"), ("twilio_auth_token", "the token"))
            if not (self.twilio_messaging_service_sid or self.twilio_from):
                missing.append("TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM: who your texts come from")
        if "email" in self.enabled_channels:
            missing += self._absent(
                ("sendgrid_api_key", "an API key with Mail Send"), ("sendgrid_from", "a verified sender address")
            )
        if self.uses_real_providers:
            missing += self._absent(
                ("public_url", "the https:// address where the providers reach this service"),
                ("org_name", "your organisation, as members know it"),
                ("org_help_contact", "the email or phone that HELP answers with"),
            )
            if "email" in self.enabled_channels:
                missing += self._absent(
                    ("org_postal_address", "a postal address, required in every email"),
                    ("sendgrid_webhook_public_key", "the Event Webhook's verification key"),
                )
        return missing

    def _absent(self, *named: tuple[str, str]) -> list[str]:
        return [f"{name.upper()}: {what}" for name, what in named if not getattr(self, name)]

    def require_ready(self) -> None:
        """Raise ConfigurationError that lists every missing setting at once, if there is any."""
        if problems := self.problems():
            raise ConfigurationError([*problems, "Or run `hearthline demo`, which needs none of these."])


def parse_window(value: str) -> tuple[int, int]:
    """`"10:00-18:00"` → `(600, 1080)`: minutes after midnight. Raises ValueError with what is expected."""
    try:
        start, end = ((int(h) * 60 + int(m)) for h, m in (part.split(":") for part in value.split("-")))
    except ValueError:
        raise ValueError("must look like 10:00-18:00") from None
    if not 0 <= start < end <= 24 * 60:
        raise ValueError("must start before it ends, between 00:00 and 24:00")
    return start, end


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEVER = "off"


def parse_hours(value: str) -> dict[int, tuple[int, int]]:
    """`"mon-fri 09:00-17:00; sat 10:00-12:00"` → weekday (0 is Monday) → minutes after midnight: (from, to).

    Empty for `""` and `"off"`. Raises ValueError with what is expected.
    """
    found: dict[int, tuple[int, int]] = {}
    for part in filter(None, (p.strip().lower() for p in value.split(";"))):
        if part == NEVER:
            continue
        days, _, hours = part.partition(" ")
        first, _, last = days.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError("must look like mon-fri 09:00-17:00; sat 10:00-12:00, or be off")
        day, end = DAYS.index(first), DAYS.index(last or first)
        while True:
            found[day] = parse_window(hours.strip())
            if day == end:
                break
            day = (day + 1) % 7
    return found


def decode_key(entry: str) -> bytes:
    """One entry of ENCRYPTION_KEYS as 32 bytes. Raises ValueError with how to make one."""
    try:
        key = base64.b64decode(entry, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ValueError("each entry must be 32 bytes in base64: `openssl rand -base64 32` makes one")
    return key


def _short_socket(data_path: Path) -> Path:
    """A socket in a private folder whose name follows from DATA_DIR, so that every command finds the same one."""
    digest = hashlib.sha256(os.fsencode(data_path)).hexdigest()[:16]
    # Not TMPDIR: it differs between a login and a service of the same user, and may be long itself.
    folder = Path(f"/tmp/hearthline-{os.getuid()}-{digest}")  # noqa: S108
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Whoever owns the socket can hand jobs to our workers, and anyone may make a folder in /tmp.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError([f"{folder} belongs to somebody else: set DATA_DIR to a shorter path, or REDIS_URL"])
    return folder / "valkey.sock"


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _generated(path: Path, make: Any) -> str:
    """The text in `path`; made by `make()` and written (mode 600) the first time. Safe between processes."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_when_written(path)
    with os.fdopen(handle, "w") as file:
        value = str(make())
        file.write(value)
    return value


def _read_when_written(path: Path) -> str:
    import time

    for _ in range(100):  # another process may have created it a moment ago and not written it yet
        if text := path.read_text().strip():
            return text
        time.sleep(0.01)
    raise ConfigurationError([f"{path} is empty: delete it to have a new key made, or restore it"])


_current: Settings | None = None


def load(**overrides: Any) -> Settings:
    """Read the settings afresh. `.env` in the current folder counts, the environment wins over it.

    While a demo runs, its own values (DATA_DIR/demo.env) stand in for what is set nowhere else, so that
    other commands in the same folder join it. Raises ConfigurationError naming every bad value at once.
    """
    data_dir = Path(overrides.get("data_dir") or os.environ.get("DATA_DIR") or "./var").expanduser()
    files = (data_dir / DEMO_ENV, ".env") if demo_runs(data_dir) else (".env",)
    try:
        return Settings(_env_file=files, **overrides)
    except ValidationError as error:
        raise ConfigurationError(
            [f"{'.'.join(str(p) for p in e['loc']).upper()}: {_plain(e['msg'])}" for e in error.errors()]
        ) from None


def demo_runs(data_dir: Path) -> bool:
    """Whether a demo holds its lock in `data_dir`. One that was killed leaves its file behind, and not the lock."""
    try:
        with (data_dir / DEMO_LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def current() -> Settings:
    """The settings of this process, read on first use."""
    global _current
    if _current is None:
        _current = load()
    return _current


def use(settings: Settings | None) -> None:
    """Make `settings` the ones of this process (None: read afresh on next use). For start-up and tests."""
    global _current
    _current = settings
