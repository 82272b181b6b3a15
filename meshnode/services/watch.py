"""Watching: a stream of events for each watcher, first the present state, then every change."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import trio

from meshnode.core.book import Book
from meshnode.core.facts import (
    OutageEnded,
    QueryAnswered,
)
from meshnode.core.ratelimit import QueryLimiter
from meshnode.core.report import best_answer, price_answer
from meshnode.errors import StreamBroken
from meshnode.ports import Observer, Stream, WallClock
from meshnode.services.changes import provider_change
from meshnode.services.feed import (
    Feed,
    FeedEvent,
    ModeChanged,
    OutageChanged,
    PricesChanged,
    ProviderChanged,
    Subscription,
    WarningsChanged,
)
from meshnode.services.frames import Frames, refuse
from meshnode.services.presence import Presence
from meshnode.services.status import Status
from protocols.errors import FrameTooLarge, ProtocolError
from protocols.ids import WATCH_PROTOCOL
from protocols.limits import (
    EXCHANGE_DEADLINE_S,
    REQUEST_BYTES_MAX,
    WATCH_INTERVAL_S,
    WATCHERS_MAX,
    WATCHERS_PER_PEER_MAX,
)
from protocols.queries import PriceAnswer, WatchEvent, WatchRequest
from protocols.timestamps import rfc3339

PRICES_PER_FRAME_MAX = 60  # of at most 900 bytes with all their tags: within a frame's 64 KiB
STATUS_BYTES_MAX = 60 * 1024  # of a `connection_status`; longer lists are cut, and say so
WRITE_DEADLINE_S = 10.0  # a watcher that takes nothing for so long is cut off

CONNECTION_KEYS = (
    "connected_peers",
    "active_providers",
    "extended_offline",
    "offline_duration_minutes",
    "connections",
)

Fields = Mapping[str, Any]


class Watch:
    """Serves `/meshprice/watch/1.0.0`."""

    def __init__(
        self,
        feed: Feed,
        status: Status,
        book: Book,
        presence: Presence,
        limiter: QueryLimiter,
        observer: Observer,
        wall_clock: WallClock,
    ) -> None:
        self._feed = feed
        self._status = status
        self._book = book
        self._presence = presence
        self._limiter = limiter
        self._observer = observer
        self._wall_clock = wall_clock
        self._watchers: Counter[str] = Counter()

    async def serve(self, stream: Stream) -> None:
        """Tell one watcher everything, until either side ends the stream."""
        frames = Frames(stream, REQUEST_BYTES_MAX)
        started = trio.current_time()
        try:
            error = await self._serve(frames)
        except StreamBroken:
            error = "broken"
        except trio.TooSlowError:
            error = "timeout"
        took_s = trio.current_time() - started
        self._observer.observe(QueryAnswered(stream.peer_id, WATCH_PROTOCOL, took_s, error))
        if error in ("broken", "timeout"):
            await stream.reset()
        else:
            await stream.close()

    async def _serve(self, frames: Frames) -> str | None:
        peer = frames.stream.peer_id
        with trio.fail_after(EXCHANGE_DEADLINE_S):
            try:
                raw = await frames.receive()
                if raw is None:
                    return "empty"
                request = WatchRequest.from_bytes(raw)
            except FrameTooLarge as error:
                return await refuse(frames, "too_large", str(error))
            except ProtocolError as error:
                return await refuse(frames, "bad_request", str(error))
            if not self._has_room(peer):
                return await refuse(frames, "rate_limited", "too many watchers")
        self._watchers[peer] += 1
        try:
            with self._feed.subscribe() as subscription:
                return await _Watcher(self, frames, request, subscription).run()
        finally:
            self._watchers[peer] -= 1
            if not self._watchers[peer]:
                del self._watchers[peer]

    def _has_room(self, peer: str) -> bool:
        return (
            self._watchers.total() < WATCHERS_MAX
            and self._watchers[peer] < WATCHERS_PER_PEER_MAX
            and self._limiter.admit(peer, trio.current_time())
        )

    # --- what there is to tell --------------------------------------------------------------

    def time(self) -> str:
        """Now, as every event bears it."""
        return rfc3339(self._wall_clock.now_ns())

    def heartbeat(self) -> Iterator[tuple[str, Fields]]:
        """What is said every ten seconds, whatever happens."""
        reply = self._status.reply(CONNECTION_KEYS)
        yield "connection_status", reply.fitted(STATUS_BYTES_MAX).to_map()
        yield "heartbeat", {"uptime_s": self._status.uptime_s}

    def present_state(self, assets: frozenset[str] | None) -> Iterator[tuple[str, Fields]]:
        """How things stand, in the same events that tell of changes."""
        yield "mode", {"mode": self._status.mode().value}
        for record in tuple(self._presence.providers.records().values()):
            status = self._status.provider(record)
            yield "provider", {**status.to_map(), "change": "present"}
        yield from self._outage()
        yield "warning", {"warnings": self._status.warnings()}
        yield from self.heartbeat()
        names = self._book.assets() if assets is None else assets
        active, now_ns = self._presence.providers.active(), self._wall_clock.now_ns()
        found = (
            (asset, answer)
            for asset in sorted(names)
            if (answer := best_answer(self._book, asset, now_ns, active))
        )
        yield from _price_events(found)

    def told(self, event: FeedEvent, assets: frozenset[str] | None) -> Iterator[tuple[str, Fields]]:
        """An event of the feed in the words of the wire."""
        match event:
            case PricesChanged():
                yield from _price_events(self._changed_prices(event, assets))
            case ProviderChanged(fact=fact):
                peer, change = provider_change(fact)
                yield self._provider(peer, change)
            case OutageChanged(fact=OutageEnded(offline_s=offline_s)):
                yield "outage", {"active": False, "offline_s": int(offline_s)}
            case OutageChanged():
                yield from self._outage()
            case ModeChanged(mode=mode):
                yield "mode", {"mode": mode.value}
            case WarningsChanged():
                yield "warning", {"warnings": self._status.warnings()}

    def _changed_prices(
        self, event: PricesChanged, assets: frozenset[str] | None
    ) -> Iterator[tuple[str, PriceAnswer]]:
        active, now_ns = self._presence.providers.active(), self._wall_clock.now_ns()
        for stored in event.quotes:
            asset = stored.quote.asset
            if assets is not None and asset not in assets:
                continue
            best = self._book.best(asset, active)
            if best is None or best.author != stored.author:
                continue  # it is not the price that this node serves
            # One that was replaced meanwhile had its proof; it is told all the same.
            is_proven = best is not stored or self._book.proof_of(stored) is not None
            yield asset, price_answer(stored, now_ns, active=active, is_proven=is_proven)

    def _provider(self, peer: str, change: Fields) -> tuple[str, Fields]:
        record = self._presence.providers.find(peer)
        known = {"provider_id": peer} if record is None else self._status.provider(record).to_map()
        return "provider", {**known, **change}

    def _outage(self) -> Iterator[tuple[str, Fields]]:
        outage = self._status.outage()
        if outage is not None:
            self._presence.outage.told()
            offline_s = int(self._presence.outage.offline_s(trio.current_time()))
            yield (
                "outage",
                {
                    "active": True,
                    **outage.to_map(),
                    "offline_s": offline_s,
                    "extended": self._presence.outage.is_extended,
                },
            )


class _Watcher:
    """One watcher's stream."""

    def __init__(
        self, watch: Watch, frames: Frames, request: WatchRequest, subscription: Subscription
    ) -> None:
        self._watch = watch
        self._frames = frames
        self._assets = None if request.assets is None else frozenset(request.assets)
        self._events = None if request.events is None else frozenset(request.events)
        self._subscription = subscription
        self._turn = trio.Lock()
        self._error: str | None = None

    async def run(self) -> str | None:
        """Tell until the stream ends; returns why, or None where the watcher ended it."""
        async with trio.open_nursery() as nursery:
            for work in (self._await_end, self._tell_feed, self._beat):
                nursery.start_soon(self._until_broken, work, nursery.cancel_scope)
        return self._error

    async def _until_broken(
        self, work: Callable[[], Awaitable[None]], scope: trio.CancelScope
    ) -> None:
        try:
            await work()
        except StreamBroken:
            self._error = "broken"
        except trio.TooSlowError:
            self._error = "timeout"
        scope.cancel()

    async def _await_end(self) -> None:
        # A watcher has nothing more to say; whatever it sends, or its silence, ends here.
        await self._frames.stream.read(1)

    async def _tell_feed(self) -> None:
        await self._send(self._watch.present_state(self._assets))
        untold = 0
        while True:
            events, missed = await self._subscription.wait_events()
            untold += missed
            for event in events:
                untold = await self._send(self._watch.told(event, self._assets), untold)

    async def _beat(self) -> None:
        while True:
            await trio.sleep(WATCH_INTERVAL_S)
            await self._send(self._watch.heartbeat())

    async def _send(self, events: Iterable[tuple[str, Fields]], missed: int = 0) -> int:
        """Tell events, the first with how many were missed; returns how many nobody told of."""
        async with self._turn:  # heartbeats must not fall between the frames of another event
            for event, fields in events:
                if self._events is not None and event not in self._events:
                    continue
                told = {**fields, "missed": missed} if missed else fields
                missed = 0
                frame = WatchEvent(event, self._watch.time(), told).to_bytes()
                with trio.fail_after(WRITE_DEADLINE_S):
                    await self._frames.send(frame)
        return missed


def _price_events(
    answers: Iterable[tuple[str, PriceAnswer]],
) -> Iterator[tuple[str, Fields]]:
    remaining = iter(answers)
    while page := dict(islice(remaining, PRICES_PER_FRAME_MAX)):
        yield "price", {"prices": page}
