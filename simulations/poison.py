"""Addresses as mallory names them: such as nobody may dial, and such as nobody may dial often."""

import random
from collections.abc import Sequence

from nacl.signing import SigningKey

from protocols.ids import peer_id
from protocols.limits import ADDRS_MAX
from protocols.messages import Presence, PresenceUpdate, Role
from protocols.status import PeerStatus

# Where a node would knock at its own machine's doors or at its site's, ask whoever resolves names,
# reach many at once, or speak what it does not speak.
FORBIDDEN = (
    "/ip4/127.0.0.1/tcp/22",
    "/ip4/127.8.8.8/tcp/6379",
    "/ip4/0.0.0.0/tcp/80",
    "/ip4/169.254.169.254/tcp/80",
    "/ip4/224.0.0.251/tcp/5353",
    "/ip4/255.255.255.255/tcp/7",
    "/ip4/245.1.2.3/tcp/7",
    "/ip6/::1/tcp/6379",
    "/ip6/::/tcp/6379",
    "/ip6/::ffff:127.0.0.1/tcp/6379",
    "/ip6/fe80::1/tcp/80",
    "/ip6/ff02::1/tcp/80",
    "/ip6/64:ff9b::7f00:1/tcp/80",
    "/dns4/metadata.internal/tcp/80",
    "/dns/localhost/tcp/22",
    "/dnsaddr/bootstrap.example",
    "/ip4/10.0.0.9/udp/53",
    "/ip4/203.0.113.9/udp/443/quic-v1",
    "/ip4/203.0.113.9/tcp/443/ws",
    "/ip4/203.0.113.9/tcp/0",
    "/ip4/203.0.113.9/tcp/70000",
    "/unix/var/run/redis.sock",
)
# Who has nothing to do with the mesh, and would be flooded by it.
BYSTANDERS = (
    "/ip4/203.0.113.7/tcp/443",
    "/ip4/203.0.113.8/tcp/25",
    "/ip6/2001:db8::7/tcp/443",
)
PROVIDERS_PART = 0.1  # of the made-up nodes; whoever misses one of them dials it


class Poison:
    """Made-up nodes, and where they are said to be reached.

    `honest` are the addresses of nodes, which are named as those of others.
    """

    def __init__(self, rng: random.Random, honest: Sequence[str]) -> None:
        self._rng = rng
        self._honest = tuple(honest)

    def addrs(self, count: int) -> tuple[str, ...]:
        """So many, without `/p2p`: forbidden ones, bystanders and honest nodes' in any order."""
        among = (*FORBIDDEN, *BYSTANDERS * 3, *self._honest)
        return tuple(self._rng.choice(among) for _ in range(count))

    def nobody(self) -> SigningKey:
        """The key of a node that there is not."""
        return SigningKey(self._rng.randbytes(32))

    def presence(self) -> PresenceUpdate:
        """What such a node says of itself."""
        role = Role.PROVIDER if self._rng.random() < PROVIDERS_PART else Role.CONSUMER
        addrs = self.addrs(self._rng.randint(1, ADDRS_MAX))
        return PresenceUpdate(role, Presence.ACTIVE, 5_000, 60_000, addrs, "node/1", 0)

    def peer(self) -> PeerStatus:
        """Such a node, as a neighbour."""
        name = peer_id(bytes(self.nobody().verify_key))
        return PeerStatus(name, self.addrs(self._rng.randint(1, ADDRS_MAX)), 1)
