"""Every setting of the library that we decide, with its reason beside it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Any

from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection import swarm_connection

from meshnode.adapters.libp2p.signature import IsSigned, is_signed
from protocols.ids import DEFAULT_NETWORK

# --- connections ----------------------------------------------------------------------------

DIAL_TIMEOUT_S = 5.0
HANDSHAKE_TIMEOUT_S = 5.0  # half-open connections hold a place no longer
STREAM_TIMEOUT_S = 5.0  # opening a stream, its protocol negotiated
NEGOTIATION_IN_S = 3.0  # a peer's stream: with the exchange and the lingering, under ten seconds
NEGOTIATION_OUT_S = 10.0  # streams of the library's own, on which nobody waits
LINGER_S = 1.0  # how long an answered stream waits for its peer to close, before it is reset
FAREWELL_S = 1.0  # for peers to read our last messages
CLOSE_CONNECTION_S = 1.0  # saying goodbye; after that the socket is closed under the peer
CLOSE_S = 3.0  # leaving altogether, hung peers or not

CONNECTIONS_PER_PEER_MAX = 3  # a restart and a simultaneous dial leave two for a while
UNPROVEN_GRACE_S = 5.0  # when all places are taken, who brought nothing for so long makes room
INBOUND_STREAMS_PER_PEER_MAX = 32  # every protocol together, negotiation included; more are reset
GOSSIP_STREAMS_PER_PEER_MAX = 3  # inbound; one a connection
CONNECTION_EVENTS_MAX = 1024  # one a peer, its latest state; the oldest goes, and is counted

# --- gossip ---------------------------------------------------------------------------------

MESHSUB_PROTOCOLS = (
    TProtocol("/meshsub/1.2.0"),
    TProtocol("/meshsub/1.1.0"),
    TProtocol("/meshsub/1.0.0"),
)

HEARTBEAT_S = 1  # the library's 120 s leaves a node without neighbours for two minutes
GOSSIP_WINDOW_HEARTBEATS = 3  # of how old messages peers outside the mesh are told
DEGREE, DEGREE_LOW, DEGREE_HIGH = 4, 3, 8
PRUNE_BACK_OFF_S = 5  # with 60 s, a node whose neighbours all pruned it hears nothing for a minute
UNSUBSCRIBE_BACK_OFF_S = 1
IDONTWANT_BYTES_MIN = 1024  # below, the announcement costs more than the duplicate it saves
IDONTWANT_MAX = 1000  # ids a peer and heartbeat; the library's 10 forgets most of them

OUTBOUND_RPCS_PER_PEER_MAX = 1024  # the newest is dropped and counted; ours wait for room first
OUTBOUND_BYTES_PER_PEER_MAX = 8 * 1024 * 1024  # messages are shared among the queues
HOLD_BACK_S = 1.0  # how long a peer that does not read may hold our own messages up, once
INTAKE_WAIT_S = 1.0  # how long a reader waits for room in the intake before it refuses as busy
INBOUND_MAX = 4096  # accepted messages waiting for `receive`; then new ones are refused as busy
SEEN_MAX = 65_536
SEEN_TTL_S = 120.0

RPC_BYTES_MAX = 1024 * 1024
RPC_DEADLINE_S = 10.0  # from a frame's first byte to its last
MESSAGES_PER_RPC_MAX = 1000
SUBSCRIPTIONS_PER_RPC_MAX = 16
MESSAGE_IDS_PER_RPC_MAX = 2000
CONTROLS_PER_RPC_MAX = 64  # GRAFT and PRUNE each

SERVED_PER_RPC_MAX = 500  # well below what any peer refuses
SERVED_RPC_BYTES_MAX = 512 * 1024
SENDER_RECORD_BYTES_MAX = 8 * 1024  # a signed list of addresses


@dataclass(frozen=True)
class MeshSettings:
    """What differs from node to node.

    `listen` and `announce` are multiaddrs without `/p2p`; where `announce` is given, it is told to
    peers instead of the addresses listened on. `transports` replaces TCP by others of the library's
    ITransport (a simulator's). `first_seqno` gives the number before that of our first gossip
    message; it must never go back, or peers take us for a replay. `is_signed` is another only where
    many nodes of one process would each find out the same (a simulator's).
    """

    network: str = DEFAULT_NETWORK
    listen: tuple[str, ...] = ("/ip4/127.0.0.1/tcp/0",)
    announce: tuple[str, ...] = ()
    peers_max: int = 50
    inbound_max: int = INBOUND_MAX
    gossip: bool = True
    transports: Sequence[Any] | None = None
    first_seqno: Callable[[], int] = time_ns
    is_signed: IsSigned = is_signed


def connection_config(settings: MeshSettings) -> ConnectionConfig:
    """Limits on connections; the library's own watermarks and health checks are left unused."""
    return ConnectionConfig(
        # Ours to keep (`MeshSwarm`), which knows whom to displace; this only catches a mistake.
        max_connections=2 * settings.peers_max,
        max_connections_per_peer=CONNECTIONS_PER_PEER_MAX,
        # None is reserved, none is dialled to fill up: we dial what we were told to.
        min_connections=0,
        low_watermark=0,
        high_watermark=2 * settings.peers_max,
        dial_timeout=DIAL_TIMEOUT_S,
        inbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
        outbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
        outbound_stream_protocol_negotiation_timeout=NEGOTIATION_OUT_S,
        inbound_stream_protocol_negotiation_timeout=NEGOTIATION_IN_S,
    )


def retry_config() -> RetryConfig:
    """No retries here: whoever dials has its own back-off."""
    return RetryConfig(max_retries=0)


def router_options() -> dict[str, Any]:
    """The arguments of GossipSub."""
    return {
        "protocols": MESHSUB_PROTOCOLS,
        "degree": DEGREE,
        "degree_low": DEGREE_LOW,
        "degree_high": DEGREE_HIGH,
        "heartbeat_interval": HEARTBEAT_S,
        "gossip_window": GOSSIP_WINDOW_HEARTBEATS,
        "prune_back_off": PRUNE_BACK_OFF_S,
        "unsubscribe_back_off": UNSUBSCRIBE_BACK_OFF_S,
        "max_idontwant_messages": IDONTWANT_MAX,
        "adaptive_gossip_enabled": False,  # would stretch the heartbeat again
        "spam_protection_enabled": False,  # silently unrelayed beyond 10 messages a second
        "eclipse_protection_enabled": False,  # by IP address: meaningless on one machine or site
        # Scoring stays off: blame is per peer, not per topic and mesh, and leads to a ban.
    }


def route_logging() -> None:
    """Let everything the library logs go through the logger `libp2p`, and nowhere by itself.

    It leaves that logger without a handler, so that warnings would go to stderr, and one module
    calls the root logger, which would configure logging for the whole process.
    """
    logger = logging.getLogger("libp2p")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    swarm_connection.logging = logging.getLogger("libp2p.network.swarm_connection")
