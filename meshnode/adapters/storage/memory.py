"""The store in memory: for virtual time, and for nodes without a data directory."""

from collections.abc import Sequence
from typing import Final

import trio

from meshnode.adapters.storage.retention import HISTORY_KEPT_NS
from meshnode.ports import (
    Batch,
    EnvelopeKey,
    KnownAddr,
    KnownNode,
    Mark,
    Restored,
    StoredQuote,
)
from protocols.ids import Topic

TICKS_PER_ASSET_MAX: Final = 1_024  # drop the oldest, count it


class MemoryStore:
    """A Store that forgets everything when its process ends, and never fails before."""

    generation = 0

    def __init__(self) -> None:
        self.dropped_ticks = 0
        self._latest: dict[tuple[str, bytes], StoredQuote] = {}
        self._envelopes: dict[EnvelopeKey, bytes] = {}
        self._marks: dict[tuple[bytes, Topic], Mark] = {}
        # By asset, then by what makes a tick the same when its batch is repeated.
        self._ticks: dict[str, dict[tuple[int, bytes, int, int], StoredQuote]] = {}
        self._epoch = 0
        self._nodes: dict[bytes, KnownNode] = {}
        self._addrs: dict[tuple[bytes, str], KnownAddr] = {}
        self._last_sign_ns: int | None = None

    async def load(self) -> Restored:
        """Everything that was committed."""
        await trio.lowlevel.checkpoint()
        return Restored(
            latest=tuple(self._latest.values()),
            envelopes=dict(self._envelopes),
            marks=tuple(self._marks.values()),
            nodes=tuple(self._nodes.values()),
            addrs=tuple(self._addrs.values()),
            last_sign_ns=self._last_sign_ns,
        )

    async def begin_epoch(self, now_s: int) -> int:
        """Our own next epoch, max(stored + 1, now_s)."""
        await trio.lowlevel.checkpoint()
        self._epoch = max(self._epoch + 1, now_s)
        return self._epoch

    async def commit(self, batch: Batch) -> None:
        """Keep a batch."""
        # Who commits has waited for it: a turn of the scheduler more would only cost time.
        await trio.lowlevel.checkpoint_if_cancelled()
        self._forget(batch.forgotten)
        for stored in batch.latest:
            self._latest[stored.row[0], stored.said.author] = stored
        for stored in batch.ticks:
            self._append(stored)
        self._envelopes.update(batch.envelopes)
        for key in batch.released:
            self._envelopes.pop(key, None)
        for mark in batch.marks:
            before = self._marks.get((mark.author, mark.topic), mark)
            if (mark.epoch, mark.seq) >= (before.epoch, before.seq):
                self._marks[mark.author, mark.topic] = mark
        self._remember(batch)

    async def prune(self, now_ns: int) -> int:
        """Delete ticks older than HISTORY_KEPT_NS; returns how many went."""
        await trio.lowlevel.checkpoint()
        until_ns = now_ns - HISTORY_KEPT_NS
        gone = 0
        for ticks in self._ticks.values():
            old = [key for key, stored in ticks.items() if stored.received_ns <= until_ns]
            gone += len(old)
            for key in old:
                del ticks[key]
        return gone

    async def history(self, asset: str, limit: int) -> Sequence[StoredQuote]:
        """The newest ticks of an asset, newest received first."""
        await trio.lowlevel.checkpoint()
        ticks = self._ticks.get(asset, {})
        return [ticks[key] for key in sorted(ticks, reverse=True)[:limit]]

    def _forget(self, authors: Sequence[bytes]) -> None:
        if not authors:
            return
        quoted = {author for _, author in self._latest} | {key.author for key in self._envelopes}
        gone = set(authors) - quoted
        self._marks = {place: mark for place, mark in self._marks.items() if place[0] not in gone}

    def _remember(self, batch: Batch) -> None:
        self._nodes.update((node.author, node) for node in batch.nodes)
        self._addrs.update(((addr.author, addr.addr), addr) for addr in batch.addrs)
        for author in batch.nodes_gone:
            self._nodes.pop(author, None)
        for place in batch.addrs_gone:
            self._addrs.pop(place, None)
        if batch.last_sign_ns is not None:
            self._last_sign_ns = batch.last_sign_ns

    def _append(self, stored: StoredQuote) -> None:
        said = stored.said
        ticks = self._ticks.setdefault(stored.row[0], {})
        ticks[said.received_ns, said.author, said.epoch, said.seq] = stored
        if len(ticks) > TICKS_PER_ASSET_MAX:
            # In order of arrival as good as in order of insertion.
            del ticks[next(iter(ticks))]
            self.dropped_ticks += 1
