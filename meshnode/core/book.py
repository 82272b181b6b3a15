"""The book: the newest quote of every (asset, author), with the envelope that proves it."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat, starmap
from operator import itemgetter

from meshnode.core.records import EnvelopeKey, Restored, Said, StoredQuote, StoredQuotes
from protocols.envelope import Envelope, open_envelope
from protocols.errors import Malformed
from protocols.ids import Topic
from protocols.limits import AUTHOR_ENVELOPE_BYTES_MAX
from protocols.messages import PriceUpdate
from protocols.quotes import Row

ASSETS_PER_AUTHOR_MAX = 10_000  # more are refused and counted
AUTHORS_MAX = 1_000  # with prices; the one silent longest makes room, if it is silent long enough
AUTHORS_OPEN_MAX = 64  # the same where there is no allowlist and anybody may be an author
AUTHOR_SILENT_NS = 3_600 * 10**9
_ASSET_OF = itemgetter(0)
_SAID_OF = itemgetter(0)
# Dropping goes on to below the limit, so that a full shelf is not sorted for every update.
_SHELF_BYTES_KEPT = AUTHOR_ENVELOPE_BYTES_MAX * 7 // 8


@dataclass(frozen=True, slots=True)
class Applied:
    """What an update changed.

    `changed` are the quotes that are now the newest of their (asset, author); `ticks` what the
    history records; `envelope` the update's proof if it is kept; `released` the envelopes that
    are no longer kept; `refused` counts quotes beyond a bound of the book.
    """

    changed: Sequence[StoredQuote] = ()
    ticks: Sequence[StoredQuote] = ()
    envelope: tuple[EnvelopeKey, bytes] | None = None
    released: tuple[EnvelopeKey, ...] = ()
    refused: int = 0


@dataclass(slots=True)
class _Proof:
    raw: bytes
    proves: int  # how many quotes of the book stand by this envelope
    is_verified: bool = True  # judged by us in this run, or checked since it was restored


@dataclass(slots=True)
class _Author:
    # The newest of each asset, and the update that it came with.
    quotes: dict[str, tuple[Said, Row]] = field(default_factory=dict)
    newest: tuple[int, int] = (0, 0)  # no quote has a later (epoch, seq)
    proofs: dict[EnvelopeKey, _Proof] = field(default_factory=dict)
    proof_bytes: int = 0
    heard_ns: int = 0


_NEVER: tuple[None, None] = (None, None)  # in the place of a quote that was never heard


class Book:
    """Newest wins per (asset, author), by (epoch, seq); late updates change what they may."""

    def __init__(self, *, authors_max: int) -> None:
        self._authors_max = authors_max
        self._authors: dict[bytes, _Author] = {}
        self._by_asset: dict[str, dict[bytes, None]] = {}  # the authors of each
        self._newest_ns: int | None = None
        self.refused = 0
        self.unproven = 0

    # --- writing ----------------------------------------------------------------------------

    def apply(self, envelope: Envelope, received_ns: int, *, live: bool = True) -> Applied:
        """Take in an accepted price update.

        One that was heard `live` goes into the history whole, late or not; one out of a peer's
        memory only where it changes something.
        """
        message = envelope.message
        assert isinstance(message.payload, PriceUpdate), "only price updates reach the book"
        rows = message.payload.rows
        author, released = self._author(message.author, received_ns)
        if author is None:
            self.refused += len(rows)
            return Applied(refused=len(rows))
        author.heard_ns = max(author.heard_ns, received_ns)
        said = Said(message.author, message.epoch, message.seq, message.issued_ns, received_ns)
        changed_rows, late_rows, refused = self._place(author, said, rows, released)
        kept = None
        if changed_rows:
            kept = self._keep_proof(author, envelope, len(changed_rows), released)
            self._note_age(said)
        self.refused += refused
        changed = ticks = StoredQuotes(said, changed_rows)
        if live and late_rows:
            ticks = StoredQuotes(said, [*changed_rows, *late_rows])
        return Applied(changed, ticks, kept, tuple(released), refused)

    def restore(self, held: Restored) -> None:
        """Fill an empty book with what a store held; beyond a bound the oldest are refused.

        A store goes on holding what the book has evicted, so it may hold more.
        """
        updates: dict[Said, Said] = {}
        for stored in sorted(held.latest, key=lambda q: q.received_ns, reverse=True):
            author = self._authors.get(stored.author) or _Author()
            has_room = author.quotes or len(self._authors) < self._authors_max
            if not has_room or len(author.quotes) >= ASSETS_PER_AUTHOR_MAX:
                self.refused += 1
                continue
            self._authors[stored.author] = author
            said = updates.setdefault(stored.said, stored.said)
            author.quotes[stored.asset] = said, stored.row
            author.newest = max(author.newest, (stored.epoch, stored.seq))
            self._by_asset.setdefault(stored.asset, {})[stored.author] = None
            author.heard_ns = max(author.heard_ns, stored.received_ns)
            key = EnvelopeKey(stored.author, stored.epoch, stored.seq)
            raw = held.envelopes.get(key)
            if raw is not None:
                proof = author.proofs.get(key)
                if proof is None:
                    author.proofs[key] = _Proof(raw, 1, is_verified=False)
                    author.proof_bytes += len(raw)
                else:
                    proof.proves += 1
            self._note_age(said)

    # --- reading ----------------------------------------------------------------------------

    @property
    def newest_ns(self) -> int | None:
        """When the newest price was issued (or received, if that was earlier), or None."""
        return self._newest_ns

    def assets(self) -> Collection[str]:
        """Every asset with a quote, in no order."""
        return self._by_asset.keys()

    def assets_of(self, author: bytes) -> int | None:
        """Of how many assets an author's quotes stand here, or None where there are none."""
        held = self._authors.get(author)
        return len(held.quotes) if held else None

    def everything(self) -> Iterator[StoredQuote]:
        """Every quote that stands."""
        for author in self._authors.values():
            yield from starmap(StoredQuote, author.quotes.values())

    def quotes_of(self, asset: str) -> Collection[StoredQuote]:
        """What each author last said of an asset."""
        authors = map(self._authors.__getitem__, self._by_asset.get(asset, ()))
        return [StoredQuote(*author.quotes[asset]) for author in authors]

    def best(self, asset: str, active: Collection[bytes]) -> StoredQuote | None:
        """The quote to serve: of an active provider if there is one, the newest of them.

        Newest by issue, but not later than we received it: nobody wins by a clock that is ahead.
        """
        return max(
            self.quotes_of(asset),
            key=lambda q: (q.author in active, min(q.issued_ns, q.received_ns), q.author),
            default=None,
        )

    def proof_of(self, stored: StoredQuote) -> bytes | None:
        """The envelope behind a quote, or None where it is not kept any more."""
        return self.find_proof(EnvelopeKey(stored.author, stored.epoch, stored.seq))

    def find_proof(self, key: EnvelopeKey) -> bytes | None:
        """The envelope of this name, if it is kept."""
        author = self._authors.get(key.author)
        proof = author.proofs.get(key) if author else None
        return proof.raw if proof else None

    def verify_proof(self, key: EnvelopeKey) -> bytes | None:
        """The envelope of this name, if it is kept and its author signed it.

        One out of a store is checked when it is first asked for, which takes about as long as
        judging it did; where it proves nothing it is dropped and counted in `unproven`. The
        checks of a store notice damage, not forgery.
        """
        author = self._authors.get(key.author)
        proof = author.proofs.get(key) if author else None
        if author is None or proof is None:
            return None
        if not proof.is_verified:
            if not _proves(proof.raw, key):
                self.unproven += 1
                self._release(author, key, [])
                return None
            proof.is_verified = True
        return proof.raw

    def proofs(self, assets: Iterable[str] | None) -> Iterator[tuple[EnvelopeKey, bytes]]:
        """The envelopes that hold the newest quote of every (author, asset) asked for."""
        if assets is None:
            for author in self._authors.values():
                for key, proof in author.proofs.items():
                    yield key, proof.raw
            return
        wanted = {EnvelopeKey(q.author, q.epoch, q.seq) for a in assets for q in self.quotes_of(a)}
        for key in wanted:
            proof_held = self._authors[key.author].proofs.get(key)
            if proof_held:
                yield key, proof_held.raw

    def holds(self, author: bytes) -> bool:
        """Whether any quote of an author stands here."""
        return author in self._authors

    # --- inside -----------------------------------------------------------------------------

    def _author(self, key: bytes, now_ns: int) -> tuple[_Author | None, list[EnvelopeKey]]:
        released: list[EnvelopeKey] = []
        author = self._authors.get(key)
        if author is None:
            if len(self._authors) >= self._authors_max and not self._evict(now_ns, released):
                return None, released
            author = self._authors[key] = _Author()
        return author, released

    def _evict(self, now_ns: int, released: list[EnvelopeKey]) -> bool:
        key, silent = min(self._authors.items(), key=lambda item: item[1].heard_ns)
        if now_ns - silent.heard_ns < AUTHOR_SILENT_NS:
            return False
        released.extend(silent.proofs)
        del self._authors[key]
        for asset in silent.quotes:
            row = self._by_asset[asset]
            del row[key]
            if not row:
                del self._by_asset[asset]
        return True

    def _place(
        self, author: _Author, said: Said, rows: tuple[Row, ...], released: list[EnvelopeKey]
    ) -> tuple[Sequence[Row], Sequence[Row], int]:
        """Put each quote where it is the newest.

        Returns those, those that were taken and came too late for that, and how many were refused.
        """
        name = (said.epoch, said.seq)
        if name > author.newest:
            author.newest = name
            if self._place_all(author, said, rows, released):
                return rows, (), 0
        return self._place_each(author, said, rows, released)

    def _place_all(
        self, author: _Author, said: Said, rows: tuple[Row, ...], released: list[EnvelopeKey]
    ) -> bool:
        """Put all quotes of an update where they are, being newer than whatever its author said.

        False where there is no room for all. A thousand quotes pass here for every update: none
        of them is looked at by itself.
        """
        held, names = author.quotes, tuple(map(_ASSET_OF, rows))
        before = Counter(map(_SAID_OF, map(held.get, names, repeat(_NEVER))))
        if unheard := before.pop(None, 0):
            if len(held) + unheard > ASSETS_PER_AUTHOR_MAX:
                return False
            for asset in names:
                self._by_asset.setdefault(asset, {})[said.author] = None
        held.update(zip(names, zip(repeat(said), rows, strict=False), strict=False))
        for one, count in before.items():
            self._disprove(author, EnvelopeKey(one.author, one.epoch, one.seq), count, released)
        return True

    def _place_each(
        self, author: _Author, said: Said, rows: tuple[Row, ...], released: list[EnvelopeKey]
    ) -> tuple[list[Row], list[Row], int]:
        held, name = author.quotes, (said.epoch, said.seq)
        changed: list[Row] = []
        late: list[Row] = []
        refused = 0
        for row in rows:
            asset = row[0]
            standing, _ = held.get(asset, _NEVER)
            if standing is None:
                if len(held) >= ASSETS_PER_AUTHOR_MAX:
                    refused += 1
                    continue
                self._by_asset.setdefault(asset, {})[said.author] = None
            elif (standing.epoch, standing.seq) < name:
                key = EnvelopeKey(standing.author, standing.epoch, standing.seq)
                self._disprove(author, key, 1, released)
            else:
                # What stands already came out of a peer's memory and was recorded then.
                if (standing.epoch, standing.seq) > name:
                    late.append(row)
                continue
            held[asset] = said, row
            changed.append(row)
        return changed, late, refused

    def _disprove(
        self, author: _Author, key: EnvelopeKey, count: int, released: list[EnvelopeKey]
    ) -> None:
        """So many quotes no longer stand by an envelope; one that proves nothing goes."""
        proof = author.proofs.get(key)
        if proof is not None:
            proof.proves -= count
            if not proof.proves:
                self._release(author, key, released)

    def _keep_proof(
        self, author: _Author, envelope: Envelope, proves: int, released: list[EnvelopeKey]
    ) -> tuple[EnvelopeKey, bytes] | None:
        name = envelope.message
        key = EnvelopeKey(name.author, name.epoch, name.seq)
        author.proofs[key] = _Proof(envelope.raw, proves)
        author.proof_bytes += len(envelope.raw)
        if author.proof_bytes > AUTHOR_ENVELOPE_BYTES_MAX:
            # What proves least goes first, the oldest of those before the newer.
            for weak in sorted(
                author.proofs, key=lambda k: (author.proofs[k].proves, k.epoch, k.seq)
            ):
                if author.proof_bytes <= _SHELF_BYTES_KEPT:
                    break
                self._release(author, weak, released)
        return (key, envelope.raw) if key in author.proofs else None

    @staticmethod
    def _release(author: _Author, key: EnvelopeKey, released: list[EnvelopeKey]) -> None:
        proof = author.proofs.pop(key)
        author.proof_bytes -= len(proof.raw)
        released.append(key)

    def _note_age(self, said: Said) -> None:
        said_ns = min(said.issued_ns, said.received_ns)
        self._newest_ns = max(self._newest_ns or 0, said_ns)


def _proves(raw: bytes, key: EnvelopeKey) -> bool:
    try:
        envelope = open_envelope(raw)
    except Malformed:
        return False
    name = envelope.message.name
    said = EnvelopeKey(name.author, name.epoch, name.seq)
    return name.topic is Topic.PRICES and said == key and envelope.is_authentic()
