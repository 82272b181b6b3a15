"""Status: what this node says of itself, gathered from its parts when somebody asks."""

from collections.abc import Callable, Iterable, Sequence

import trio

from meshnode.core.book import Book
from meshnode.core.evidence import Evidence
from meshnode.core.freshness import STALE_AFTER_S, data_freshness
from meshnode.core.links import LinkRecord
from meshnode.core.modes import Mode, mode_of
from meshnode.core.providers import ProviderRecord, ProviderState
from meshnode.ports import ConnectedPeer, Mesh, WallClock
from meshnode.services.persist import Persist
from meshnode.services.presence import Presence
from meshnode.services.topology import Topology
from protocols.ids import peer_id
from protocols.limits import ADDRS_MAX
from protocols.messages import Role
from protocols.status import (
    ConnectionStatus,
    Outage,
    PeerStatus,
    ProviderStatus,
    StatusReply,
    StatusWarning,
)
from protocols.timestamps import rfc3339

PROTOCOL_VERSION = 1


class Status:
    """Reads the node's parts; holds nothing but how to reach them."""

    def __init__(
        self,
        mesh: Mesh,
        book: Book,
        presence: Presence,
        persist: Persist,
        topology: Topology,
        wall_clock: WallClock,
        *,
        network: str,
        agent: str,
        role: Role,
        is_open: bool,
        links: Callable[[], Iterable[LinkRecord]],
        is_node: Callable[[str], bool],
        evidence: Callable[[], Sequence[Evidence]],
    ) -> None:
        self._mesh = mesh
        self._book = book
        self._presence = presence
        self._persist = persist
        self._topology = topology
        self._wall_clock = wall_clock
        self._network = network
        self._agent = agent
        self._role = role
        self._is_open = is_open
        self._links = links
        self._is_node = is_node
        self._evidence = evidence
        self._started_at = trio.current_time()

    @property
    def uptime_s(self) -> int:
        """Whole seconds since the node started."""
        return int(trio.current_time() - self._started_at)

    def mode(self) -> Mode:
        """The node's mode now."""
        newest_ns = self._book.newest_ns
        now_ns = self._wall_clock.now_ns()
        fresh = newest_ns is not None and now_ns - newest_ns < STALE_AFTER_S * 10**9
        return mode_of(
            provider_active=bool(self._presence.providers.active()),
            data_fresh=fresh,
            store_works=self._persist.works,
        )

    def warnings(self) -> tuple[StatusWarning, ...]:
        """The warnings in force."""
        found = []
        if not self._presence.providers.active():
            found.append(
                StatusWarning("NO_PROVIDERS", "No live data sources - serving cached data")
            )
        if self._presence.outage.is_extended:
            minutes = self._offline_minutes()
            found.append(StatusWarning("EXTENDED_OFFLINE", f"Offline for {minutes} minutes"))
        newest_ns = self._book.newest_ns
        now_ns = self._wall_clock.now_ns()
        if newest_ns is not None and now_ns - newest_ns >= STALE_AFTER_S * 10**9:
            age = data_freshness(newest_ns, now_ns).text
            found.append(StatusWarning("STALE_DATA", f"The newest price was said {age}"))
        if not self._persist.works:
            found.append(
                StatusWarning(
                    "STORE_UNAVAILABLE",
                    f"Nothing is written to disk: {self._persist.link.last_error}",
                )
            )
        if evidence := self._evidence():
            first = peer_id(evidence[0].name.author)
            others = f" and {len(evidence) - 1} more" if len(evidence) > 1 else ""
            found.append(
                StatusWarning("EQUIVOCATION", f"{first}{others} signed two messages under one name")
            )
        if self._is_open:
            found.append(
                StatusWarning("OPEN_NETWORK", "No allowlist: anybody may publish prices here")
            )
        return tuple(found)

    def connected(self) -> tuple[ConnectedPeer, ...]:
        """The nodes connected, without those who only ask."""
        return tuple(peer for peer in self._mesh.peers() if self._is_node(peer.peer_id))

    def connections(self) -> tuple[ConnectionStatus, ...]:
        """The state of every peer, upstream and store we have to do with."""
        now_ns = self._wall_clock.now_ns()
        return tuple(
            ConnectionStatus(
                kind=link.kind,
                name=link.name,
                state=link.state.value,
                reconnect_attempts=link.attempts,
                last_error=link.last_error,
                last_success=_time(link.last_success_ns),
                uptime_percent=link.uptime_percent(now_ns),
                reconnects=link.reconnects,
                reconnect_last_s=link.reconnect_last_s,
                reconnect_median_s=link.reconnect_median_s,
            )
            for link in self._links()
        )

    def outage(self) -> Outage | None:
        """Since when there is no provider, or None while one is there."""
        since_ns = self._presence.outage.since_ns
        return None if since_ns is None else Outage(rfc3339(since_ns), "unknown")

    def provider(self, record: ProviderRecord, *, asker: str | None = None) -> ProviderStatus:
        """One provider as we see it, its distance on ways that don't lead through the asker."""
        said = record.assets_said
        return ProviderStatus(
            provider_id=record.peer_id,
            state=record.state.value,
            last_seen=rfc3339(record.last_seen_ns),
            hop_count=self._topology.hops(record.peer_id, asker=asker),
            assets=said if said is not None else self._book.assets_of(record.key),
        )

    def reply(self, *, asker: str | None = None) -> StatusReply:
        """The whole status, for a peer that asks."""
        now_ns = self._wall_clock.now_ns()
        records = self._presence.providers.records().values()
        known = sorted((self.provider(r, asker=asker) for r in records), key=_nearest_first)
        connected = self.connected()
        is_out = self._presence.outage.since_ns is not None
        return StatusReply(
            {
                "protocol": PROTOCOL_VERSION,
                "network": self._network,
                "node_id": self._mesh.peer_id,
                "agent": self._agent,
                "role": self._role.name.lower(),
                "uptime_s": self.uptime_s,
                "time": rfc3339(now_ns),
                "mode": self.mode().value,
                "active_providers": tuple(
                    p for p in known if p.state == ProviderState.ACTIVE.value
                ),
                "known_providers": tuple(known),
                "connected_peers": len(connected),
                "total_network_size": self._topology.size(),
                "peers": tuple(
                    PeerStatus(p.peer_id, p.addrs[:ADDRS_MAX], p.rtt_ms) for p in connected
                ),
                "last_update_time": _time(self._book.newest_ns),
                "data_freshness": data_freshness(self._book.newest_ns, now_ns),
                "extended_offline": self._presence.outage.is_extended,
                "offline_duration_minutes": self._offline_minutes() if is_out else None,
                "outage": self.outage(),
                "connections": self.connections(),
                "warnings": self.warnings(),
                "refused": dict(self._mesh.refused()),
                "truncated": (),
            }
        )

    def _offline_minutes(self) -> int:
        return int(self._presence.outage.offline_s(trio.current_time()) // 60)


def _nearest_first(provider: ProviderStatus) -> tuple[bool, int, str]:
    hops = provider.hop_count
    return hops is None, hops or 0, provider.provider_id


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
