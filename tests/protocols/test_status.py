"""A status: every key, what is cut when it is too long, what a stranger may not make us print."""

import json
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from protocols.errors import Malformed
from protocols.limits import STATUS_REPLY_BYTES_MAX
from protocols.queries import ErrorReply, reply_from_bytes
from protocols.records import FREE_TEXT_BYTES_MAX
from protocols.status import (
    STATUS_CHECKS,
    ConnectionStatus,
    DataFreshness,
    Outage,
    PeerStatus,
    ProviderStatus,
    StatusReply,
    StatusWarning,
)

NOW = "2026-01-31T08:15:00.25Z"
PROVIDER = ProviderStatus("alice", "active", NOW, 1, 7)
STATUS: dict[str, Any] = {
    "protocol": 1,
    "network": "main",
    "node_id": "bob",
    "agent": "meshnode/0.1.0",
    "role": "consumer",
    "uptime_s": 60,
    "time": NOW,
    "mode": "normal",
    "active_providers": (PROVIDER,),
    "known_providers": (PROVIDER, replace(PROVIDER, state="left", hop_count=None)),
    "providers_seen": {"discovered": 1, "returned": 0, "lost": 0},
    "connected_peers": 1,
    "total_network_size": 2,
    "peers": (PeerStatus("alice", ("/ip4/127.0.0.1/tcp/1",), None),),
    "last_update_time": NOW,
    "data_freshness": DataFreshness("just_now", 3, "just now"),
    "extended_offline": False,
    "offline_duration_minutes": None,
    "outage": Outage(NOW, "unknown"),
    "connections": (ConnectionStatus("store", "sqlite", "connected", 0, None, NOW),),
    "warnings": (StatusWarning("OPEN_NETWORK", "Anybody may provide prices"),),
    "refused": {"handshake": 3},
    "truncated": (),
}


def frame(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def test_a_status_with_every_key() -> None:
    assert STATUS.keys() == STATUS_CHECKS.keys()
    status = StatusReply(STATUS)
    assert reply_from_bytes(StatusReply, status.to_bytes()) == status
    told = status.to_map()
    assert json.loads(json.dumps(told)) == told
    assert told["active_providers"][0] == {
        "provider_id": "alice",
        "state": "active",
        "last_seen": NOW,
        "hop_count": 1,
        "assets": 7,
    }
    assert told["offline_duration_minutes"] is None


def test_a_status_of_what_was_asked_for() -> None:
    status = StatusReply(STATUS)
    assert status.select(None) is status
    assert status.select(("mode", "nonsense")).to_map() == {"mode": "normal"}
    assert status.select(())["mode"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "1"},
        {"network": "MAIN"},
        {"node_id": "\x07"},
        {"agent": 1},
        {"role": "boss"},
        {"uptime_s": 1.5},
        {"time": 1},
        {"mode": "fine"},
        {"active_providers": {}},
        {"active_providers": [1]},
        {"known_providers": [{**PROVIDER.to_map(), "state": "odd"}]},
        {"known_providers": [{**PROVIDER.to_map(), "provider_id": None}]},
        {"known_providers": [{**PROVIDER.to_map(), "hop_count": -1}]},
        {"peers": [{"node_id": "a", "addrs": ["x"], "rtt_ms": 1}]},
        {"peers": [{"node_id": "a", "addrs": ["/a"] * 11, "rtt_ms": 1}]},
        {"peers": [{"node_id": "a", "addrs": ["/" + "a" * 256], "rtt_ms": 1}]},
        {"data_freshness": {"state": "old", "age_s": 1, "text": ""}},
        {"data_freshness": "just_now"},
        {"extended_offline": 1},
        {"outage": {"since": None, "cause": "unknown"}},
        {"outage": {"since": NOW, "cause": "magic"}},
        {"connections": [{"kind": "store"}]},
        {"warnings": [{"code": "\r", "message": ""}]},
        {"warnings": [{"code": "X", "message": 1}]},
        {"truncated": [1]},
        {"future": 1.5},
        {"future": b"x"},
        {"future": {1: 2}},
        {"future": [[[[[[1]]]]]]},
        {"\x1b[2J": 1},
        {1: 1},
    ],
    ids=repr,
)
def test_a_status_with_a_wrong_value_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        StatusReply.from_bytes(frame(fields))


def test_a_stranger_cannot_speak_to_the_terminal() -> None:
    evil = "\x1b[31mred\r\n\u202egnp\x9b\x07" + "é" * 1000
    status = StatusReply.from_bytes(
        frame({"warnings": [{"code": "X", "message": evil[:300]}], "future": {"a": [evil[:300]]}})
    )
    message = status["warnings"][0].message
    assert message.startswith("?[31mred???gnp??")
    assert len(message) == FREE_TEXT_BYTES_MAX
    assert status["future"]["a"][0] == message
    error = reply_from_bytes(StatusReply, frame({"error": {"code": "x", "message": "a\nb"}}))
    assert error == ErrorReply("x", "a?b")
    assert ErrorReply("x", "\u0440aypal").message == "?aypal"


def test_nil_is_a_value_of_every_key() -> None:
    status = StatusReply(dict.fromkeys(STATUS))
    assert StatusReply.from_bytes(frame(dict.fromkeys(STATUS))) == status


def test_a_long_status_loses_the_ends_of_its_longest_lists() -> None:
    known = tuple(replace(PROVIDER, provider_id=f"{n:052}") for n in range(2000))
    status = StatusReply({**STATUS, "known_providers": known})
    raw = status.to_bytes()
    assert STATUS_REPLY_BYTES_MAX - 500 < len(raw) <= STATUS_REPLY_BYTES_MAX
    told = StatusReply.from_bytes(raw)
    assert told["truncated"] == ("known_providers",)
    assert told["known_providers"] == known[: len(told["known_providers"])]
    assert told["active_providers"] == status["active_providers"]
    assert told["warnings"] == status["warnings"]


def test_two_long_lists_are_cut_to_about_the_same() -> None:
    known = tuple(replace(PROVIDER, provider_id=f"{n:052}") for n in range(1000))
    status = StatusReply({"known_providers": known, "active_providers": known[:900]})
    told = StatusReply.from_bytes(status.to_bytes())
    assert set(told["truncated"]) == {"known_providers", "active_providers"}
    assert abs(len(told["known_providers"]) - len(told["active_providers"])) <= 1


def test_a_status_that_cannot_be_cut_is_refused() -> None:
    fields = {f"{n}": "x" * FREE_TEXT_BYTES_MAX for n in range(300)}
    with pytest.raises(Malformed, match="without its lists"):
        StatusReply({**STATUS, **fields}).to_bytes()


def test_what_fits_is_not_touched() -> None:
    status = StatusReply(STATUS)
    assert status.fitted() is status
    assert StatusReply.from_bytes(status.to_bytes()) == status
