"""The store against bare sqlite3 with the same schema, and how long an update takes to the disk."""

import sqlite3
import time
from pathlib import Path

import pytest
import trio

from meshnode.adapters.storage.portal import open_portal
from meshnode.adapters.storage.rows import quote_row
from meshnode.adapters.storage.sqlite import open_sqlite_store
from meshnode.core.facts import Fact
from meshnode.core.records import Batch, EnvelopeKey, Said, StoredQuote
from protocols.quotes import Quote
from tests.bench.figures import median, percentile, show

pytestmark = pytest.mark.bench

AUTHOR = bytes(32)
QUOTES = 1000
COMMITS = 60
ROUNDS = 5
NOW_NS = 1_790_000_000 * 10**9
RAW = bytes(28_000)  # an envelope of 1000 quotes


class Deaf:
    def observe(self, fact: Fact) -> None:
        """Nothing that happens here is measured."""


def batches() -> list[Batch]:
    """Updates of the same assets, one after the other, each with its envelope."""
    made = []
    for seq in range(1, COMMITS + 1):
        quotes = tuple(
            StoredQuote(
                Said(AUTHOR, 1_790_000_000, seq, NOW_NS + seq, NOW_NS + seq),
                Quote(f"A{number}-USD", 3_943_248 + seq, -2, NOW_NS + seq, 0, 1, None),
            )
            for number in range(QUOTES)
        )
        key = EnvelopeKey(AUTHOR, 1_790_000_000, seq)
        before = EnvelopeKey(AUTHOR, 1_790_000_000, seq - 1)
        made.append(Batch(latest=quotes, ticks=quotes, envelopes=((key, RAW),), released=(before,)))
    return made


async def through_the_store(path: Path) -> float:
    """Seconds for all commits, the rows being made on the way."""
    async with (
        open_portal() as portal,
        open_sqlite_store(path, portal=portal, observer=Deaf()) as store,
    ):
        await store.load()
        updates = batches()
        started = time.perf_counter()
        for batch in updates:
            await store.commit(batch)
        return time.perf_counter() - started


def through_sqlite3(path: Path) -> float:
    """The same rows, made before, into the same tables and with the same pragmas."""
    prepared = [
        [quote_row(stored, number + 1, 1) for number, stored in enumerate(batch.latest)]
        for batch in batches()
    ]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    marks = ",".join("?" * 13)
    started = time.perf_counter()
    for seq, rows in enumerate(prepared, 1):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"REPLACE INTO latest VALUES ({marks})", rows)
        connection.executemany(f"INSERT OR IGNORE INTO tick VALUES ({marks})", rows)
        connection.execute("REPLACE INTO envelope VALUES (1, 1790000000, ?, ?, 0)", (seq, RAW))
        connection.execute("DELETE FROM envelope WHERE author_id = 1 AND seq = ?", (seq - 1,))
        connection.execute("COMMIT")
    took = time.perf_counter() - started
    connection.close()
    return took


async def test_commits(tmp_path: Path) -> None:
    ours, bare = [], []
    for number in range(ROUNDS):  # interleaved: the machine's noise hits both
        ours.append(await through_the_store(tmp_path / f"{number}.db"))
        shell = tmp_path / f"{number}-bare.db"
        async with (
            open_portal() as portal,
            open_sqlite_store(shell, portal=portal, observer=Deaf()) as store,
        ):
            await store.load()
        bare.append(await trio.to_thread.run_sync(through_sqlite3, shell))
    total = QUOTES * COMMITS
    show(
        "persisting, updates of 1000",
        quotes_per_s=total / median(ours),
        bare_sqlite3=total / median(bare),
        ratio=median([b / o for o, b in zip(ours, bare, strict=True)]),
        worst_ratio=percentile([b / o for o, b in zip(ours, bare, strict=True)], 0.0),
    )
