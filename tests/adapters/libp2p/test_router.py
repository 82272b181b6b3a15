"""What the router says to whom, apart from the network."""

from typing import Any

import pytest
from libp2p.pubsub.gossipsub import GossipSub

from meshnode.adapters.libp2p.router import MeshRouter
from meshnode.adapters.libp2p.settings import GOSSIP_WINDOW_HEARTBEATS

TOPIC = "prices"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[Any, dict[str, list[Any]]]:
    """Whom the library would tell of which messages at the next heartbeat."""
    telling: dict[Any, dict[str, list[Any]]] = {}
    monkeypatch.setattr(GossipSub, "gossip_heartbeat", lambda _router: telling)
    return telling


def test_a_peer_is_told_of_a_message_once(told: dict[Any, dict[str, list[Any]]]) -> None:
    router = MeshRouter()
    told["bob"] = {TOPIC: [b"1", b"2"]}
    assert router.gossip_heartbeat() == {"bob": {TOPIC: [b"1", b"2"]}}
    told["bob"] = {TOPIC: [b"1", b"2", b"3"]}
    told["carol"] = {TOPIC: [b"1"]}
    assert router.gossip_heartbeat() == {"bob": {TOPIC: [b"3"]}, "carol": {TOPIC: [b"1"]}}
    assert router.gossip_heartbeat() == {}


def test_what_was_told_is_remembered_as_long_as_it_may_be_told_again(
    told: dict[Any, dict[str, list[Any]]],
) -> None:
    router = MeshRouter()
    told["bob"] = {TOPIC: [b"1"]}
    router.gossip_heartbeat()
    for _ in range(GOSSIP_WINDOW_HEARTBEATS - 1):
        assert router.gossip_heartbeat() == {}
    del told["bob"]
    router.gossip_heartbeat()
    told["bob"] = {TOPIC: [b"1"]}
    assert router.gossip_heartbeat() == told
