import json
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from meshnode.cli.target import resolve_target
from meshnode.errors import ConfigError, PeerUnreachable
from protocols.ids import peer_id

ALICE = peer_id(bytes(SigningKey(b"a" * 32).verify_key))
FAR, NEAR = f"/ip4/192.0.2.1/tcp/1/p2p/{ALICE}", f"/ip4/127.0.0.1/tcp/1/p2p/{ALICE}"


def test_an_address_is_itself() -> None:
    assert resolve_target(FAR) == (FAR,)


def test_a_directory_or_its_node_file_names_a_node_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text(json.dumps({"node_id": ALICE, "addrs": [FAR, NEAR]}))
    assert resolve_target(str(tmp_path)) == (NEAR, FAR)
    assert resolve_target(str(tmp_path / "node.json")) == (NEAR, FAR)


def test_a_directory_without_a_node_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(PeerUnreachable, match="meshnode run --data-dir"):
        resolve_target(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("/ip4/192.0.2.1/tcp/1", "has no /p2p/<id>"),
        ("/ip4/192.0.2.1/p2p/x", "is no TCP multiaddr"),
        ("192.0.2.1:4201", "neither a multiaddr nor a directory"),
    ],
)
def test_what_is_neither_is_wrong_usage(text: str, finding: str) -> None:
    with pytest.raises(ConfigError, match=finding):
        resolve_target(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"addrs": 1}', '{"addrs": ["/ip4/x"]}'])
def test_a_broken_node_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.json").write_text(text)
    with pytest.raises(ConfigError, match=r"node\.json"):
        resolve_target(str(tmp_path))
