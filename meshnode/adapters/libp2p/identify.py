"""A host that believes little of what peers say of themselves, and answers pings at a pace."""

from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.host.defaults import get_default_protocols
from libp2p.host.ping import ID as PING
from libp2p.host.ping import PING_LENGTH
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push.identify_push import ID_PUSH as IDENTIFY_PUSH
from libp2p.io.utils import read_exactly
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.utils.varint import read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr

from meshnode.adapters.libp2p.budget import TokenBucket
from meshnode.adapters.libp2p.conduct import Conduct
from meshnode.adapters.libp2p.negotiation import BoundedMultiselect, BoundedMultiselectClient
from protocols.limits import ADDR_BYTES_MAX, ADDRS_MAX

IDENTIFY_BYTES_MAX = 8 * 1024
IDENTIFY_TIMEOUT_S = 10.0
ADDRS_TTL_S = 7200
PROTOCOLS_MAX = 64
PROTOCOL_CHARS_MAX = 128

PINGS_PER_S, PINGS_BURST = 5.0, 20.0  # a stream; honest ones ping once in some seconds
PING_IDLE_S = 5.0


class MeshHost(BasicHost):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's host with bounded negotiation, identify and ping."""

    def __init__(self, swarm: Any, conduct: Conduct, **options: Any) -> None:
        super().__init__(swarm, **options)
        self.conduct = conduct
        self.multiselect = BoundedMultiselect(get_default_protocols(self))
        self.multiselect_client = BoundedMultiselectClient()
        # What a peer is, it says once; pushed again and again it is work without an end.
        self.multiselect.remove_handler(IDENTIFY_PUSH)
        self.set_stream_handler(PING, answer_pings)

    async def _identify_peer(self, peer_id: Any, *, reason: str) -> None:
        """Ask a peer what it is, and take a bounded answer.

        Every libp2p node answers; who opens a connection and then says nothing is disconnected.
        """
        del reason
        answered = False
        try:
            with trio.move_on_after(IDENTIFY_TIMEOUT_S):
                stream = await self.new_stream(peer_id, [IDENTIFY])
                try:
                    raw = await read_varint_prefixed_bytes_limited(stream, IDENTIFY_BYTES_MAX)
                    await stream.close()
                finally:
                    await stream.reset()
                self._note(peer_id, Identify.FromString(raw))
                answered = True
        except (BaseLibp2pError, ValueError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - the edge: a system task that raises ends trio
            self.conduct.misbehaved(peer_id, "identify", error)
        network = self.get_network()
        if not answered and network.get_connections(peer_id):
            self.conduct.refused["identify"] += 1
            await network.close_connections(peer_id)

    def _note(self, peer_id: Any, said: Any) -> None:
        told = said.listen_addrs[:ADDRS_MAX]
        addrs = [Multiaddr(raw) for raw in told if len(raw) <= ADDR_BYTES_MAX]
        protocols = [
            name for name in said.protocols[:PROTOCOLS_MAX] if len(name) <= PROTOCOL_CHARS_MAX
        ]
        self.peerstore.clear_addrs(peer_id)
        self.peerstore.add_addrs(peer_id, addrs, ADDRS_TTL_S)
        self.peerstore.set_protocols(peer_id, protocols)


async def answer_pings(stream: Any) -> None:
    """Send back what comes, 32 bytes at a time; the library does so as fast as it comes."""
    pace = TokenBucket(PINGS_PER_S, PINGS_BURST)
    try:
        while True:
            with trio.fail_after(PING_IDLE_S):
                await stream.write(await read_exactly(stream, PING_LENGTH))
            await trio.sleep(pace.spend(1, trio.current_time()))
    except StreamEOF:
        await stream.close()
