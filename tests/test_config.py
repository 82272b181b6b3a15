import json
import tomllib
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from meshnode.cli.config_text import as_json, as_toml
from meshnode.config import (
    DEFAULT_LISTEN,
    NodeConfig,
    configured_data_dir,
    load_config,
    load_effective,
)
from meshnode.errors import ConfigError
from protocols.ids import peer_id

ALICE = peer_id(bytes(SigningKey(b"a" * 32).verify_key))
BOB = peer_id(bytes(SigningKey(b"b" * 32).verify_key))
ALICE_ADDR = f"/ip4/192.0.2.1/tcp/4201/p2p/{ALICE}"
BOB_ADDR = f"/dns4/bob.example/tcp/4201/p2p/{BOB}"


def file_with(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "meshnode.toml"
    file.write_text(text)
    return file


def faults(
    file: Path | None = None,
    overrides: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides or {}, environ or {})
    return str(caught.value).splitlines()


def test_without_anything_a_node_is_a_consumer_with_defaults() -> None:
    config = load_config(None, {}, {"HOME": "/home/alice"})

    assert config.role == "consumer"
    assert config.network == "main"
    assert config.listen == (DEFAULT_LISTEN,)
    assert config.connect == config.allow == config.announce == config.sources == ()
    assert config.data_dir == Path("/home/alice/.local/share/meshnode")
    assert (config.flush_interval_ms, config.publish_window_ms, config.heartbeat_s) == (
        150,
        100,
        60,
    )
    assert (config.peers_max, config.retention_days, config.retention_mib) == (50, 7, 1024)


def test_a_flag_beats_the_environment_and_that_the_file(tmp_path: Path) -> None:
    file = file_with(
        tmp_path, 'network = "file"\nlog_level = "error"\npeers_max = 10\nheartbeat_s = 30'
    )
    environ = {
        "MESHNODE_NETWORK": "env",
        "MESHNODE_LOG_LEVEL": "warning",
        "MESHNODE_PEERS_MAX": "20",
    }

    effective = load_effective(file, {"network": "flag", "role": None}, environ)

    config, origins = effective.config, effective.origins
    assert (config.network, config.log_level, config.peers_max) == ("flag", "warning", 20)
    assert config.heartbeat_s == 30
    assert origins["network"] == "flag --network"
    assert origins["log_level"] == "environment MESHNODE_LOG_LEVEL"
    assert origins["heartbeat_s"] == f"file {file}"
    assert origins["role"] == "default"


def test_a_variable_names_the_file(tmp_path: Path) -> None:
    file = file_with(tmp_path, 'network = "test"')
    assert load_config(None, {}, {"MESHNODE_CONFIG": str(file)}).network == "test"


@pytest.mark.parametrize("text", [f"{ALICE_ADDR}, {BOB_ADDR}", json.dumps([ALICE_ADDR, BOB_ADDR])])
def test_lists_in_the_environment_are_json_or_have_commas(text: str) -> None:
    assert load_config(None, {}, {"MESHNODE_CONNECT": text}).connect == (ALICE_ADDR, BOB_ADDR)


def test_an_empty_variable_is_not_set_but_an_empty_json_list_is(tmp_path: Path) -> None:
    file = file_with(tmp_path, f'allow = ["{ALICE}"]')
    assert load_config(file, {}, {"MESHNODE_ALLOW": ""}).allow == (ALICE,)
    assert load_config(file, {}, {"MESHNODE_ALLOW": "[]"}).allow == ()


def test_the_process_environment_is_not_read_behind_our_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESHNODE_NETWORK", "elsewhere")
    assert load_config(None, {}, {}).network == "main"
    assert NodeConfig(network="here").network == "here"
    assert NodeConfig().network == "main"


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        NodeConfig().role = "provider"


def test_xdg_names_the_data_directory() -> None:
    environ = {"HOME": "/home/alice", "XDG_DATA_HOME": "/data"}
    assert load_config(None, {}, environ).data_dir == Path("/data/meshnode")
    environ["XDG_DATA_HOME"] = "relative"
    assert load_config(None, {}, environ).data_dir == Path("/home/alice/.local/share/meshnode")


def test_the_data_directory_is_known_while_other_keys_are_not_yet_right(tmp_path: Path) -> None:
    file = file_with(tmp_path, 'role = "provider"\ndata_dir = "/srv/alice"')
    assert configured_data_dir(file, None, {}) == Path("/srv/alice")
    assert configured_data_dir(file, Path("/srv/bob"), {}) == Path("/srv/bob")
    environ = {"MESHNODE_DATA_DIR": "/srv/carol"}
    assert configured_data_dir(file, None, environ) == Path("/srv/carol")


# --- errors ---------------------------------------------------------------------------------


def test_a_seed_without_a_peer_id_says_where_to_get_it() -> None:
    assert faults(overrides={"connect": ["/ip4/1.2.3.4/tcp/4201"]}) == [
        'connect[0] (flag --connect): "/ip4/1.2.3.4/tcp/4201" has no /p2p/<id>; '
        'run "meshnode id" on that node to get it'
    ]


def test_every_fault_is_listed_with_its_origin(tmp_path: Path) -> None:
    file = file_with(tmp_path, 'network = "Main"\npeers_max = "many"\nretention_day = 3')
    environ = {"MESHNODE_LISTEN": "/ip4/127.0.0.1/tcp/0,/ip4/300.0.0.1/tcp/1"}

    found = faults(file, {"role": "provider", "allow": [ALICE, "bob"]}, environ)

    assert len(found) == 6
    text = "\n".join(found)
    assert f"network (file {file})" in text
    assert f"peers_max (file {file})" in text
    assert f"retention_day (file {file}): no such key; did you mean retention_days?" in text
    assert "listen[1] (environment MESHNODE_LISTEN)" in text
    assert 'allow[1] (flag --allow): "bob" holds no peer id' in text
    assert "sources (default): a provider needs a source" in text


def test_a_consumer_has_no_sources() -> None:
    (fault,) = faults(overrides={"sources": ["walk:BTC-USD"]})
    assert fault.startswith("sources (flag --source): a consumer has no sources")


def test_redis_is_refused_without_showing_its_password() -> None:
    (fault,) = faults(overrides={"redis": "redis://alice:hunter2@cache/0"})
    assert fault == "redis (flag --redis): the Redis tier is not in this version; leave it out"


@pytest.mark.parametrize(
    ("key", "value", "finding"),
    [
        ("listen", "/ip4/1.2.3.4/udp/4201/quic-v1", "is no TCP multiaddr"),
        ("listen", "/ip4/1.2.3.4/tcp/70000", "has port 70000"),
        ("listen", "/ip6/1.2.3.4/tcp/1", "has an IPv4 address after /ip6/"),
        ("listen", "/dns4/alice.example/tcp/1", "is a name; listen on an IP address"),
        ("listen", f"/ip4/1.2.3.4/tcp/1/p2p/{ALICE}", "ends in /p2p/…; leave that out"),
        ("announce", f"/dns4/alice.example/tcp/1/p2p/{ALICE}", "leave that out"),
        ("connect", "/dns4/-alice-/tcp/1/p2p/x", "where a host name should stand"),
        ("connect", "/ip4/1.2.3.4/tcp/1/p2p/QmHash", "holds no peer id"),
        ("connect", "alice.example:4201", "is no TCP multiaddr"),
        ("connect", "/ip4/1.2.3.4/tcp/1\n", "is no TCP multiaddr"),
        ("sources", " ", "is empty"),
    ],
)
def test_addresses_and_sources_are_checked(key: str, value: str, finding: str) -> None:
    overrides: dict[str, object] = {key: [value], "role": "provider"}
    overrides.setdefault("sources", ["walk:BTC-USD"])
    (fault,) = faults(overrides=overrides)
    assert finding in fault
    assert fault.startswith(f"{key}[0] (flag --")


def test_announced_addresses_fit_into_a_presence_message() -> None:
    addrs = [f"/ip4/192.0.2.1/tcp/{port}" for port in range(1, 12)]
    (fault,) = faults(overrides={"announce": addrs})
    assert fault.startswith("announce (flag --announce)")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("role", "relay"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("flush_interval_ms", "0"),
        ("publish_window_ms", "-1"),
        ("heartbeat_s", "61"),
        ("peers_max", "2"),
        ("retention_days", "0"),
        ("retention_mib", "1.5"),
        ("listen", "[broken"),
    ],
)
def test_values_have_bounds(key: str, value: str) -> None:
    (fault,) = faults(environ={f"MESHNODE_{key.upper()}": value})
    assert fault.startswith(f"{key} (environment MESHNODE_{key.upper()}): ")


def test_misspelt_variables_are_noticed_and_foreign_ones_are_not() -> None:
    (fault,) = faults(environ={"MESHNODE_RETENTION_DAY": "3"})
    assert fault.endswith("did you mean MESHNODE_RETENTION_DAYS?")
    load_config(None, {}, {"MESHNODE_PORT_4201_TCP": "tcp://10.0.0.1:4201"})


def test_a_fault_is_one_line_whatever_the_value() -> None:
    (fault,) = faults(overrides={"network": "a\nb\x1b[2J"})
    assert "\\n" in fault
    assert fault.isprintable()


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert faults(missing) == [f"file {missing}: No such file or directory; check --config"]
    broken = file_with(tmp_path, "role = provider")
    (fault,) = faults(broken)
    assert fault.startswith(f"file {broken} is no TOML: ")
    assert "line 1" in fault


# --- printing -------------------------------------------------------------------------------


def test_what_is_printed_can_be_used_again(tmp_path: Path) -> None:
    overrides: dict[str, object] = {
        "role": "provider",
        "sources": ['replay:file with "quotes".csv?speed=10', "walk:BTC-USD"],
        "connect": [ALICE_ADDR, BOB_ADDR],
        "data_dir": tmp_path / "d\x7fa\u00e9\U0001f600",
    }
    effective = load_effective(None, overrides, {"MESHNODE_PEERS_MAX": "9"})

    printed = as_toml(effective)

    assert load_config(file_with(tmp_path, printed), {}, {}) == effective.config
    assert "peers_max = 9  # environment MESHNODE_PEERS_MAX" in printed
    assert 'role = "provider"  # flag --role' in printed
    assert "# redis is not set" in printed
    assert set(tomllib.loads(printed)) == set(NodeConfig.model_fields) - {"redis"}
    document = json.loads(as_json(effective))
    assert document["config"]["connect"] == [ALICE_ADDR, BOB_ADDR]
    assert document["origins"]["sources"] == "flag --source"


def test_printing_masks_secrets() -> None:
    sources = ["http://alice:hunter2@api.example/?x=1&api_key=hunter3"]
    effective = load_effective(None, {"role": "provider", "sources": sources}, {})
    for text in (as_toml(effective), as_json(effective)):
        assert "hunter" not in text
        assert "http://***@api.example/?x=1&api_key=***" in text
