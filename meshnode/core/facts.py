"""What happened, as typed facts; logs, metrics and watchers hang on them.

Durations are seconds, peers are peer ids in text, errors are one line of text.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class NodeReady:
    """The node listens, serves and gossips."""

    peer_id: str
    addrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeLeaving:
    """The node was asked to stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A connection to a peer opened."""

    peer_id: str


@dataclass(frozen=True, slots=True)
class PeerLost:
    """The last connection to a peer closed."""

    peer_id: str


@dataclass(frozen=True, slots=True)
class DialFailed:
    """A seed address could not be reached; it is tried again after `retry_in_s`."""

    addr: str
    error: str
    attempt: int
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class WrongNetwork:
    """A seed says that it is of another network: neither hears the other. Once a run."""

    peer_id: str
    theirs: str | None
    ours: str


@dataclass(frozen=True, slots=True)
class ProviderDiscovered:
    """A provider never seen before, or long forgotten, was heard."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class ProviderReturned:
    """A known provider is heard again."""

    provider_id: str
    gone_s: float


@dataclass(frozen=True, slots=True)
class ProviderSuspected:
    """A provider may be gone: `cause` is `connection` or `silence`; others are asked."""

    provider_id: str
    cause: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class ProviderCleared:
    """A provider that was suspect or skewed is active again; it was never gone."""

    provider_id: str
    was: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class ProviderLost:
    """A provider is gone: `cause` is `connection`, `silence`, `leaving` or `flapping`."""

    provider_id: str
    cause: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class ProviderUnreachable:
    """A provider is not heard, but then nobody is: it is not said to be gone."""

    provider_id: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class ProviderFlapping:
    """A provider comes and goes; it does not count before it has been held for `held_s`."""

    provider_id: str
    held_s: float


@dataclass(frozen=True, slots=True)
class ProviderSkewed:
    """A provider speaks, and is refused for its time: its clock is wrong, or ours."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class IsolationStarted:
    """No peer answers: this node is cut off, and says of nobody that it is gone."""

    silent_s: float


@dataclass(frozen=True, slots=True)
class IsolationEnded:
    """A peer answers again."""

    lasted_s: float


@dataclass(frozen=True, slots=True)
class ProcessPaused:
    """Our process did not run for so long; it accuses nobody of what it could not hear."""

    late_s: float


@dataclass(frozen=True, slots=True)
class ClockDiffers:
    """Our clock is so much ahead (or, below zero, behind) of the peers' that agree."""

    ahead_s: float
    peers: int


@dataclass(frozen=True, slots=True)
class ClockAgrees:
    """Our clock is right again, as far as our peers can tell."""

    peers: int


@dataclass(frozen=True, slots=True)
class OutageStarted:
    """The last provider is gone; `cause` as in a status."""

    since_ns: int
    cause: str = "unknown"


@dataclass(frozen=True, slots=True)
class OutageExplained:
    """The cause of an outage is another than it seemed."""

    since_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class OutageExtended:
    """There has been no provider for ten minutes."""

    since_ns: int
    offline_s: float
    cause: str = "unknown"


@dataclass(frozen=True, slots=True)
class OutageEnded:
    """A provider is there again."""

    offline_s: float


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """An upstream failed; it is opened again after `retry_in_s`."""

    source: str
    error: str
    attempt: int
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class SourceRecovered:
    """An upstream that had failed delivers again."""

    source: str
    down_s: float


@dataclass(frozen=True, slots=True)
class SourceExhausted:
    """An upstream said that it has nothing more to give."""

    source: str


@dataclass(frozen=True, slots=True)
class ObservationRefused:
    """An upstream gave what must not be published; `count` like it since the last such fact."""

    source: str
    asset: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """A commit failed; what it held waits in memory and is tried again."""

    store: str
    error: str
    waiting: int


@dataclass(frozen=True, slots=True)
class StoreRecovered:
    """Commits succeed again."""

    store: str
    down_s: float


@dataclass(frozen=True, slots=True)
class StoreLeftBehind:
    """The node ends and could not write so many rows, or does not know whether they were."""

    store: str
    rows: int


@dataclass(frozen=True, slots=True)
class StoreRestored:
    """What a start found on disk; damaged rows were left out."""

    quotes: int
    authors: int
    damaged: int
    took_s: float


@dataclass(frozen=True, slots=True)
class StoreSetAside:
    """The database could not be read; it was moved to `moved_to` and a new one begun."""

    store: str
    error: str
    moved_to: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A peer's envelopes were judged after joining."""

    peer_id: str
    applied: int
    refused: int
    took_s: float


@dataclass(frozen=True, slots=True)
class CatchUpFailed:
    """A peer could not be asked for what it holds."""

    peer_id: str
    error: str


@dataclass(frozen=True, slots=True)
class LanSearchFailed:
    """The local network cannot be searched for nodes; it is tried again after `retry_in_s`."""

    error: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class PeerMisbehaved:
    """A peer caused an exception or sent what cannot be; `where` names the guard.

    `count` is how often it did, with this time, since it was last told of.
    """

    peer_id: str
    where: str
    error: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Equivocation:
    """An author signed two different messages under one name."""

    author: str
    topic: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class QueryAnswered:
    """A peer asked and was answered, or refused with an error code."""

    peer_id: str
    protocol: str
    took_s: float
    error: str | None


ProviderFact: TypeAlias = (
    ProviderDiscovered
    | ProviderReturned
    | ProviderSuspected
    | ProviderCleared
    | ProviderLost
    | ProviderUnreachable
    | ProviderFlapping
    | ProviderSkewed
)

OutageFact: TypeAlias = OutageStarted | OutageExplained | OutageExtended | OutageEnded

Fact: TypeAlias = (
    NodeReady
    | NodeLeaving
    | PeerJoined
    | PeerLost
    | DialFailed
    | WrongNetwork
    | ProviderFact
    | IsolationStarted
    | IsolationEnded
    | ProcessPaused
    | ClockDiffers
    | ClockAgrees
    | OutageFact
    | SourceFailed
    | SourceRecovered
    | SourceExhausted
    | ObservationRefused
    | StoreFailed
    | StoreRecovered
    | StoreLeftBehind
    | StoreRestored
    | StoreSetAside
    | CaughtUp
    | CatchUpFailed
    | LanSearchFailed
    | PeerMisbehaved
    | Equivocation
    | QueryAnswered
)
