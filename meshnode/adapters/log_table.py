"""How each fact is logged: its level, its event's name, and what the operator should do."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meshnode.core import facts
from meshnode.core.facts import Fact

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


@dataclass(frozen=True, slots=True)
class Row:
    """`subject` names the fields that make two warnings of an event the same warning."""

    level: int
    event: str
    advice: str | None = None
    subject: tuple[str, ...] = ()


ROWS: Mapping[type[Fact], Row] = MappingProxyType(
    {
        facts.NodeReady: Row(INFO, "ready"),
        facts.NodeLeaving: Row(INFO, "leaving"),
        facts.PeerJoined: Row(DEBUG, "peer_joined"),
        facts.PeerLost: Row(DEBUG, "peer_lost"),
        facts.DialFailed: Row(
            WARNING,
            "dial_failed",
            "check that the node runs, its address, and firewalls; it is tried again for ever",
            ("addr",),
        ),
        facts.WrongNetwork: Row(
            WARNING,
            "wrong_network",
            "nothing is heard of that seed: name one of our network, or set --network to its",
            ("peer_id",),
        ),
        facts.ProviderDiscovered: Row(INFO, "provider_discovered"),
        facts.ProviderReturned: Row(INFO, "provider_returned"),
        facts.ProviderLost: Row(
            WARNING,
            "provider_lost",
            "its prices grow old; look at that node unless it returns within a minute",
            ("provider_id",),
        ),
        facts.ProviderSuspected: Row(INFO, "provider_suspected"),
        facts.ProviderCleared: Row(INFO, "provider_cleared"),
        facts.ProviderUnreachable: Row(INFO, "provider_unreachable"),
        facts.ProviderFlapping: Row(
            WARNING,
            "provider_flapping",
            "it restarts or loses its network again and again; look at that node",
            ("provider_id",),
        ),
        facts.ProviderSkewed: Row(
            WARNING,
            "provider_skewed",
            "its clock is wrong, or ours: set it by NTP; its prices are refused until then",
            ("provider_id",),
        ),
        facts.IsolationStarted: Row(
            WARNING, "isolated", "no peer answers: check this machine's network and its seeds"
        ),
        facts.IsolationEnded: Row(INFO, "isolation_ended"),
        facts.ProcessPaused: Row(
            WARNING, "process_paused", "the machine slept or is overloaded; nobody is accused"
        ),
        facts.ClockDiffers: Row(
            WARNING, "clock_skew", "set this machine's clock by NTP; messages are judged corrected"
        ),
        facts.ClockAgrees: Row(INFO, "clock_agrees"),
        facts.OutageStarted: Row(
            WARNING, "outage_started", "no provider is left and prices grow old; start one"
        ),
        facts.OutageExtended: Row(
            WARNING, "outage_extended", "do not trade on these prices; bring a provider back"
        ),
        facts.OutageExplained: Row(INFO, "outage_explained"),
        facts.OutageEnded: Row(INFO, "outage_ended"),
        facts.SourceFailed: Row(
            WARNING, "source_failed", "ignore if it passes within a minute", ("source",)
        ),
        facts.SourceRecovered: Row(INFO, "source_recovered"),
        facts.SourceExhausted: Row(
            WARNING, "source_exhausted", "for a replay, add ?loop=true", ("source",)
        ),
        facts.ObservationRefused: Row(
            WARNING,
            "observation_refused",
            "compare with the source itself; nothing of it was published",
            ("source", "asset", "reason"),
        ),
        facts.StoreFailed: Row(
            WARNING,
            "store_failed",
            "check free space and permissions of the data directory; nothing is lost yet",
            ("store",),
        ),
        facts.StoreRecovered: Row(INFO, "store_recovered"),
        facts.StoreLeftBehind: Row(
            ERROR,
            "store_left_behind",
            "prices come back from peers, their history does not; check the disk",
            ("store",),
        ),
        facts.StoreRestored: Row(INFO, "store_restored"),
        facts.StoreSetAside: Row(
            ERROR,
            "store_set_aside",
            "check the disk; prices come back from peers, keep the file if you need its history",
            ("store",),
        ),
        facts.CaughtUp: Row(INFO, "caught_up"),
        # Debug: whoever only asks, as the commands do, cannot be asked.
        facts.CatchUpFailed: Row(DEBUG, "catch_up_failed"),
        facts.LanSearchFailed: Row(
            WARNING,
            "lan_search_failed",
            "leave --mdns out where there is no multicast, and name a node with --connect",
            ("error",),
        ),
        facts.PeerMisbehaved: Row(
            WARNING,
            "peer_misbehaved",
            "it was contained; block that peer if it goes on",
            ("peer_id", "where"),
        ),
        facts.Equivocation: Row(
            WARNING,
            "equivocation",
            "two processes may run with one key; otherwise do not trust this author",
            ("author", "topic"),
        ),
        facts.QueryAnswered: Row(DEBUG, "query_answered"),
    }
)

_LEFT = Row(INFO, "provider_left")
_DAMAGED = Row(
    WARNING, "store_damaged", "check the disk; damaged rows were left out and come back from peers"
)


def row_of(fact: Fact) -> Row:
    """The fact's row; a farewell is no loss, and damage found on disk is more than a start."""
    match fact:
        case facts.ProviderLost(cause="leaving"):
            return _LEFT
        case facts.StoreRestored(damaged=damaged) if damaged:
            return _DAMAGED
        case _:
            return ROWS[type(fact)]
