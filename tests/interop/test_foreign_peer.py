"""What a peer of another make can do with nothing but the specification."""

import re
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.interop.foreign_peer import (
    PRESENCE,
    PRICES,
    PRICES_QUERY,
    STATUS_QUERY,
    ForeignPeer,
    foreign_peer,
    framed,
)
from tests.interop.real_node import real_node
from tests.interop.spec_verifier import verify

WALK = "walk:BTC-USD,ETH-USD?interval_s=0.1"
MESHSUB = ("/meshsub/1.0.0", "/meshsub/1.1.0", "/meshsub/1.2.0")
STATUS_KEYS: dict[str, type | tuple[type, ...]] = {
    "protocol": int,
    "network": str,
    "node_id": str,
    "agent": str,
    "role": str,
    "uptime_s": int,
    "time": str,
    "mode": str,
    "active_providers": list,
    "known_providers": list,
    "connected_peers": int,
    "total_network_size": int,
    "peers": list,
    "last_update_time": (str, type(None)),
    "data_freshness": dict,
    "extended_offline": bool,
    "offline_duration_minutes": (int, type(None)),
    "outage": (dict, type(None)),
    "connections": list,
    "warnings": list,
}
PRICE_KEYS = {
    "price",
    "provider_id",
    "observed",
    "received",
    "age_s",
    "state",
    "confidence",
    "sources",
    "tags",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
DECIMAL = re.compile(r"\d+(\.\d+)?")


async def price_of(peer: ForeignPeer, asset: str) -> dict[str, Any]:
    """What the node serves of an asset once it has told a watcher of it."""
    watching = await peer.watch({"assets": [asset], "events": ["price"]})
    found: dict[str, Any] = (await watching.until("price"))["prices"][asset]
    return found


@pytest.mark.parametrize("meshsub", MESHSUB)
async def test_it_subscribes_and_verifies_what_it_hears(tmp_path: Path, meshsub: str) -> None:
    async with real_node(tmp_path, WALK) as node, foreign_peer(node.addr, meshsub=meshsub) as peer:
        await peer.subscribe(PRICES, PRESENCE)
        assert peer.negotiated == meshsub
        seqs = []
        for _ in range(3):
            heard = await peer.next_heard(PRICES)
            assert heard.opened.peer_id == node.ready.peer_id
            (quotes,) = heard.opened.payload
            assert {quote[0] for quote in quotes} <= {"BTC-USD", "ETH-USD"}
            seqs.append(heard.opened.seq)
        assert len(set(seqs)) == 3
        assert peer.node_subscriptions == {PRICES, PRESENCE}
        assert not node.misbehaved


async def test_it_hears_who_is_there(tmp_path: Path) -> None:
    async with real_node(tmp_path, WALK) as node, foreign_peer(node.addr) as peer:
        await peer.subscribe(PRESENCE)
        opened = (await peer.next_heard(PRESENCE)).opened
        role, state, _, _, addrs, agent, _, _ = opened.payload
        assert (opened.kind, role, state) == (2, 1, 1)
        assert addrs == [node.addr.partition("/p2p/")[0]]
        assert agent.startswith("meshnode/")


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("meshsub", MESHSUB)
async def test_its_price_is_accepted_and_served(
    tmp_path: Path, meshsub: str, with_key: bool
) -> None:
    async with real_node(tmp_path) as node, foreign_peer(node.addr, meshsub=meshsub) as peer:
        await peer.subscribe(PRICES, PRESENCE)
        raw = await peer.say_price(
            "GOLD/OZ", 4_012_375, -3, now_ns=time.time_ns(), with_key=with_key
        )
        served = await price_of(peer, "GOLD/OZ")
        assert served["price"] == "4012.375"
        assert served["provider_id"] == verify(raw).peer_id
        assert served["state"] == "fresh"
        _, proofs = await peer.exchange(PRICES_QUERY, framed(msgpack.packb({"proofs": True})))
        assert proofs == [raw]
        status = await peer.ask(STATUS_QUERY, {"keys": ["active_providers"]})
        (provider,) = status["active_providers"]
        assert (provider["provider_id"], provider["hop_count"]) == (served["provider_id"], 1)
        assert not node.misbehaved


async def test_its_price_reaches_another_foreign_peer_as_it_was_signed(tmp_path: Path) -> None:
    async with (
        real_node(tmp_path) as node,
        foreign_peer(node.addr) as alice,
        foreign_peer(node.addr, meshsub="/meshsub/1.2.0") as bob,
    ):
        await alice.subscribe(PRICES)
        await bob.subscribe(PRICES)
        await bob.wait_grafted(PRICES)
        raw = await alice.say_price("BTC-USD", 39_432_48, -2, now_ns=time.time_ns(), with_key=True)
        assert (await bob.next_heard(PRICES)).opened == verify(raw)


async def test_what_it_signed_wrongly_is_not_served_and_what_follows_is(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node, foreign_peer(node.addr) as peer:
        await peer.subscribe(PRICES)
        now_ns = time.time_ns()
        raw = await peer.say_price("BTC-USD", 7, 0, now_ns=now_ns)
        forged = raw[:-1] + bytes([raw[-1] ^ 1])
        await peer.publish(PRICES, forged.replace(b"BTC-USD", b"BTC-EUR"), now_ns + 1)
        await peer.say_price("ETH-USD", 3, 0, now_ns=now_ns + 2, seq=2)
        await price_of(peer, "ETH-USD")
        served = await peer.ask(PRICES_QUERY, {})
        assert set(served["prices"]) == {"BTC-USD", "ETH-USD"}


async def test_the_status_reply_has_every_key_of_the_specification(tmp_path: Path) -> None:
    async with real_node(tmp_path, WALK) as node, foreign_peer(node.addr) as peer:
        await price_of(peer, "BTC-USD")
        status = await peer.ask(STATUS_QUERY, {})
        assert status.keys() >= STATUS_KEYS.keys()
        for key, kind in STATUS_KEYS.items():
            assert isinstance(status[key], kind), key
        assert "float" not in kinds_in(status)
        assert (status["protocol"], status["network"], status["role"]) == (1, "main", "provider")
        assert status["node_id"] == node.ready.peer_id
        assert TIME.fullmatch(status["time"])
        assert TIME.fullmatch(status["last_update_time"])
        assert status["data_freshness"]["state"] == "just_now"
        (provider,) = status["active_providers"]
        assert provider.keys() == {"provider_id", "state", "last_seen", "hop_count", "assets"}
        assert (provider["hop_count"], provider["state"]) == (0, "active")
        kinds = {connection["kind"] for connection in status["connections"]}
        assert kinds <= {"peer", "upstream", "store"}
        assert {warning["code"] for warning in status["warnings"]} == {"OPEN_NETWORK"}


async def test_the_prices_replies_are_those_of_the_specification(tmp_path: Path) -> None:
    async with real_node(tmp_path, WALK) as node, foreign_peer(node.addr) as peer:
        await price_of(peer, "ETH-USD")
        plain = await peer.ask(PRICES_QUERY, {"assets": ["ETH-USD", "NONE"], "proofs": False})
        assert plain.keys() == {"prices", "more"}
        assert plain["more"] is None
        (answer,) = plain["prices"].values()
        assert answer.keys() >= PRICE_KEYS
        assert DECIMAL.fullmatch(answer["price"])
        assert answer["provider_id"] == node.ready.peer_id
        assert TIME.fullmatch(answer["observed"])
        assert TIME.fullmatch(answer["received"])
        assert "synthetic" in answer["tags"]
        assert "float" not in kinds_in(plain)
        header, proofs = await peer.exchange(
            PRICES_QUERY, framed(msgpack.packb({"assets": ["ETH-USD"], "proofs": True}))
        )
        assert header == {"envelopes": 1, "more": None}
        (quotes,) = verify(proofs[0]).payload
        assert "ETH-USD" in {quote[0] for quote in quotes}


async def test_a_watch_tells_the_present_state_and_then_what_changes(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node, foreign_peer(node.addr) as peer:
        await peer.subscribe(PRICES)
        watching = await peer.watch({})
        assert (await watching.until("mode"))["mode"] in {"normal", "degraded", "emergency"}
        assert isinstance((await watching.until("connection_status"))["connected_peers"], int)
        assert isinstance((await watching.until("heartbeat"))["uptime_s"], int)
        raw = await peer.say_price("BTC-USD", 5, -1, now_ns=time.time_ns())
        provider = await watching.until("provider")
        assert (provider["provider_id"], provider["change"]) == (verify(raw).peer_id, "new")
        (answer,) = (await watching.until("price"))["prices"].values()
        assert answer["price"] == "0.5"


async def test_unknown_keys_of_a_request_are_ignored(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node, foreign_peer(node.addr) as peer:
        status = await peer.ask(STATUS_QUERY, {"keys": ["protocol"], "colour": "blue"})
        assert status["protocol"] == 1
        assert await peer.ask(PRICES_QUERY, {"colour": {"of": ["money", 1.5]}}) == {
            "prices": {},
            "more": None,
        }


@pytest.mark.parametrize("protocol", [STATUS_QUERY, PRICES_QUERY])
async def test_errors_say_what_is_wrong(tmp_path: Path, protocol: str) -> None:
    async with real_node(tmp_path) as node, foreign_peer(node.addr) as peer:
        for request, code in (
            (framed(msgpack.packb([])), "bad_request"),
            (framed(b"\xc1"), "bad_request"),
            (framed(bytes(5000))[:2], "too_large"),
        ):
            reply, _ = await peer.exchange(protocol, request)
            assert reply.keys() == {"error"}
            assert reply["error"]["code"] == code
            assert isinstance(reply["error"]["message"], str)
        assert not node.misbehaved


async def test_who_asks_too_often_is_told_so(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node, foreign_peer(node.addr) as peer:
        for _ in range(5):
            assert "error" not in await peer.ask(STATUS_QUERY, {"keys": ["time"]})
        refused = await peer.ask(STATUS_QUERY, {"keys": ["time"]})
        assert refused["error"]["code"] == "rate_limited"


def kinds_in(value: Any) -> set[str]:
    """The names of the types in a value, at any depth."""
    if isinstance(value, dict):
        return set().union(*map(kinds_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(kinds_in, value))
    return {type(value).__name__}
