"""What stands in a row: numbers that fit SQLite, tags as text, and a checksum of the content.

SQLite does not notice a flipped payload byte. Each row therefore carries a CRC-32 of what it
means, names instead of ids, so that a damaged name or a wrong id is noticed as well. It guards
against accidents; against forgery an envelope has its signature.
"""

import struct
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar
from zlib import crc32

from meshnode.ports import EnvelopeKey, Mark, Said, StoredQuote
from protocols.ids import KEY_BYTES, Topic
from protocols.limits import UINT64_MAX
from protocols.quotes import Quote

Row: TypeAlias = tuple[Any, ...]
NameT = TypeVar("NameT", bound=Hashable)

# Stored, hence never renumbered.
TOPIC_NUMBERS: Final = {Topic.PRICES: 1, Topic.PRESENCE: 2}
_TOPICS: Final = {number: topic for topic, number in TOPIC_NUMBERS.items()}

_SIGNED_END: Final = 2**63
_QUOTE = struct.Struct(">QQQQQqbqB")
_PLACE = struct.Struct(">QQ")
_EPOCH = struct.Struct(">Q")
# A damaged row may hold a value of any type in any place.
UNREADABLE = (TypeError, ValueError, AttributeError, struct.error)


def to_signed(value: int) -> int:
    """A uint64 as SQLite keeps it: those from 2^63 on become negative. `from_signed` undoes it."""
    return value if value < 2**63 else value - 2**64


def from_signed(value: int) -> int:
    """The uint64 that `to_signed` was given."""
    return value & UINT64_MAX


def quote_checksum(asset: str, author: bytes, *content: Any) -> int:
    """The CRC-32 of a quote's row; `content` is the columns from `epoch` to `tags`."""
    epoch, seq, issued_ns, received_ns, observed_ns, *numbers, tags = content
    packed = _QUOTE.pack(
        epoch & UINT64_MAX,
        seq & UINT64_MAX,
        issued_ns & UINT64_MAX,
        received_ns & UINT64_MAX,
        observed_ns & UINT64_MAX,
        *numbers,
    )
    text = asset if tags is None else f"{asset}\n{tags}"
    return crc32(packed + author + text.encode())


def envelope_checksum(author: bytes, epoch: int, seq: int, raw: bytes) -> int:
    """The CRC-32 of an envelope's row."""
    return crc32(raw, crc32(author + _PLACE.pack(epoch & UINT64_MAX, seq & UINT64_MAX)))


def mark_checksum(author: bytes, topic: int, epoch: int, seq: int) -> int:
    """The CRC-32 of a mark's row; `topic` is its number."""
    place = _PLACE.pack(epoch & UINT64_MAX, seq & UINT64_MAX)
    return crc32(b"mark%c%b%b" % (topic, author, place))


def epoch_checksum(epoch: int) -> int:
    """The CRC-32 of the row of our own epoch."""
    return crc32(b"own" + _EPOCH.pack(epoch & UINT64_MAX))


# As SQL functions, for migrations.
CHECKSUMS: Final[Mapping[str, tuple[int, Callable[..., int]]]] = {
    "quote_checksum": (12, quote_checksum),
    "envelope_checksum": (4, envelope_checksum),
    "mark_checksum": (4, mark_checksum),
    "epoch_checksum": (1, epoch_checksum),
}


class Ids(Generic[NameT]):
    """The integer ids of names. A new name gets one at once, and waits to be stored."""

    def __init__(self, stored: Iterable[tuple[int, NameT]]) -> None:
        self.names: dict[int, NameT] = dict(stored)
        self._added: list[tuple[int, NameT]] = []
        self._ids = {name: number for number, name in self.names.items()}
        self._last = max(self.names, default=0)

    def get(self, name: NameT) -> int | None:
        """The id of a name, or None where it has none."""
        return self._ids.get(name)

    def take(self, name: NameT) -> int:
        """The id of a name, a new one if need be."""
        known = self._ids.get(name)
        if known is not None:
            return known
        self._last += 1
        self.names[self._last] = name
        self._ids[name] = self._last
        self._added.append((self._last, name))
        return self._last

    def drop(self, name: NameT) -> None:
        """Forget a name that has an id; the id is not given out again by this object."""
        del self.names[self._ids.pop(name)]

    def take_added(self) -> list[tuple[int, NameT]]:
        """The names that are not stored yet, each of which is given out once."""
        added, self._added = self._added, []
        return added


def readable_authors(rows: Iterable[Row]) -> Iterator[tuple[int, bytes]]:
    """The authors that can be keys at all; rows that point to others count as damaged."""
    return ((id_, key) for id_, key in rows if isinstance(key, bytes) and len(key) == KEY_BYTES)


def readable_assets(rows: Iterable[Row]) -> Iterator[tuple[int, str]]:
    """The assets that can be names at all; rows that point to others count as damaged."""
    return ((id_, name) for id_, name in rows if isinstance(name, str))


def quote_row(stored: StoredQuote, asset_id: int, author_id: int) -> Row:
    """The row of `latest` or `tick`, in the order of QUOTE_COLUMNS.

    Raises struct.error for numbers that no quote on the wire can have.
    """
    # Written out, for this is done for every quote: a function call costs as much as it does.
    (author, *place), row = stored
    asset, mantissa, exponent, observed_ns, confidence, sources, tags = row
    numbers = mantissa, exponent, confidence, sources
    tags_text = None if tags is None else _tags_text(tags)
    text = asset if tags_text is None else f"{asset}\n{tags_text}"
    checksum = crc32(_QUOTE.pack(*place, observed_ns, *numbers) + author + text.encode())
    if max(*place, observed_ns) >= _SIGNED_END:
        place, observed_ns = list(map(to_signed, place)), to_signed(observed_ns)
    return asset_id, author_id, *place, observed_ns, *numbers, tags_text, checksum


QUOTE_COLUMNS: Final = (
    "asset_id, author_id, epoch, seq, issued_ns, received_ns, observed_ns,"
    " mantissa, exponent, confidence, sources, tags, checksum"
)


def read_quote(
    row: Row, assets: Mapping[int, str], authors: Mapping[int, bytes]
) -> StoredQuote | None:
    """The quote of a row, or None where it is damaged."""
    asset_id, author_id, *content, checksum = row
    try:
        asset, author = assets[asset_id], authors[author_id]
        if quote_checksum(asset, author, *content) != checksum:
            return None
    except (KeyError, *UNREADABLE):
        return None
    (
        epoch,
        seq,
        issued_ns,
        received_ns,
        observed_ns,
        mantissa,
        exponent,
        confidence,
        sources,
        tags,
    ) = content
    return StoredQuote(
        Said(author, *map(from_signed, (epoch, seq, issued_ns, received_ns))),
        Quote(
            asset,
            mantissa,
            exponent,
            from_signed(observed_ns),
            confidence,
            sources,
            None if tags is None else _tags(tags),
        ),
    )


def read_envelope(row: Row, authors: Mapping[int, bytes]) -> tuple[EnvelopeKey, bytes] | None:
    """The envelope of a row, or None where it is damaged."""
    author_id, epoch, seq, raw, checksum = row
    try:
        author = authors[author_id]
        if envelope_checksum(author, epoch, seq, raw) != checksum:
            return None
    except (KeyError, *UNREADABLE):
        return None
    return EnvelopeKey(author, from_signed(epoch), from_signed(seq)), raw


def read_mark(row: Row, authors: Mapping[int, bytes]) -> Mark | None:
    """The mark of a row, or None where it is damaged."""
    author_id, topic, epoch, seq, checksum = row
    try:
        author = authors[author_id]
        if mark_checksum(author, topic, epoch, seq) != checksum:
            return None
        return Mark(author, _TOPICS[topic], from_signed(epoch), from_signed(seq))
    except (KeyError, OverflowError, *UNREADABLE):
        return None


def read_epoch(found: Iterable[Row]) -> int:
    """Our own epoch, or 0 where there is none or it is damaged."""
    for epoch, checksum in found:
        try:
            if epoch_checksum(epoch) == checksum:
                return from_signed(epoch)
        except UNREADABLE:
            continue
    return 0


def marks_covering(quotes: Iterable[StoredQuote], sound: Iterable[Mark]) -> Iterator[Mark]:
    """Marks as safe as can be when some are damaged: none is below what its author's quotes show.

    Of the presence topic only the epoch can be inferred, 0 being the number before the first
    message; a replay there is good for 60 s at most.
    """
    highest = {(mark.author, mark.topic): (mark.epoch, mark.seq) for mark in sound}
    for quote in quotes:
        for topic, place in (
            (Topic.PRICES, (quote.epoch, quote.seq)),
            (Topic.PRESENCE, (quote.epoch, 0)),
        ):
            key = quote.author, topic
            highest[key] = max(highest.get(key, place), place)
    return (Mark(author, topic, *place) for (author, topic), place in highest.items())


def _tags_text(tags: Mapping[str, str]) -> str:
    # Tags are printable, hence contain no separator of ours; JSON would cost as much as all else.
    return "\n".join([f"{key}\t{value}" for key, value in tags.items()])


def _tags(text: str) -> dict[str, str]:
    pairs = (line.partition("\t") for line in text.split("\n") if line)
    return {key: value for key, _, value in pairs}
