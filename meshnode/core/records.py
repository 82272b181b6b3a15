"""What the book holds and a store keeps: quotes in their author's order, envelopes, marks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import NamedTuple, TypeAlias, overload

from protocols.messages import Name
from protocols.quotes import Quote, Row, as_quote


class Said(NamedTuple):
    """An update's place in its author's order, and its times: what all of its quotes share.

    Times are Unix nanoseconds: `issued_ns` by the author's clock, `received_ns` by ours.
    """

    author: bytes
    epoch: int
    seq: int
    issued_ns: int
    received_ns: int


class StoredQuote(NamedTuple):
    """One provider's quote of one asset, with the place of its update in the provider's order."""

    said: Said
    row: Row

    @property
    def quote(self) -> Quote:
        """The quote, made anew for each who asks."""
        return as_quote(self.row)

    @property
    def asset(self) -> str:
        """The asset's name."""
        return self.row[0]

    @property
    def author(self) -> bytes:
        """Who said it."""
        return self.said.author

    @property
    def epoch(self) -> int:
        """The update's epoch."""
        return self.said.epoch

    @property
    def seq(self) -> int:
        """The update's number in its epoch."""
        return self.said.seq

    @property
    def issued_ns(self) -> int:
        """When it was said, by the author's clock."""
        return self.said.issued_ns

    @property
    def received_ns(self) -> int:
        """When it was heard, by ours."""
        return self.said.received_ns


_AS_STORED = partial(tuple.__new__, StoredQuote)


class StoredQuotes(Sequence[StoredQuote]):
    """Quotes of one update, put together when they are first looked at, for all who look."""

    def __init__(self, said: Said, rows: Sequence[Row]) -> None:
        self._said = said
        self._rows = rows
        self._stored: tuple[StoredQuote, ...] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[StoredQuote]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> StoredQuote: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StoredQuote]: ...
    def __getitem__(self, index: int | slice) -> StoredQuote | Sequence[StoredQuote]:
        return self._all()[index]

    def _all(self) -> tuple[StoredQuote, ...]:
        if self._stored is None:
            self._stored = tuple(map(_AS_STORED, zip(repeat(self._said), self._rows)))
        return self._stored


# The highest name accepted from an author on a topic.
Mark: TypeAlias = Name


class EnvelopeKey(NamedTuple):
    """Where an envelope stands: price updates only, so the topic need not be named."""

    author: bytes
    epoch: int
    seq: int


class KnownNode(NamedTuple):
    """A provider, and its last sign of life in Unix nanoseconds."""

    author: bytes
    last_seen_ns: int


class KnownAddr(NamedTuple):
    """Where a node may be reached, without `/p2p`.

    `last_success_ns` is None where it never was; `failures` counts the dials in vain since.
    """

    author: bytes
    addr: str
    last_success_ns: int | None
    failures: int


class Batch(NamedTuple):
    """What one commit writes, all or nothing.

    `latest` replaces what stood for its (asset, author); `ticks` are appended to the history;
    `envelopes` are the proofs of `latest`; `released` names envelopes that prove nothing any more.
    `forgotten` are authors whose marks are needed no more: these go before all else is written,
    unless quotes or envelopes of theirs are stored already. Whoever has ticks has a quote.
    `nodes` and `addrs` replace what stood for their author, or author and address; those named in
    `nodes_gone` and `addrs_gone` go, after the others were written. `last_sign_ns`, if given, is
    the last sign of life of any provider.
    """

    latest: Sequence[StoredQuote] = ()
    ticks: Sequence[StoredQuote] = ()
    envelopes: Sequence[tuple[EnvelopeKey, bytes]] = ()
    released: Sequence[EnvelopeKey] = ()
    marks: Sequence[Mark] = ()
    forgotten: Sequence[bytes] = ()
    nodes: Sequence[KnownNode] = ()
    nodes_gone: Sequence[bytes] = ()
    addrs: Sequence[KnownAddr] = ()
    addrs_gone: Sequence[tuple[bytes, str]] = ()
    last_sign_ns: int | None = None

    def __bool__(self) -> bool:
        # The last field is a time, and 0 is one.
        return any(self[:-1]) or self.last_sign_ns is not None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a store held. `damaged` counts rows whose checksum failed; they are not among these."""

    latest: tuple[StoredQuote, ...] = ()
    envelopes: dict[EnvelopeKey, bytes] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    nodes: tuple[KnownNode, ...] = ()
    addrs: tuple[KnownAddr, ...] = ()
    last_sign_ns: int | None = None
    damaged: int = 0
