"""The book: the newest quote of every (asset, author), with the envelope that proves it."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

from meshnode.core.records import EnvelopeKey, Restored, StoredQuote
from protocols.envelope import Envelope, open_envelope
from protocols.errors import Malformed
from protocols.ids import Topic
from protocols.limits import AUTHOR_ENVELOPE_BYTES_MAX
from protocols.messages import PriceUpdate

ASSETS_PER_AUTHOR_MAX = 10_000  # more are refused and counted
AUTHORS_MAX = 1_000  # with prices; the one silent longest makes room, if it is silent long enough
AUTHORS_OPEN_MAX = 64  # the same where there is no allowlist and anybody may be an author
AUTHOR_SILENT_NS = 3_600 * 10**9
# Dropping goes on to below the limit, so that a full shelf is not sorted for every update.
_AS_STORED = partial(tuple.__new__, StoredQuote)
_SHELF_BYTES_KEPT = AUTHOR_ENVELOPE_BYTES_MAX * 7 // 8


@dataclass(frozen=True, slots=True)
class Applied:
    """What an update changed.

    `changed` are the quotes that are now the newest of their (asset, author); `ticks` what the
    history records; `envelope` the update's proof if it is kept; `released` the envelopes that
    are no longer kept; `refused` counts quotes beyond a bound of the book.
    """

    changed: tuple[StoredQuote, ...] = ()
    ticks: tuple[StoredQuote, ...] = ()
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
    quotes: dict[str, StoredQuote] = field(default_factory=dict)  # the newest of each asset
    proofs: dict[EnvelopeKey, _Proof] = field(default_factory=dict)
    proof_bytes: int = 0
    heard_ns: int = 0


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
        quotes = message.payload.quotes
        author, released = self._author(message.author, received_ns)
        if author is None:
            self.refused += len(quotes)
            return Applied(refused=len(quotes))
        author.heard_ns = max(author.heard_ns, received_ns)
        changed, ticks, refused = self._place(author, envelope, received_ns, released)
        kept = None
        if changed:
            kept = self._keep_proof(author, envelope, len(changed), released)
            self._note_age(changed[0])
        self.refused += refused
        return Applied(
            tuple(changed), tuple(ticks if live else changed), kept, tuple(released), refused
        )

    def restore(self, held: Restored) -> None:
        """Fill an empty book with what a store held; beyond a bound the oldest are refused.

        A store goes on holding what the book has evicted, so it may hold more.
        """
        for stored in sorted(held.latest, key=lambda q: q.received_ns, reverse=True):
            author = self._authors.get(stored.author) or _Author()
            has_room = author.quotes or len(self._authors) < self._authors_max
            if not has_room or len(author.quotes) >= ASSETS_PER_AUTHOR_MAX:
                self.refused += 1
                continue
            self._authors[stored.author] = author
            author.quotes[stored.quote.asset] = stored
            self._by_asset.setdefault(stored.quote.asset, {})[stored.author] = None
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
            self._note_age(stored)

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
            yield from author.quotes.values()

    def quotes_of(self, asset: str) -> Collection[StoredQuote]:
        """What each author last said of an asset."""
        return [self._authors[key].quotes[asset] for key in self._by_asset.get(asset, ())]

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
        self, author: _Author, envelope: Envelope, received_ns: int, released: list[EnvelopeKey]
    ) -> tuple[list[StoredQuote], list[StoredQuote], int]:
        """Put each quote where it is the newest; returns those, all that were taken, and refusals.

        Written out, with hardly a call: a thousand quotes pass here for every update.
        """
        message = envelope.message
        assert isinstance(message.payload, PriceUpdate), "only price updates reach the book"
        key, epoch, seq, issued_ns = message.author, message.epoch, message.seq, message.issued_ns
        held = author.quotes
        changed: list[StoredQuote] = []
        late: list[StoredQuote] = []
        refused = 0
        # Quotes that no longer stand come in runs: an update mostly replaces another one.
        run_epoch = run_seq = run = 0
        superseded: list[tuple[EnvelopeKey, int]] = []
        for stored in map(
            _AS_STORED,
            zip(
                repeat(key),
                message.payload.quotes,
                repeat(epoch),
                repeat(seq),
                repeat(issued_ns),
                repeat(received_ns),
            ),
        ):
            asset = stored[1][0]
            standing = held.get(asset)
            if standing is None:
                if len(held) >= ASSETS_PER_AUTHOR_MAX:
                    refused += 1
                    continue
                self._by_asset.setdefault(asset, {})[key] = None
            elif standing[3] == run_seq and standing[2] == run_epoch:
                run += 1
            elif standing[2:4] >= (epoch, seq):
                # What a peer's memory brought already is no news when it is heard as well.
                if standing[2:4] != (epoch, seq):
                    late.append(stored)
                continue
            else:
                superseded.append((EnvelopeKey(key, run_epoch, run_seq), run))
                run_epoch, run_seq, run = standing[2], standing[3], 1
            held[asset] = stored
            changed.append(stored)
        superseded.append((EnvelopeKey(key, run_epoch, run_seq), run))
        for before, count in superseded:
            self._disprove(author, before, count, released)
        return changed, changed + late, refused

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

    def _note_age(self, stored: StoredQuote) -> None:
        said_ns = min(stored.issued_ns, stored.received_ns)
        self._newest_ns = max(self._newest_ns or 0, said_ns)


def _proves(raw: bytes, key: EnvelopeKey) -> bool:
    try:
        envelope = open_envelope(raw)
    except Malformed:
        return False
    name = envelope.message.name
    said = EnvelopeKey(name.author, name.epoch, name.seq)
    return name.topic is Topic.PRICES and said == key and envelope.is_authentic()
