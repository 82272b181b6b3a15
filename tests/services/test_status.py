"""Bob says what he knows of himself and the network: every key, nil where he does not know."""

from typing import Any

import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.links import LinkRecord
from meshnode.services import ask
from protocols.ids import STATUS_PROTOCOL
from protocols.limits import (
    STATUS_REPLY_BYTES_MAX,
)
from protocols.messages import Role
from protocols.packing import pack
from protocols.timestamps import rfc3339
from simulations.clock import START_NS
from tests.cast import ALICE, id_of, presence, said
from tests.services.bench import DELAY_S, Bench, asking, client, map_in, open_bench

STATUS_TYPES: dict[str, type | tuple[type, ...]] = {
    "protocol": int,
    "network": str,
    "node_id": str,
    "agent": str,
    "role": str,
    "uptime_s": int,
    "time": str,
    "mode": str,
    "active_providers": tuple,
    "known_providers": tuple,
    "providers_seen": dict,
    "connected_peers": int,
    "total_network_size": int,
    "peers": tuple,
    "last_update_time": (str, type(None)),
    "data_freshness": dict,
    "extended_offline": bool,
    "offline_duration_minutes": (int, type(None)),
    "outage": (dict, type(None)),
    "connections": tuple,
    "warnings": tuple,
    "refused": dict,
    "truncated": tuple,
}


async def status_map(bench: Bench, request: dict[str, Any]) -> dict[str, Any]:
    """A status as it is on the wire."""
    async with asking(bench, STATUS_PROTOCOL) as (_, frames):
        await frames.send(pack(request))
        return map_in(await frames.receive())


async def test_a_status_has_every_key_and_nil_where_nothing_is_known(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        await trio.sleep(90)
        status = await status_map(bob, {})
    assert status.keys() == STATUS_TYPES.keys()
    for key, kind in STATUS_TYPES.items():
        assert isinstance(status[key], kind), key
    assert status["protocol"] == 1
    assert status["node_id"] == bob.mesh.peer_id
    assert (status["role"], status["network"], status["agent"]) == (
        "consumer",
        "main",
        "meshnode/0",
    )
    assert status["uptime_s"] == 90
    assert status["mode"] == "emergency"
    warnings = {warning["code"]: warning["message"] for warning in status["warnings"]}
    assert warnings["NO_PROVIDERS"] == "No live data sources - nothing is cached"
    assert status["active_providers"] == status["known_providers"] == ()
    assert status["connected_peers"] == 0  # who asks is no node
    assert status["total_network_size"] == 1
    assert status["last_update_time"] is None
    assert status["data_freshness"] == {"state": "none", "age_s": None, "text": "no data yet"}
    assert status["extended_offline"] is False
    assert status["offline_duration_minutes"] == 1
    assert status["outage"] == {"since": rfc3339(START_NS), "cause": "unknown"}
    assert {warning["code"] for warning in status["warnings"]} == {"NO_PROVIDERS", "OPEN_NETWORK"}


async def test_a_status_tells_of_providers_peers_and_connections(
    autojump_clock: MockClock,
) -> None:
    carols_key = SigningKey((7).to_bytes(32, "big"))
    async with open_bench() as bob, client(bob, 7) as (carol, _):
        bob.links.append(LinkRecord("peer", carol.peer_id))
        await trio.sleep(1)
        bob.hears(said(issued_ns=START_NS + 10**9))
        bob.hears(said(payload=presence(Role.CONSUMER, interval_s=60), by=carols_key))
        await trio.sleep(6)
        status = await status_map(bob, {})
    (provider,) = status["active_providers"]
    assert provider == {
        "provider_id": id_of(ALICE),
        "state": "active",
        "last_seen": rfc3339(START_NS + 10**9),
        "hop_count": None,
        "assets": 1,
    }
    assert status["known_providers"] == status["active_providers"]
    assert status["last_update_time"] == rfc3339(START_NS + 10**9)
    assert status["data_freshness"]["state"] == "just_now"
    assert status["outage"] is status["offline_duration_minutes"] is None
    assert status["mode"] == "normal"
    assert status["total_network_size"] == 3
    assert [peer["node_id"] for peer in status["peers"]] == [carol.peer_id]
    assert status["peers"][0].keys() == {"node_id", "addrs", "rtt_ms"}
    assert [link["kind"] for link in status["connections"]] == ["peer", "store"]
    assert status["connections"][0].keys() == {
        "kind",
        "name",
        "state",
        "reconnect_attempts",
        "last_error",
        "last_success",
        "uptime_percent",
        "reconnects",
        "reconnect_last_s",
        "reconnect_median_s",
    }
    assert [warning["code"] for warning in status["warnings"]] == ["OPEN_NETWORK"]


async def test_of_a_peer_is_told_what_has_changed_since_somebody_asked(
    autojump_clock: MockClock,
) -> None:
    async def peers(bench: Bench) -> dict[str, dict[str, Any]]:
        told = (await status_map(bench, {"keys": ["peers"]}))["peers"]
        return {peer["node_id"]: peer for peer in told}

    async with open_bench() as bob, client(bob, 7) as (carol, _), client(bob, 8) as (dave, _):
        for number in (7, 8):
            author = SigningKey(number.to_bytes(32, "big"))
            bob.hears(said(payload=presence(Role.CONSUMER, interval_s=60), by=author))
        before = await peers(bob)
        assert before[carol.peer_id] == {"node_id": carol.peer_id, "addrs": (), "rtt_ms": None}
        bob.mesh.ping(carol.peer_id, lambda _: None)
        await dave.listen()
        await trio.sleep(1)
        after = await peers(bob)
        assert after[carol.peer_id] == {**before[carol.peer_id], "rtt_ms": round(2000 * DELAY_S)}
        (addr,) = dave.addrs()
        place = addr.removesuffix(f"/p2p/{dave.peer_id}")
        assert after[dave.peer_id] == {**before[dave.peer_id], "addrs": (place,)}
        await bob.mesh.disconnect(carol.peer_id)
        assert (await peers(bob)).keys() == {dave.peer_id}


async def test_some_keys_are_told_if_only_they_are_asked_for(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        status = await status_map(bob, {"keys": ["mode", "no_such_key"], "unknown": 1})
    assert status == {"mode": "emergency"}


async def test_a_status_of_a_thousand_providers_fits_and_says_what_it_cut(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        for number in range(1000):
            author = number.to_bytes(32, "big")
            bob.presence.heard(author, presence(), START_NS)
        status = await ask.status(mesh, peer)
        assert len(status.to_bytes()) <= STATUS_REPLY_BYTES_MAX
        assert set(status["truncated"]) == {"active_providers", "known_providers"}
        assert status["total_network_size"] == 1001
