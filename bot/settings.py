"""The installation's settings: settings.toml with every default, and the environment on top."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import URL

from handlers.policy import Policy
from store.vault import Vault, kept_key

ROOT = Path(__file__).parent.parent
FILE = ROOT / "settings.toml"
PREFIX = "LINLI_"
SECRET = 16
"""Characters of a secret that signs."""
TESTS = "LINLI_TEST_"
"""The tests' own variables, which are no settings."""


class BadSettings(Exception):
    """A sentence that names the line or the variable that is wrong."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(_Section):
    data: Path
    url: SecretStr
    threads: int = Field(ge=1, le=64)


class Web(_Section):
    host: str
    port: int = Field(ge=0, le=65535)
    address: str = Field(pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$")


def from_here(host: str, port: int) -> str:
    """The address by which somebody on this machine opens what listens on a host and a port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{host}:{port}"


class Telegram(_Section):
    token: SecretStr
    base_url: str = Field(pattern=r"^(https?://[^\s]+)?$")
    per_second: int = Field(ge=1)
    chat_per_second: int = Field(ge=1)
    group_per_minute: int = Field(ge=6)


def _fields(value: object) -> object:
    """The fields of a template in one line, "thing1=about, time3=time"."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    return {name.strip(): shows.strip() for name, _, shows in pairs}


Fields = Annotated[dict[str, Literal["about", "words", "time"]], BeforeValidator(_fields)]


class Wechat(_Section):
    app_id: str
    app_secret: SecretStr
    token: SecretStr
    aes_key: SecretStr
    base_url: str = Field(pattern=r"^(https?://[^\s]+)?$")
    free_messages: int = Field(ge=0)
    free_hours: float = Field(ge=0)
    tap_messages: int = Field(ge=0)
    tap_seconds: float = Field(ge=0)
    template: str
    template_fields: Fields
    notification: str
    notification_fields: Fields
    digest_at: str = Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")


def _is_ours(host: str) -> bool:
    """Whether a host is this very machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _safe(value: SecretStr) -> SecretStr:
    """An address that nobody on the way reads, since telephone numbers go there."""
    url = value.get_secret_value()
    if not url:
        return value
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and _is_ours(parts.hostname or ""))
    if not (secure and parts.hostname) or any(each.isspace() for each in url):
        raise ValueError("an address with https:// (or http:// on this machine) is needed")
    return value


class Paging(_Section):
    hook_url: Annotated[SecretStr, AfterValidator(_safe)]
    """Secret, since many services have a key in it."""
    hook_secret: SecretStr

    @model_validator(mode="after")
    def _signed(self) -> "Paging":
        if self.hook_url.get_secret_value() and len(self.hook_secret.get_secret_value()) < SECRET:
            raise ValueError(f"hook_url needs a hook_secret of {SECRET} characters or more")
        return self


class Pages(_Section):
    link_hours: float = Field(gt=0)


class Privacy(_Section):
    key: SecretStr


class Playground(_Section):
    enabled: bool
    public: bool
    key: SecretStr


class Log(_Section):
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["text", "json"]


class Settings(BaseSettings):
    """All settings; they are read once, at the start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", toml_file=FILE, extra="forbid", frozen=True
    )

    store: Store
    web: Web
    telegram: Telegram
    wechat: Wechat
    paging: Paging
    pages: Pages
    privacy: Privacy
    playground: Playground
    log: Log
    policy: Policy

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.store.data if self.store.data.is_absolute() else ROOT / self.store.data

    @property
    def vault(self) -> Vault:
        """What seals telephone numbers: by the given key, else by one that is kept in the data folder."""
        key = self.privacy.key.get_secret_value()
        if not key:
            self.data.mkdir(parents=True, exist_ok=True)
        return Vault(key or kept_key(self.data / "key"))

    @property
    def has_wechat(self) -> bool:
        """Whether there is a service account on WeChat; BadSettings if something that it needs is missing."""
        account = {
            "wechat.app_id": self.wechat.app_id,
            "wechat.app_secret": self.wechat.app_secret.get_secret_value(),
            "wechat.token": self.wechat.token.get_secret_value(),
            "wechat.aes_key": self.wechat.aes_key.get_secret_value(),
        }
        if not any(account.values()):
            return False
        needed = {**account, "web.address": self.web.address}
        missing = [name for name, value in needed.items() if not value]
        if missing:
            raise BadSettings(
                f"微信还缺设置：{'、'.join(missing)}。"
                f"For WeChat these settings are missing: {', '.join(missing)}."
            )
        return True

    @property
    def has_hook(self) -> bool:
        """Whether there is a web hook that telephones or texts for us."""
        return bool(self.paging.hook_url.get_secret_value())

    @property
    def callback(self) -> str:
        """Where WeChat calls us."""
        return f"{self.web.address.rstrip('/')}/wechat"

    @property
    def database_url(self) -> str:
        """SQLAlchemy's URL of the database."""
        file = URL.create("sqlite", database=str(self.data / "linli.db"))
        return self.store.url.get_secret_value() or file.render_as_string()


def load(**overrides: dict[str, Any]) -> Settings:
    """Read the settings; `overrides` come from the command line, by section. BadSettings names what is wrong."""
    _check_environment()
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise BadSettings("\n".join(_sentence(each) for each in error.errors())) from None
    except ValueError as error:  # the TOML itself
        raise BadSettings(f"settings.toml: {error}") from None


def _check_environment() -> None:
    """A misspelt variable would be passed over in silence: refuse it."""
    known = {line.name for line in _lines()}
    for variable in os.environ:
        if not variable.startswith(PREFIX) or variable.startswith(TESTS):
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".", 1)
        if name not in known:
            raise BadSettings(f"{variable}: 没有这个设置。There is no such setting (see ./linli settings).")


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    return f"{_where(name)}: {name}: {error['msg']}"


def _where(name: str) -> str:
    """The variable or the line of the file from which a setting comes."""
    variable = PREFIX + name.replace(".", "__").upper()
    if variable in os.environ:
        return variable
    section, _, key = name.partition(".")
    at = ""
    for number, line in enumerate(FILE.read_text("utf-8").splitlines(), 1):
        if match := re.match(r"\s*\[(.+?)\]", line):
            at = match[1]
            if at == section and not key:
                return f"settings.toml:{number}"
        elif at == section and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return f"settings.toml:{number}"
    return "settings.toml"


@dataclass(frozen=True)
class Line:
    """One setting for people: its dotted name, its value (masked if secret) and where it came from."""

    name: str
    value: str
    origin: str


def _lines() -> list[Line]:
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    return [
        Line(f"{section}.{name}", "", "")
        for section, model in sections.items()
        for name in getattr(model, "model_fields", {})
    ]


def table(settings: Settings, overrides: Mapping[str, Mapping[str, object]]) -> list[Line]:
    """Every setting with its value and origin; secrets are masked. `overrides` came from the command line."""
    rows = []
    for line in _lines():
        section, _, name = line.name.partition(".")
        value = getattr(getattr(settings, section), name)
        if isinstance(value, SecretStr):
            value = "********" if value.get_secret_value() else ""
        origin = f"--{name}" if name in overrides.get(section, {}) else _where(line.name)
        rows.append(Line(line.name, str(value), origin))
    return rows
