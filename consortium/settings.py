"""Settings of one node: read once at a door, then passed on as a value.

Sources, the first that names a field wins: arguments, the environment (`CONSORTIUM_*`), the node's
own file (`node.toml` in its folder), defaults. A name that no field has stops the start, so that a
slip of the pen is never a setting that is silently off. No secret has a default.
"""

import json
import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from consortium.kernel.errors import invalid
from consortium.kernel.system import state_folder, write_durably

PREFIX: Final = "CONSORTIUM_"
NODE_FILE: Final = "node.toml"
MIB: Final = 1024 * 1024


class NodeRole(StrEnum):
    """What an installation is (DESIGN 3)."""

    HUB = "hub"
    WORKSTATION = "workstation"
    MIRROR = "mirror"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("not a web address")
    return value.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """One node's settings. Units are in the names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Path = Field(description="the folder that holds everything of this node")
    role: NodeRole
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    database_url: str = Field(default="", repr=False, description="default: SQLite in the folder")
    guard_dir: Path = Field(
        default_factory=lambda: state_folder() / "guard",
        description="outside copy of the guard; never in a backup (PROTOCOL 2)",
    )
    hub_url: WebAddress = Field(
        default="", description="where a workstation or mirror finds its hub"
    )
    public_url: WebAddress = Field(default="", description="how others reach this node's pages")
    origin: str = Field(default="", description="the name of the log that this node follows")
    gossip_peers: Names = Field(
        default=(), description="addresses that are told checkpoints, past the hub"
    )
    allowed_hosts: Names = Field(default=(), description="further Host names that are answered")
    language: Literal["zh", "en"] = "zh"
    emergency_phone: str = Field(default="", description="shown above send when there is no link")
    idle_lock_min: int = Field(default=5, ge=1)
    sync_period_s: float = Field(default=2.0, gt=0)
    link_timeout_s: float = Field(default=20.0, gt=0)
    upload_max_bytes: int = Field(default=5 * MIB, ge=1)
    request_max_bytes: int = Field(default=8 * MIB, ge=1)
    replay_all: bool = Field(
        default=False, description="a new mirror goes through everything from entry 0"
    )
    log_signer: str = Field(
        default="", description="the hub's signer process: its socket; empty: the key file here"
    )
    web_processes: int = Field(
        default=1, ge=1, le=64, description="of a hub on PostgreSQL; they admit at once"
    )
    web_process: int = Field(default=0, ge=0, description="which of them this is; set by `serve`")
    backup_hour: int = Field(default=2, ge=0, le=23, description="in the charter's zone")
    backup_dir: Path = Field(default=Path("backups"), description="default: in the folder")
    backups_kept: int = Field(default=14, ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    crash_at: str = Field(default="", description="for tests: where the process kills itself")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "home" not in values:
            return values
        home = Path(values["home"]).expanduser().absolute()
        port = values.get("port", cls.model_fields["port"].default)
        return {
            "database_url": f"sqlite:///{home / 'node.db'}",
            "public_url": f"http://127.0.0.1:{port}",
            "backup_dir": home / "backups",
        } | {**values, "home": home}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.role is not NodeRole.HUB and not self.hub_url:
            raise ValueError("a workstation or mirror names its hub_url")
        if self.upload_max_bytes > self.request_max_bytes:
            raise ValueError("upload_max_bytes must fit in request_max_bytes")
        return self

    def socket_of(self, process: int) -> Path:
        """Where the node's other web processes reach one of them."""
        return self.home / "run" / f"web-{process}.sock"

    @property
    def hosts(self) -> frozenset[str]:
        """Host names that this node answers to."""
        public = urlsplit(self.public_url).hostname or ""
        return frozenset({"127.0.0.1", "localhost", public, *self.allowed_hosts} - {""})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, the node's own file: no others."""
        home = init_settings().get("home", "")
        file = TomlConfigSettingsSource(settings_cls, Path(home).expanduser() / NODE_FILE)
        return init_settings, env_settings, file

    @classmethod
    def read(cls, home: Path | None = None, **overrides: Any) -> "Settings":
        """Read the settings of the node in `home` (default: `CONSORTIUM_HOME`).

        Raises Refusal `settings.home` without a folder, `system.not_set_up` where no node was set
        up, `settings.unknown` with a name that no field has, `settings.invalid` with the first name
        whose value does not fit.
        """
        folder = home or os.environ.get(f"{PREFIX}HOME")
        if not folder:
            raise invalid("settings.home")
        fields = {f"{PREFIX}{name.upper()}" for name in cls.model_fields}
        strange = [name for name in os.environ if name.startswith(PREFIX) and name not in fields]
        if strange:
            raise invalid("settings.unknown", name=min(strange))
        try:
            return cls(home=Path(folder), **overrides)
        except ValidationError as wrong:
            first = wrong.errors(include_input=False, include_url=False)[0]
            name = ".".join(map(str, first["loc"]))
            if (name, first["type"]) == ("role", "missing") and not (
                Path(folder) / NODE_FILE
            ).is_file():
                raise invalid("system.not_set_up") from None
            if first["type"] == "extra_forbidden":
                raise invalid("settings.unknown", name=name) from None
            raise invalid("settings.invalid", name=name, problem=first["msg"]) from None
        except tomllib.TOMLDecodeError as wrong:
            raise invalid("settings.invalid", name=NODE_FILE, problem=str(wrong)) from None


def save(home: Path, **values: str | int) -> None:
    """Write a node's own file: whole or not at all, readable by its owner only."""
    # a JSON string or number is also a TOML one
    pairs = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    text = "".join(f"{name} = {value}\n" for name, value in pairs.items())
    write_durably(home / NODE_FILE, text.encode())
