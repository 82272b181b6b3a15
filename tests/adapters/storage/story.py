"""What the storage tests commit, and how they look at what became of it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from meshnode.adapters.storage.portal import open_portal
from meshnode.adapters.storage.sqlite import SqliteStore, open_sqlite_store
from meshnode.core.facts import Fact
from meshnode.ports import Batch, EnvelopeKey, Mark, Said, StoredQuote
from protocols.ids import Topic
from protocols.quotes import Quote

ALICE, BOB = b"a" * 32, b"b" * 32
EPOCH = 1_700_000_000
START_NS = EPOCH * 10**9


class Witness:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)


def quote_at(seq: int, asset: str = "BTC-USD", author: bytes = ALICE) -> StoredQuote:
    """An author's quote number `seq`: whatever it says follows from its number."""
    now_ns = START_NS + seq * 10**9
    tags = {"chain": "none"} if seq % 2 else None
    quote = Quote(asset, 3_943_240 + seq, -2, now_ns - 1, seq, 1, tags)
    return StoredQuote(Said(author, EPOCH, seq, now_ns, now_ns + 5), quote)


def update(seq: int, assets: int = 3, author: bytes = ALICE) -> Batch:
    """All that one price update leaves to be written; it supersedes the one before."""
    quotes = [quote_at(seq, f"ASSET{number}", author) for number in range(assets)]
    return Batch(
        latest=quotes,
        ticks=quotes,
        envelopes=[(EnvelopeKey(author, EPOCH, seq), envelope_of(seq))],
        released=[EnvelopeKey(author, EPOCH, seq - 1)],
        marks=[Mark(author, Topic.PRICES, EPOCH, seq), Mark(author, Topic.PRESENCE, EPOCH, seq)],
    )


def envelope_of(seq: int) -> bytes:
    """Stands for the envelope of an update; the store does not look inside."""
    return seq.to_bytes(4, "big") * 200


@asynccontextmanager
async def open_store(path: Path, witness: Witness | None = None) -> AsyncIterator[SqliteStore]:
    """A store with a portal of its own that looks at its file before every commit."""
    async with (
        open_portal() as portal,
        open_sqlite_store(
            path, portal=portal, observer=witness or Witness(), file_check_interval_s=0
        ) as store,
    ):
        yield store


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Run statements beside the store, in a connection of our own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchall()


def names_in(directory: Path) -> list[str]:
    """The files there, in order."""
    return sorted(file.name for file in directory.iterdir())
