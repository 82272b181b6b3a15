"""What a provider publishes, and when: changes at once, everything once a minute."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.limits import ENVELOPE_BYTES_MAX, QUOTES_MAX
from protocols.quotes import Quote

WINDOW_S = 0.1
HEARTBEAT_S = 60.0
STALE_S = 3600.0
ASSETS_MAX = 10_000

# An envelope without its quotes is under 200 bytes.
QUOTES_BYTES_MAX = ENVELOPE_BYTES_MAX - 256

# A heartbeat is due a little before its time, because whoever carries it out may be late; and
# what would be due soon goes along, so that heartbeats gather instead of trickling.
_DUE_PART = 0.98
_JOIN_PART = 0.9

_OBSERVED_NS = Quote._fields.index("observed_ns")


@dataclass(slots=True)
class _Provided:
    quote: Quote
    observed_at: float
    published: Quote | None = None
    published_at: float = 0.0


class Publication:
    """Which quotes go into the next updates. Pure: times are seconds of any one steady clock.

    A change of an asset's price, confidence, sources or tags is due `window_s` after the first
    change that is waiting; the newest quote of an asset wins. Every asset is due again before
    `heartbeat_s` have passed since it was last published, with its newest `observed_ns`, until
    no new observation has come for `stale_s`: what its source forgot is not kept alive.
    Nothing is published that was not offered. At most `assets_max` assets are kept; beyond that
    a silent one makes room, or the new one is refused and counted.
    """

    def __init__(
        self,
        *,
        window_s: float = WINDOW_S,
        heartbeat_s: float = HEARTBEAT_S,
        stale_s: float = STALE_S,
        quotes_max: int = QUOTES_MAX,
        bytes_max: int = QUOTES_BYTES_MAX,
        assets_max: int = ASSETS_MAX,
    ) -> None:
        self._window_s = window_s
        self._heartbeat_s = heartbeat_s
        self._stale_s = stale_s
        self._quotes_max = quotes_max
        self._bytes_max = bytes_max
        self._assets_max = assets_max
        self._provided: dict[str, _Provided] = {}
        # Every provided asset is in exactly one of these, in the order in which it got there;
        # so the first of the fresh ones is the next to be due.
        self._changed: dict[str, None] = {}
        self._fresh: dict[str, None] = {}
        self._silent: dict[str, None] = {}
        self._window_ends_at: float | None = None
        self._refused = 0

    @property
    def assets(self) -> int:
        """How many assets are provided: offered and not gone silent."""
        return len(self._changed) + len(self._fresh)

    @property
    def refused(self) -> int:
        """How many offers found no room."""
        return self._refused

    @property
    def window_ends_at(self) -> float | None:
        """When the changes that are waiting are due; None while there are none."""
        return self._window_ends_at

    def newest(self, asset: str) -> Quote | None:
        """The newest quote offered of an asset, published or not."""
        provided = self._provided.get(asset)
        return provided.quote if provided else None

    def offer(self, quote: Quote, now: float) -> bool:
        """Take in a quote; False when there is no room for another asset."""
        provided = self._provided.get(quote.asset)
        if provided is None:
            if not self._has_room():
                self._refused += 1
                return False
            self._provided[quote.asset] = _Provided(quote, observed_at=now)
            self._mark_changed(quote.asset, now)
            return True
        is_new = quote != provided.quote
        if is_new:
            provided.observed_at = now
        provided.quote = quote
        # An asset that was silent is news to everybody, whatever its price.
        revived = is_new and quote.asset in self._silent
        if revived or provided.published is None or _differs(quote, provided.published):
            self._mark_changed(quote.asset, now)
        return True

    def repeat(self, now: float) -> None:
        """Have all that was published said again after a window: perhaps nobody could hear it."""
        for asset in list(self._fresh):
            self._mark_changed(asset, now)

    def due_at(self) -> float | None:
        """When `take` has something to do next; None while nothing is waiting for it."""
        oldest = next(iter(self._fresh), None)
        if oldest is None:
            return self._window_ends_at
        beat_at = self._provided[oldest].published_at + _DUE_PART * self._heartbeat_s
        return beat_at if self._window_ends_at is None else min(beat_at, self._window_ends_at)

    def take(self, now: float) -> list[tuple[Quote, ...]]:
        """The updates to publish now, each within the limits of one message; often none.

        What is taken counts as published.
        """
        due_at = self.due_at()
        if due_at is None or now < due_at:
            return []
        assets = [*self._changed, *self._take_beats(now)]
        self._changed.clear()
        self._window_ends_at = None
        for asset in assets:
            provided = self._provided[asset]
            provided.published = provided.quote
            provided.published_at = now
            self._fresh[asset] = None
        return list(self._split(self._provided[asset].quote for asset in assets))

    def _take_beats(self, now: float) -> list[str]:
        """Remove from the fresh ones what is to be said again now, and what has gone silent."""
        beats: list[str] = []
        for asset in self._fresh:
            provided = self._provided[asset]
            if now < provided.published_at + _JOIN_PART * self._heartbeat_s:
                break
            beats.append(asset)
        for asset in beats:
            del self._fresh[asset]
        silent = [
            asset for asset in beats if now - self._provided[asset].observed_at >= self._stale_s
        ]
        self._silent.update(dict.fromkeys(silent))
        return [asset for asset in beats if asset not in self._silent]

    def _mark_changed(self, asset: str, now: float) -> None:
        self._fresh.pop(asset, None)
        self._silent.pop(asset, None)
        self._changed[asset] = None
        if self._window_ends_at is None:
            self._window_ends_at = now + self._window_s

    def _has_room(self) -> bool:
        if len(self._provided) < self._assets_max:
            return True
        longest_silent = next(iter(self._silent), None)
        if longest_silent is None:
            return False
        del self._silent[longest_silent], self._provided[longest_silent]
        return True

    def _split(self, quotes: Iterable[Quote]) -> Iterable[tuple[Quote, ...]]:
        update: list[Quote] = []
        room_bytes = self._bytes_max
        for quote in quotes:
            quote_bytes = encoded_bytes_max(quote)
            if update and (len(update) == self._quotes_max or quote_bytes > room_bytes):
                yield tuple(update)
                update, room_bytes = [], self._bytes_max
            update.append(quote)
            room_bytes -= quote_bytes
        if update:
            yield tuple(update)


def encoded_bytes_max(quote: Quote) -> int:
    """At least as many bytes as the quote needs on the wire: its texts, and the longest numbers."""
    tags = quote.tags or {}
    texts = [quote.asset, *tags.keys(), *tags.values()]
    # Heads of 1 byte for the quote and its tags, 2 for each text; 9 bytes for each of mantissa,
    # time and confidence, 2 for each of exponent and sources.
    return 1 + 1 + 3 * 9 + 2 * 2 + sum(2 + len(text) for text in texts)


def _differs(quote: Quote, other: Quote) -> bool:
    """Whether anything but the time of observation differs; sliced, as every quote comes here."""
    before, after = slice(_OBSERVED_NS), slice(_OBSERVED_NS + 1, None)
    return quote[before] != other[before] or quote[after] != other[after]
