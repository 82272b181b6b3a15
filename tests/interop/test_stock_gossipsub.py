"""A peer with py-libp2p's own Pubsub and GossipSub: what we override must not show on the wire."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr
from nacl.signing import SigningKey

from tests.interop.foreign_peer import PRICES, ForeignPeer, foreign_peer
from tests.interop.real_node import real_node
from tests.interop.spec_verifier import Opened, sealed, verify

PATIENCE_S = 10.0


class StockPeer:
    """A subscriber and publisher of the prices topic."""

    def __init__(self, key: SigningKey, pubsub: Any, subscription: Any) -> None:
        self.key = key
        self._pubsub = pubsub
        self._subscription = subscription

    async def next_data(self) -> bytes:
        """The next message, whatever is in it."""
        return bytes((await self._subscription.get()).data)

    async def next_heard(self, author: str) -> Opened:
        """The next update of an author, by node id, as the library delivered it."""
        with trio.fail_after(PATIENCE_S):
            while True:
                message = await self._subscription.get()
                opened = verify(message.data, topic="prices", sender=message.from_id[6:])
                if opened.peer_id == author:
                    return opened

    async def say_price(self, asset: str, mantissa: int) -> bytes:
        """Publish a price; returns its envelope."""
        now_ns = time.time_ns()
        quote = [asset, mantissa, 0, now_ns, 0, 1, None]
        raw = sealed(self.key, 1, [[quote]], epoch=now_ns // 10**9, seq=1, issued_ns=now_ns)
        await self._pubsub.publish(PRICES, raw)
        return raw


@asynccontextmanager
async def stock_peer(addr: str, meshsub: str) -> AsyncIterator[StockPeer]:
    """The library as it is, connected to the node at `addr`; strict signing is its default."""
    key = SigningKey.generate()
    host = new_host(key_pair=create_new_key_pair(bytes(key)))
    router = GossipSub(
        protocols=[TProtocol(meshsub)],
        degree=4,
        degree_low=3,
        degree_high=8,
        heartbeat_interval=1,  # else it meshes after two minutes
    )
    pubsub = Pubsub(host, router)
    async with host.run(listen_addrs=[]):
        async with background_trio_service(pubsub), background_trio_service(router):
            await pubsub.wait_until_ready()
            subscription = await pubsub.subscribe(PRICES)
            target = info_from_p2p_addr(Multiaddr(addr))
            await host.connect(target)
            with trio.fail_after(PATIENCE_S):
                await pubsub.wait_for_subscription(target.peer_id, PRICES)
            yield StockPeer(key, pubsub, subscription)
            await host.close()
        pubsub.seen_messages.stop()


async def wait_served(peer: ForeignPeer, asset: str) -> dict[str, Any]:
    """The node's answer on an asset as soon as it has one."""
    watching = await peer.watch({"assets": [asset], "events": ["price"]})
    found: dict[str, Any] = (await watching.until("price"))["prices"][asset]
    return found


@pytest.mark.parametrize("meshsub", ["/meshsub/1.0.0", "/meshsub/1.1.0", "/meshsub/1.2.0"])
async def test_messages_pass_both_ways(tmp_path: Path, meshsub: str) -> None:
    source = "walk:BTC-USD?interval_s=0.1"
    async with (
        real_node(tmp_path, source) as node,
        stock_peer(node.addr, meshsub) as alice,
        foreign_peer(node.addr) as asker,
    ):
        heard = [(await alice.next_heard(node.ready.peer_id)).seq for _ in range(5)]
        assert len(set(heard)) == 5
        raw = await alice.say_price("GOLD/OZ", 4013)
        answer = await wait_served(asker, "GOLD/OZ")
        assert (answer["price"], answer["provider_id"]) == ("4013", verify(raw).peer_id)
        assert not node.misbehaved


async def test_two_of_them_hear_each_other_through_the_node(tmp_path: Path) -> None:
    async with (
        real_node(tmp_path) as node,
        stock_peer(node.addr, "/meshsub/1.1.0") as alice,
        stock_peer(node.addr, "/meshsub/1.2.0") as bob,
    ):
        said = verify(await alice.say_price("BTC-USD", 7))
        assert await bob.next_heard(said.peer_id) == said
        assert not node.misbehaved
