"""The status query: what a node says about itself, its peers and the providers it hears."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Self

from protocols.errors import Malformed
from protocols.fields import integer, text
from protocols.ids import is_network
from protocols.limits import ADDRS_MAX, REQUEST_BYTES_MAX, STATUS_REPLY_BYTES_MAX
from protocols.packing import pack
from protocols.records import (
    Check,
    Count,
    CountOrNone,
    Frame,
    FreeText,
    FreeTextOrNone,
    Record,
    Text,
    Time,
    TimeOrNone,
    addr,
    any_value,
    array_of,
    boolean,
    free_text,
    one_of,
    optional,
    pack_map,
    plain,
    record,
    time,
    unpack_map,
)

_KEYS_MAX = 64
_REQUESTS_KEPT_MAX = 64  # neighbours ask the same for hours
_TRUNCATED = "truncated"
_TRUNCATED_BYTES = len(pack({_TRUNCATED: []}))


@dataclass(frozen=True, slots=True)
class StatusRequest(Frame):
    """Everything, or the keys named."""

    keys: Annotated[tuple[str, ...] | None, optional(array_of(text, _KEYS_MAX))] = None

    bytes_max = REQUEST_BYTES_MAX

    def to_map(self) -> dict[str, Any]:
        """`{}` for everything."""
        return {} if self.keys is None else {"keys": list(self.keys)}


@lru_cache(_REQUESTS_KEPT_MAX)
def status_request(raw: bytes) -> StatusRequest:
    """The request in a frame; of the same bytes it is read once. Raises Malformed."""
    return StatusRequest.from_bytes(raw)


@lru_cache(_REQUESTS_KEPT_MAX)
def status_request_bytes(keys: tuple[str, ...] | None) -> bytes:
    """A request as a frame. Raises Malformed."""
    return StatusRequest(keys).to_bytes()


@dataclass(frozen=True, slots=True)
class ProviderStatus(Record):
    """A provider as the answering node sees it; `hop_count` 0 is that node itself."""

    provider_id: Text
    state: Annotated[
        str,
        one_of("active", "suspect", "offline", "left", "unreachable", "flapping", "skewed"),
    ]
    last_seen: TimeOrNone
    hop_count: CountOrNone
    assets: CountOrNone


@dataclass(frozen=True, slots=True)
class PeerStatus(Record):
    """A connected peer; `rtt_ms` nil until measured."""

    node_id: Text
    addrs: Annotated[tuple[str, ...], array_of(addr, ADDRS_MAX)]
    rtt_ms: CountOrNone


@dataclass(frozen=True, slots=True)
class DataFreshness(Record):
    """The age of the newest price, for machines and in words."""

    state: Annotated[str, one_of("just_now", "minutes_ago", "hours_ago", "stale", "none")]
    age_s: CountOrNone
    text: FreeTextOrNone


@dataclass(frozen=True, slots=True)
class Outage(Record):
    """Since when there has been no provider, and why."""

    since: Time
    cause: Annotated[str, one_of("providers_down", "local_isolation", "partition", "unknown")]


@dataclass(frozen=True, slots=True)
class ConnectionStatus(Record):
    """A connection to a peer, an upstream or a store.

    Of the time since it was first tried, it worked `uptime_percent`; it came back `reconnects`
    times, after so many seconds the last time and in the median.
    """

    kind: Annotated[str, one_of("peer", "upstream", "store")]
    name: FreeText
    state: Annotated[str, one_of("disconnected", "connecting", "connected", "error", "stopped")]
    reconnect_attempts: Count
    last_error: FreeTextOrNone
    last_success: TimeOrNone
    uptime_percent: CountOrNone = None
    reconnects: CountOrNone = None
    reconnect_last_s: CountOrNone = None
    reconnect_median_s: CountOrNone = None


@dataclass(frozen=True, slots=True)
class StatusWarning(Record):
    """What the people who rely on the node should know: a code such as `NO_PROVIDERS`, in words."""

    code: Text
    message: FreeText


def _network(value: object, what: str) -> str:
    if type(value) is not str or not is_network(value):
        raise Malformed(f"{what}: not a network's name")
    return value


_providers = array_of(record(ProviderStatus))

# Every key of a status, in the order in which they are told.
STATUS_CHECKS: Final[Mapping[str, Check[Any]]] = MappingProxyType(
    {
        "protocol": integer,
        "network": _network,
        "node_id": text,
        "agent": free_text,
        "role": one_of("provider", "consumer"),
        "uptime_s": integer,
        "time": time,
        "mode": one_of("normal", "degraded", "emergency"),
        "active_providers": _providers,
        "known_providers": _providers,
        "providers_seen": any_value,
        "connected_peers": integer,
        "total_network_size": integer,
        "peers": array_of(record(PeerStatus)),
        "last_update_time": time,
        "data_freshness": record(DataFreshness),
        "extended_offline": boolean,
        "offline_duration_minutes": integer,
        "outage": record(Outage),
        "connections": array_of(record(ConnectionStatus)),
        "warnings": array_of(record(StatusWarning)),
        "refused": any_value,
        _TRUNCATED: array_of(text, _KEYS_MAX),
    }
)


@dataclass(frozen=True, slots=True)
class StatusReply:
    """Values by their keys on the wire, nil where the node does not know; parts are records.

    Keys of which this version knows nothing are kept if they are safe to print. Making one raises
    Malformed.
    """

    values: Mapping[str, Any]

    bytes_max: ClassVar[int] = STATUS_REPLY_BYTES_MAX

    def __post_init__(self) -> None:
        checked = {}
        for key, value in self.values.items():
            check = STATUS_CHECKS.get(key)
            if check is None:
                text(key, "key")
                check = any_value
            checked[key] = None if value is None else check(value, key)
        object.__setattr__(self, "values", MappingProxyType(checked))

    def __getitem__(self, key: str) -> Any:
        """The value of a key, nil also where the reply does not have it."""
        return self.values.get(key)

    def to_map(self) -> dict[str, Any]:
        """The reply in dicts, lists and leaves, ready for JSON."""
        return {key: plain(value) for key, value in self.values.items()}

    def to_bytes(self) -> bytes:
        """The reply in msgpack, `fitted` to its limit."""
        # Most are far from it: they are packed once.
        raw = pack(self.to_map())
        if len(raw) <= self.bytes_max - _TRUNCATED_BYTES:
            return raw
        return pack_map(self.fitted().to_map(), self.bytes_max)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """The reply in a frame. Raises Malformed, and nothing else."""
        return cls.from_map(unpack_map(raw, cls.bytes_max), cls.__name__)

    @classmethod
    def from_map(cls, value: dict[Any, Any], _what: str) -> Self:
        """The reply in a decoded map. Raises Malformed."""
        return cls(value)

    def fitted(self, bytes_max: int = STATUS_REPLY_BYTES_MAX) -> Self:
        """The reply in at most so many bytes: the longest lists lose their ends first.

        Lists cut short are named in `truncated`. Raises Malformed if no list is left to cut.
        """
        tree = {**self.to_map(), _TRUNCATED: []}
        if len(pack(tree)) <= bytes_max:
            return self
        lists = {key: value for key, value in tree.items() if isinstance(value, list)}
        # As if every list were cut: the names of those that are will fit in any case.
        excess_bytes = len(pack({**tree, _TRUNCATED: list(lists)})) - bytes_max
        sizes = {key: [len(pack(item)) for item in value] for key, value in lists.items()}
        longest = [(-sum(items), key) for key, items in sizes.items() if items]
        heapify(longest)
        cut = set()
        while excess_bytes > 0:
            if not longest:
                raise Malformed(f"a status of more than {bytes_max} bytes without its lists")
            negative_size, key = heappop(longest)
            last_bytes = sizes[key].pop()
            excess_bytes -= last_bytes
            cut.add(key)
            if sizes[key]:
                heappush(longest, (negative_size + last_bytes, key))
        shortened = {key: self.values[key][: len(sizes[key])] for key in cut}
        names = tuple(key for key in tree if key in cut)
        return type(self)({**self.values, **shortened, _TRUNCATED: names})
