"""What the book holds and a store keeps: quotes in their author's order, envelopes, marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from protocols.ids import Topic
from protocols.quotes import Quote


class StoredQuote(NamedTuple):
    """One provider's quote of one asset with its place in the provider's order.

    Times are Unix nanoseconds: `issued_ns` by the author's clock, `received_ns` by ours.
    """

    author: bytes
    quote: Quote
    epoch: int
    seq: int
    issued_ns: int
    received_ns: int


class Mark(NamedTuple):
    """The highest (epoch, seq) accepted from an author on a topic."""

    author: bytes
    topic: Topic
    epoch: int
    seq: int


class EnvelopeKey(NamedTuple):
    """Where an envelope stands: price updates only, so the topic need not be named."""

    author: bytes
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit writes, all or nothing.

    `latest` replaces what stood for its (asset, author); `ticks` are appended to the history;
    `envelopes` are the proofs of `latest`; `released` names envelopes that prove nothing any more.
    `forgotten` are authors whose marks are needed no more: these go before all else is written,
    unless quotes or envelopes of theirs are stored already. Whoever has ticks has a quote.
    """

    latest: Sequence[StoredQuote] = ()
    ticks: Sequence[StoredQuote] = ()
    envelopes: Sequence[tuple[EnvelopeKey, bytes]] = ()
    released: Sequence[EnvelopeKey] = ()
    marks: Sequence[Mark] = ()
    forgotten: Sequence[bytes] = ()

    def __bool__(self) -> bool:
        return bool(
            self.latest
            or self.ticks
            or self.envelopes
            or self.released
            or self.marks
            or self.forgotten
        )


@dataclass(frozen=True, slots=True)
class Restored:
    """What a store held. `damaged` counts rows whose checksum failed; they are not among these."""

    latest: tuple[StoredQuote, ...] = ()
    envelopes: dict[EnvelopeKey, bytes] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    damaged: int = 0
