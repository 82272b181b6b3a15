"""Status: what this node says of itself, gathered from its parts when somebody asks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import trio

from meshnode.core.book import Book
from meshnode.core.evidence import Evidence
from meshnode.core.freshness import STALE_AFTER_S, data_freshness
from meshnode.core.lifecycle import LIVE
from meshnode.core.links import LinkRecord
from meshnode.core.modes import Mode, mode_of
from meshnode.core.own_clock import OwnClock
from meshnode.core.provider_table import ProviderRecord
from meshnode.core.skew import Refusals
from meshnode.ports import ConnectedPeer, Mesh, WallClock
from meshnode.services.persist import Persist
from meshnode.services.presence import Presence
from meshnode.services.topology import Topology
from protocols.ids import peer_id
from protocols.limits import ADDRS_MAX
from protocols.messages import Role
from protocols.status import (
    ConnectionStatus,
    DataFreshness,
    Outage,
    PeerStatus,
    ProviderStatus,
    StatusReply,
    StatusWarning,
)
from protocols.timestamps import rfc3339

PROTOCOL_VERSION = 1


class Status:
    """Reads the node's parts; holds nothing but how to reach them, and what it told of peers."""

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
        own_clock: OwnClock,
        skewed: Callable[[int], Mapping[bytes, Refusals]],
        refused: Callable[[], Mapping[str, int]],
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
        self._own_clock = own_clock
        self._skewed = skewed
        self._refused = refused
        self._started_at = trio.current_time()
        self._peers_told: dict[str, PeerStatus] = {}  # when somebody asked last

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
            provider_active=self._presence.providers.any_active,
            data_fresh=fresh,
            store_works=self._persist.works,
        )

    def warnings(self) -> tuple[StatusWarning, ...]:
        """The warnings in force."""
        return tuple(StatusWarning(code, message()) for code, message in self._warnings())

    def warning_codes(self) -> tuple[str, ...]:
        """Their codes alone, which is cheap: what is said of them is made up when it is read."""
        return tuple(code for code, _ in self._warnings())

    def _warnings(self) -> Iterator[tuple[str, Callable[[], str]]]:
        presence, now_ns = self._presence, self._wall_clock.now_ns()
        newest_ns, evidence = self._book.newest_ns, self._evidence()
        if not presence.providers.any_active:
            yield "NO_PROVIDERS", lambda: _nobody_provides(newest_ns)
        if presence.outage.is_extended:
            yield "EXTENDED_OFFLINE", lambda: f"Offline for {self._offline_minutes()} minutes"
        if presence.isolation.is_isolated:
            yield "ISOLATED", lambda: "No peer answers: this node may be cut off"
        if ahead_ns := self._own_clock.ahead_ns:
            yield "CLOCK_SKEW", lambda: _own_clock_is_off(ahead_ns)
        if skewed := self._skewed_ids(now_ns):
            yield (
                "CLOCK_SKEW",
                lambda: f"{_some(skewed)} is refused for its time: its clock is wrong",
            )
        if newest_ns is not None and now_ns - newest_ns >= STALE_AFTER_S * 10**9:
            yield "STALE_DATA", lambda: _newest_was_said(newest_ns, now_ns)
        if not self._persist.works:
            yield "STORE_UNAVAILABLE", self._nothing_is_written
        if evidence:
            yield "EQUIVOCATION", lambda: _two_under_one_name(evidence)
        if self._is_open:
            yield "OPEN_NETWORK", lambda: "No allowlist: anybody may publish prices here"

    def _skewed_ids(self, now_ns: int) -> list[str]:
        refused = self._skewed(self._own_clock.corrected_ns(now_ns)).items()
        lasting = {peer_id(key) for key, refusals in refused if refusals.is_lasting}
        return sorted(lasting | self._presence.providers.skewed())

    def _nothing_is_written(self) -> str:
        return f"Nothing is written to disk: {self._persist.link.last_error}"

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
        cause = self._presence.outage.cause.value
        return None if since_ns is None else Outage(rfc3339(since_ns), cause)

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

    def reply(self, keys: Iterable[str] | None = None, *, asker: str | None = None) -> StatusReply:
        """The status for a peer that asks: all of it, or what it asked for and is there."""
        wanted = _PARTS if keys is None else dict.fromkeys(key for key in keys if key in _PARTS)
        return StatusReply({key: _PARTS[key](self, asker) for key in wanted})

    def _known_providers(self, asker: str | None) -> tuple[ProviderStatus, ...]:
        records = self._presence.providers.records().values()
        return self._nearest_first(records, asker)

    def _active_providers(self, asker: str | None) -> tuple[ProviderStatus, ...]:
        providers = self._presence.providers
        if not providers.any_active:
            return ()
        records = providers.records().values()
        return self._nearest_first((one for one in records if one.state in LIVE), asker)

    def _nearest_first(
        self, records: Iterable[ProviderRecord], asker: str | None
    ) -> tuple[ProviderStatus, ...]:
        return tuple(sorted((self.provider(r, asker=asker) for r in records), key=_distance))

    def _peers(self) -> tuple[PeerStatus, ...]:
        before = self._peers_told
        self._peers_told = {
            one.peer_id: _peer(one, before.get(one.peer_id)) for one in self.connected()
        }
        return tuple(self._peers_told.values())

    def _data_freshness(self) -> DataFreshness:
        return data_freshness(self._book.newest_ns, self._wall_clock.now_ns())

    def _offline_minutes(self) -> int:
        return int(self._presence.outage.offline_s(trio.current_time()) // 60)

    def _offline_minutes_or_none(self) -> int | None:
        return None if self._presence.outage.since_ns is None else self._offline_minutes()


# What makes each value, given who asks: neighbours ask often, and for a few.
_PARTS: Final[Mapping[str, Callable[[Status, str | None], Any]]] = MappingProxyType(
    {
        "protocol": lambda _, __: PROTOCOL_VERSION,
        "network": lambda node, _: node._network,
        "node_id": lambda node, _: node._mesh.peer_id,
        "agent": lambda node, _: node._agent,
        "role": lambda node, _: node._role.name.lower(),
        "uptime_s": lambda node, _: node.uptime_s,
        "time": lambda node, _: rfc3339(node._wall_clock.now_ns()),
        "mode": lambda node, _: node.mode().value,
        "active_providers": Status._active_providers,
        "known_providers": Status._known_providers,
        "providers_seen": lambda node, _: dict(node._presence.providers.counts()),
        "connected_peers": lambda node, _: len(node.connected()),
        "total_network_size": lambda node, _: node._topology.size(),
        "peers": lambda node, _: node._peers(),
        "last_update_time": lambda node, _: _time(node._book.newest_ns),
        "data_freshness": lambda node, _: node._data_freshness(),
        "extended_offline": lambda node, _: node._presence.outage.is_extended,
        "offline_duration_minutes": lambda node, _: node._offline_minutes_or_none(),
        "outage": lambda node, _: node.outage(),
        "connections": lambda node, _: node.connections(),
        "warnings": lambda node, _: node.warnings(),
        "refused": lambda node, _: dict(node._refused()),
        "truncated": lambda _, __: (),
    }
)


def _peer(peer: ConnectedPeer, before: PeerStatus | None) -> PeerStatus:
    """What is told of a peer: what was told before, where it is the same."""
    addrs, rtt_ms = peer.addrs[:ADDRS_MAX], peer.rtt_ms
    if before is not None and before.rtt_ms == rtt_ms and before.addrs == addrs:
        return before
    return PeerStatus(peer.peer_id, addrs, rtt_ms)


def _nobody_provides(newest_ns: int | None) -> str:
    rest = "nothing is cached" if newest_ns is None else "serving cached data"
    return f"No live data sources - {rest}"


def _own_clock_is_off(ahead_ns: int) -> str:
    seconds, where = round(abs(ahead_ns) / 1e9), "ahead of" if ahead_ns > 0 else "behind"
    return f"This node's clock is {seconds} s {where} its peers': set it by NTP"


def _newest_was_said(newest_ns: int, now_ns: int) -> str:
    return f"The newest price was said {data_freshness(newest_ns, now_ns).text}"


def _two_under_one_name(evidence: Sequence[Evidence]) -> str:
    authors = [peer_id(found.name.author) for found in evidence]
    return f"{_some(authors)} signed two messages under one name"


def _some(ids: Sequence[str]) -> str:
    return f"{ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else ids[0]


def _distance(provider: ProviderStatus) -> tuple[bool, int, str]:
    hops = provider.hop_count
    return hops is None, hops or 0, provider.provider_id


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
