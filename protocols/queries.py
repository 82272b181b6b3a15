"""The prices and watch queries, and the error that may answer any query; status has its own file.

Requests ignore keys they do not know. Replies come from strangers: bounded, and safe to print.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, TypeVar

from protocols.errors import Malformed
from protocols.fields import integer, text
from protocols.limits import (
    PRICES_PAGE_BYTES_MAX,
    REQUEST_BYTES_MAX,
    SOURCES_MAX,
    WATCH_FRAME_BYTES_MAX,
)
from protocols.records import (
    CountOrNone,
    Frame,
    FreeText,
    Record,
    Text,
    TextOrNone,
    Time,
    TimeOrNone,
    any_value,
    array_of,
    asset,
    boolean,
    check_size,
    decimal,
    one_of,
    optional,
    record,
    tag_map,
    unpack_map,
)
from protocols.status import StatusReply

# Author, signature and the rest of the smallest envelope take more than this.
_ENVELOPE_BYTES_MIN = 128
_EVENTS_MAX = 16
_EVENT_KEYS = ("event", "time")

_assets_or_none = optional(array_of(asset))


def _proofs(value: object, what: str) -> bool:
    return False if value is None else boolean(value, what)


def _sources(value: object, what: str) -> int:
    return integer(value, what, 0, SOURCES_MAX)


@dataclass(frozen=True, slots=True)
class PricesRequest(Frame):
    """Prices of these assets or, with None, of all; `cursor` asks for the next page."""

    assets: Annotated[tuple[str, ...] | None, _assets_or_none] = None
    proofs: Annotated[bool, _proofs] = False
    cursor: TextOrNone = None

    bytes_max = REQUEST_BYTES_MAX


@dataclass(frozen=True, slots=True)
class PriceAnswer(Record):
    """The price of an asset. Decimals and times are text; nil is what the node does not know.

    `confidence` is the half width of the interval; `proof` is False where no envelope proves it.
    """

    price: Annotated[str, decimal]
    provider_id: TextOrNone
    observed: TimeOrNone
    received: TimeOrNone
    age_s: CountOrNone
    state: Annotated[str, one_of("fresh", "stale", "cached", "disputed", "default")]
    confidence: Annotated[str | None, optional(decimal)] = None
    sources: Annotated[int | None, optional(_sources)] = None
    tags: Annotated[Mapping[str, str] | None, optional(tag_map)] = None
    proof: Annotated[bool | None, optional(boolean)] = None

    def to_map(self) -> dict[str, Any]:
        """As every record; `proof` is there only where something is said about it."""
        # Without `super()`: a dataclass with slots is not the class that its methods were made in.
        tree = Record.to_map(self)
        if self.proof is None:
            del tree["proof"]
        return tree


_price_answer = record(PriceAnswer)


def _prices(value: object, what: str) -> dict[str, PriceAnswer]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{what}: not a map")
    return {asset(key, what): _price_answer(item, key) for key, item in value.items()}


@dataclass(frozen=True, slots=True)
class PricesReply(Frame):
    """A page of prices by asset; `more` is the cursor of the next, or None."""

    prices: Annotated[Mapping[str, PriceAnswer], _prices]
    more: TextOrNone = None

    bytes_max = PRICES_PAGE_BYTES_MAX


def _envelope_count(value: object, what: str) -> int:
    return integer(value, what, 0, PRICES_PAGE_BYTES_MAX // _ENVELOPE_BYTES_MIN)


@dataclass(frozen=True, slots=True)
class ProofsHeader(Frame):
    """How many frames follow, each an envelope; `more` as in a page of prices."""

    envelopes: Annotated[int, _envelope_count]
    more: TextOrNone = None

    bytes_max = REQUEST_BYTES_MAX


@dataclass(frozen=True, slots=True)
class WatchRequest(Frame):
    """Tell me of these assets and these events; None means all."""

    assets: Annotated[tuple[str, ...] | None, _assets_or_none] = None
    events: Annotated[tuple[str, ...] | None, optional(array_of(text, _EVENTS_MAX))] = None

    bytes_max = REQUEST_BYTES_MAX


def _event_fields(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or any(key in value for key in _EVENT_KEYS):
        raise Malformed(f"{what}: not a map without {' and '.join(_EVENT_KEYS)}")
    checked: dict[str, Any] = any_value(value, what)
    return checked


@dataclass(frozen=True, slots=True)
class WatchEvent(Frame):
    """Something happened at the node: an event such as `price`, when, and its own fields."""

    event: Text
    time: Time
    fields: Annotated[Mapping[str, Any], _event_fields] = field(default_factory=dict)

    bytes_max = WATCH_FRAME_BYTES_MAX

    def to_map(self) -> dict[str, Any]:
        """One flat map, as on the wire."""
        tree = Record.to_map(self)
        fields = tree.pop("fields")
        return {**tree, **fields}

    @classmethod
    def from_map(cls, value: object, what: str) -> Self:
        """The event in a flat map. Raises Malformed."""
        if type(value) is not dict:
            raise Malformed(f"{what}: not a map")
        fields = {key: item for key, item in value.items() if key not in _EVENT_KEYS}
        return cls(value.get("event"), value.get("time"), fields)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ErrorReply(Frame):
    """Why a query was refused: `bad_request`, `rate_limited`, `too_large` or `internal`."""

    code: Text
    message: FreeText

    bytes_max = REQUEST_BYTES_MAX

    def to_map(self) -> dict[str, Any]:
        """Everything inside of `error`."""
        return {"error": Record.to_map(self)}

    @classmethod
    def from_map(cls, value: object, what: str) -> Self:
        """The error in a map with the one key `error`. Raises Malformed."""
        error = value.get("error") if isinstance(value, dict) else None
        if type(error) is not dict:
            raise Malformed(f"{what}: not an error")
        return cls(error.get("code"), error.get("message"))  # type: ignore[arg-type]


Reply = TypeVar("Reply", StatusReply, PricesReply, ProofsHeader, WatchEvent)


def reply_from_bytes(kind: type[Reply], raw: bytes) -> Reply | ErrorReply:
    """The first frame of a reply: what was asked for, or the error that came instead.

    Raises Malformed, and nothing else.
    """
    tree = unpack_map(raw, PRICES_PAGE_BYTES_MAX)
    came: type[Reply] | type[ErrorReply] = ErrorReply if "error" in tree else kind
    check_size(raw, came.bytes_max)
    return came.from_map(tree, came.__name__)
