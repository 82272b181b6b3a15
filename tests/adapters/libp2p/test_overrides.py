"""What of the library we override, or rely on while we do, is what it was when we looked.

A newer release is read for what it changed; then its version and the digests go in here. Where one
differs, its message names what is to be read again.
"""

from hashlib import sha256
from importlib.metadata import version
from inspect import getsource

import pytest
from libp2p.network.swarm import Swarm
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.noise.patterns import PatternXX
from libp2p.security.noise.transport import Transport
from libp2p.security.secure_session import SecureSession
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream
from libp2p.transport.tcp.tcp import TCP, TCPListener, _open_reuseport_listeners
from libp2p.transport.upgrader import TransportUpgrader
from noise.state import CipherState  # type: ignore[import-untyped]

LIBP2P = "0.8.1"


def digest(thing: object) -> str:
    """Sixteen hexadecimal digits of a function's or a class's source."""
    return sha256(getsource(thing).encode()).hexdigest()[:16]  # type: ignore[arg-type]


READ = {
    Pubsub.stream_handler: "4be06aba2f448b7b",
    Pubsub.continuously_read_stream: "ac0c4ad87ca39288",
    Pubsub.push_msg: "1531483ab4d77674",
    Pubsub.handle_sending_messages: "4eb0b978f9c4b142",
    Pubsub._handle_new_peer: "305ba4224e6151d7",
    Pubsub._handle_dead_peer: "10026d998d3016b4",
    Pubsub._schedule_peer_stream_retry: "0378fb84f4ed5fee",
    GossipSub.publish: "b978282af46297f7",
    GossipSub._get_peers_to_send: "1d2d334126ca87ec",
    GossipSub.emit_control_message: "557180d0b48c03db",
    GossipSub._emit_idontwant_for_message: "54753ff6cf35dec6",
    GossipSub.send_rpc: "9829bb1473a299fb",
    GossipSub.send_recent_messages: "10e4dc4bd29ec41b",
    GossipSub.handle_iwant: "cae61a447ac52c39",
    GossipSub.remove_peer: "bc0ead5b37c88dc3",
    GossipSub._handle_dropped_rpc: "c81733f1db845ea1",
    RpcQueue: "f816055e5c2b6a3c",
    Transport.secure_inbound: "4c447c4ea56267b1",
    Transport.secure_outbound: "f5be8851b898cbf1",
    PatternXX.handshake_inbound: "d2f509f2c5b65643",
    PatternXX.handshake_outbound: "8d2a997bd6b0bbd6",
    NoiseTransportReadWriter: "a84247055c8da4c3",
    SecureSession: "5018e81e51e42054",
    CipherState: "ca1690cd1c262a3d",
    MuxerMultistream.new_conn: "91d21f40f524ad99",
    TransportUpgrader: "f7946861dc3853a0",
    Yamux: "d9c5df91fb12e38c",
    YamuxStream: "32c614b1710e4a98",
    Swarm.dial_peer: "da3b538ccaeaeaa6",
    Swarm.add_conn: "d469d71b3ed1f4df",
    Swarm._handle_inbound_connection: "0800fdf9770ed8e6",
    Swarm._notify: "36afe611751a4cb8",
    Swarm.get_connections_map: "2611827b1c229a0a",
    GossipSub.heartbeat: "5e68bdb5a65be44f",
    GossipSub.gossip_heartbeat: "ee20b04ca5bda2c1",
    Pubsub.handle_subscription: "c200deee0f0a965c",
    Pubsub._replay_recent_messages: "7354a121f0a1013c",
    Pubsub._forget_subscription: "afe64c179aa06062",
    GossipSub.on_peer_subscribed: "20379c0803d1b02f",
    TCPListener: "2f240727d790157e",
    TCP.create_listener: "1101353a953a166c",
    _open_reuseport_listeners: "81455b078b462e60",
}


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("libp2p") == LIBP2P


@pytest.mark.parametrize("thing", READ, ids=lambda thing: thing.__qualname__)
def test_what_we_override_is_what_it_was(thing: object) -> None:
    assert digest(thing) == READ[thing], f"read {thing} again: does our override still fit?"
