"""The configuration of a node: TOML file, then environment, then flags; checked once."""

import difflib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ValidationInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from meshnode.core.multiaddrs import check_peer_id, parse_addr
from meshnode.core.safe_text import shown
from meshnode.errors import ConfigError
from protocols.ids import DEFAULT_NETWORK, is_network
from protocols.limits import ADDRS_MAX

ENV_PREFIX = "MESHNODE_"
CONFIG_FILE_VARIABLE = "MESHNODE_CONFIG"
DEFAULT_LISTEN = "/ip4/0.0.0.0/tcp/4201"

_FLAGS = {"sources": "--source"}  # the others bear the name of their key


def _items(value: object) -> object:
    """A list as it is; text as a JSON list or as items between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("begins like a JSON list, but is none") from None
    return [item.strip() for item in value.split(",") if item.strip()]


def _local_addr(text: str) -> str:
    if parse_addr(text).peer_id is not None:
        raise ValueError("ends in /p2p/…; leave that out, a node adds its own id")
    return text


def _listen_addr(text: str) -> str:
    if parse_addr(_local_addr(text)).is_name:
        raise ValueError("is a name; listen on an IP address, such as /ip4/0.0.0.0/tcp/4201")
    return text


def _seed_addr(text: str) -> str:
    if parse_addr(text).peer_id is None:
        raise ValueError('has no /p2p/<id>; run "meshnode id" on that node to get it')
    return text


def _peer_id(text: str) -> str:
    check_peer_id(text)
    return text


def _network(text: str) -> str:
    if not is_network(text):
        raise ValueError("is no network's name; use 1 to 32 of a-z, 0-9 and -")
    return text


def _source(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a source such as walk:BTC-USD")
    return text


Items: TypeAlias = tuple[str, ...]


class NodeConfig(BaseSettings):
    """What a node is told; equal configurations make equal nodes.

    Built directly, it takes its arguments and nothing else; `load_config` reads the layers.
    Intervals are in the unit of their name.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_ignore_empty=True
    )

    role: Literal["provider", "consumer"] = "consumer"
    network: Annotated[str, AfterValidator(_network)] = DEFAULT_NETWORK
    listen: Annotated[
        tuple[Annotated[str, AfterValidator(_listen_addr)], ...], NoDecode, BeforeValidator(_items)
    ] = (DEFAULT_LISTEN,)
    announce: Annotated[
        tuple[Annotated[str, AfterValidator(_local_addr)], ...],
        NoDecode,
        BeforeValidator(_items),
        Field(max_length=ADDRS_MAX),
    ] = ()
    connect: Annotated[
        tuple[Annotated[str, AfterValidator(_seed_addr)], ...], NoDecode, BeforeValidator(_items)
    ] = ()
    allow: Annotated[
        tuple[Annotated[str, AfterValidator(_peer_id)], ...], NoDecode, BeforeValidator(_items)
    ] = ()
    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=lambda: default_data_dir(os.environ)
    )
    sources: Annotated[
        tuple[Annotated[str, AfterValidator(_source)], ...],
        NoDecode,
        BeforeValidator(_items),
        Field(validate_default=True),
    ] = ()
    redis: str | None = None
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    flush_interval_ms: int = Field(default=150, ge=1, le=10_000)
    publish_window_ms: int = Field(default=100, ge=1, le=10_000)
    heartbeat_s: int = Field(default=60, ge=1, le=60)  # the protocol's promise ends at 60
    peers_min: int = Field(default=3, ge=0, le=100)
    peers_aim: int = Field(default=6, ge=0, le=100)
    peers_max: int = Field(default=50, ge=3, le=1000)
    retention_days: int = Field(default=7, ge=1)
    retention_mib: int = Field(default=1024, ge=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: many nodes share one process and must not share its environment."""
        return (init_settings,)

    @field_validator("sources")
    @classmethod
    def _fit_role(cls, sources: Items, info: ValidationInfo) -> Items:
        role = info.data.get("role")
        if role == "provider" and not sources:
            raise ValueError("a provider needs a source; add --source walk:BTC-USD, or replay:…")
        if role == "consumer" and sources:
            raise ValueError("a consumer has no sources; add --role provider, or leave them out")
        return sources

    @field_validator("redis")
    @classmethod
    def _not_yet(cls, url: str | None) -> str | None:
        if url is not None:
            raise ValueError("the Redis tier is not in this version; leave it out")
        return url


@dataclass(frozen=True, slots=True)
class Effective:
    """A configuration, and where each key's value came from (`default`, `flag --role`, …)."""

    config: NodeConfig
    origins: Mapping[str, str]


def load_config(
    file: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]
) -> NodeConfig:
    """The configuration of all layers; `overrides` are flags by key, None where not given.

    Without `file`, `MESHNODE_CONFIG` names it, if anything does. Raises ConfigError that lists
    every faulty key, where it came from, and what to do.
    """
    return load_effective(file, overrides, environ).config


def load_effective(
    file: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]
) -> Effective:
    """As `load_config`, with the origin of each value."""
    values, origins = _merged(file, overrides, environ)
    faults = _misspelt_variables(environ)
    try:
        config = NodeConfig(**values)
    except ValidationError as error:
        faults += [_fault(details, origins) for details in error.errors()]
    if faults:
        raise ConfigError("\n".join(faults))
    return Effective(config, origins)


def configured_data_dir(
    file: Path | None, data_dir: Path | None, environ: Mapping[str, str]
) -> Path:
    """The data directory alone, the other keys unchecked: a key is made before a node is set up.

    Raises ConfigError for a file that can't be read.
    """
    values, _ = _merged(file, {"data_dir": data_dir}, environ)
    return Path(str(values["data_dir"])).expanduser()


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/meshnode`, by default `~/.local/share/meshnode`."""
    home = environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is invalid and is ignored.
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME", "~")) / ".local/share"
    return base / "meshnode"


class _Environment(EnvSettingsSource):
    """The library's reader of variables, given an environment instead of the process's."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(NodeConfig)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): text for name, text in self._environ.items() if text}


def _merged(
    file: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of all layers, the highest winning, and the origin of every key."""
    if file is None and environ.get(CONFIG_FILE_VARIABLE):
        file = Path(environ[CONFIG_FILE_VARIABLE])
    layers: list[tuple[Mapping[str, Any], Callable[[str], str]]] = [
        ({"data_dir": default_data_dir(environ)}, lambda _: "default"),
        (_read_file(file) if file else {}, lambda _: f"file {file}"),
        (_Environment(environ)(), lambda key: f"environment {ENV_PREFIX}{key.upper()}"),
        (overrides, lambda key: f"flag {_FLAGS.get(key, '--' + key.replace('_', '-'))}"),
    ]
    values: dict[str, Any] = {}
    origins = dict.fromkeys(NodeConfig.model_fields, "default")
    for layer, origin in layers:
        given = {key: value for key, value in layer.items() if value is not None}
        values |= given
        origins |= {key: origin(key) for key in given}
    return values, origins


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"file {file}: {error.strerror}; check --config") from error
    except ValueError as error:
        raise ConfigError(f"file {file} is no TOML: {error}") from error


def _misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """Near misses only: an orchestrator sets MESHNODE_PORT_… and the like on its own account."""
    known = [ENV_PREFIX + key.upper() for key in NodeConfig.model_fields] + [CONFIG_FILE_VARIABLE]
    return [
        f"environment {shown(name)}: no such setting; did you mean {match}?"
        for name in sorted(environ)
        if name.startswith(ENV_PREFIX) and name not in known
        for match in difflib.get_close_matches(name, known, n=1, cutoff=0.9)
    ]


def _fault(details: ErrorDetails, origins: Mapping[str, str]) -> str:
    key, *indexes = (str(part) for part in details["loc"])
    place = f"{shown(key)}{''.join(f'[{index}]' for index in indexes)} ({origins[key]})"
    match details["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(key, NodeConfig.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else "the keys are listed by --print-config"
            return f"{place}: no such key; {hint}"
        case "value_error" if key in ("redis", "sources") and not indexes:
            return f"{place}: {details['ctx']['error']}"
        case "value_error":
            return f"{place}: {_shown(details['input'])} {details['ctx']['error']}"
        case _:
            message = details["msg"][0].lower() + details["msg"][1:]
            return f"{place}: {_shown(details['input'])}: {message}"


def _shown(value: object) -> str:
    return shown(json.dumps(value, ensure_ascii=False, default=str))
