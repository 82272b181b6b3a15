"""A peer that speaks the library's protocols, but writes to meshsub whatever it likes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from libp2p.custom_types import TProtocol
from libp2p.pubsub.pb import rpc_pb2
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr
from nacl.signing import SigningKey

from meshnode.adapters.libp2p.settings import MeshSettings
from meshnode.adapters.libp2p.signature import SIGNING_PREFIX
from meshnode.adapters.libp2p.swarm import build_host
from meshnode.ports import Mesh
from protocols.ids import Topic, peer_id_bytes
from tests.adapters.libp2p.world import Facts, seed_of

PRICES = Topic.PRICES.on("main")


def varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*digits, number))


def framed(rpc: Any) -> bytes:
    raw = rpc if isinstance(rpc, bytes) else rpc.SerializeToString()
    return varint(len(raw)) + raw


def message(author: str = "mallory", data: bytes = b"x", number: int = 1, **fields: Any) -> Any:
    """A gossip message under its author's signature; `fields` are altered before it is signed."""
    key = SigningKey(seed_of(author))
    unsigned = {
        "data": data,
        "topicIDs": [PRICES],
        "from_id": peer_id_bytes(bytes(key.verify_key)),
        "seqno": number.to_bytes(8, "big"),
    }
    made = rpc_pb2.Message(**(unsigned | fields))
    made.signature = key.sign(SIGNING_PREFIX + made.SerializeToString()).signature
    return made


def altered(made: Any, **fields: Any) -> Any:
    """The message with fields altered after it was signed."""
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class Attacker:
    """A connection with a victim and one open meshsub stream."""

    def __init__(self, host: Any, stream: Any) -> None:
        self.host = host
        self._stream = stream

    async def write(self, raw: bytes) -> None:
        await self._stream.write(raw)

    async def gossip(self, *messages: Any) -> None:
        await self.write(framed(rpc_pb2.RPC(publish=messages)))


@asynccontextmanager
async def attacking(
    victim: Mesh, name: str = "mallory", hear: Callable[[Any], Awaitable[None]] | None = None
) -> AsyncIterator[Attacker]:
    """`hear` is given the victim's own meshsub stream; without it the victim opens none."""
    host = build_host(MeshSettings(listen=()), seed_of(name), Facts())
    if hear is not None:
        host.set_stream_handler(TProtocol("/meshsub/1.1.0"), hear)
    async with background_trio_service(host.get_network()):
        addr, _, peer = victim.addrs()[0].partition("/p2p/")
        peer_id = type(host.get_id()).from_string(peer)
        await host.get_network().dial_addr(Multiaddr(addr), peer_id)
        stream = await host.new_stream(peer_id, [TProtocol("/meshsub/1.1.0")])
        yield Attacker(host, stream)
        await host.close()
