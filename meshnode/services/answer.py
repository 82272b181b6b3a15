"""Answering: the server's side of the status and prices queries, within their limits."""

from collections.abc import Awaitable, Callable

import trio

from meshnode.core.book import Book
from meshnode.core.facts import QueryAnswered
from meshnode.core.ratelimit import QueryLimiter
from meshnode.core.records import EnvelopeKey
from meshnode.core.report import best_answer
from meshnode.errors import MeshnodeError, StreamBroken
from meshnode.ports import Observer, Stream, WallClock
from meshnode.services.frames import Frames, refuse
from meshnode.services.presence import Presence
from meshnode.services.status import Status
from protocols.errors import FrameTooLarge, ProtocolError
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL
from protocols.limits import EXCHANGE_DEADLINE_S, PRICES_PAGE_BYTES_MAX, REQUEST_BYTES_MAX
from protocols.packing import pack
from protocols.queries import PriceAnswer, PricesReply, PricesRequest, ProofsHeader
from protocols.status import status_request

PAGE_MARGIN_BYTES = 4 * 1024  # for the map around the prices, and the frames' lengths
PROOFS_BETWEEN_CHECKPOINTS = 8  # one that is first asked for after a restart takes a millisecond
ASSETS_BETWEEN_CHECKPOINTS = 100  # about 2 ms of work
_FRAME_HEADER_BYTES = 3
_AUTHOR_BYTES_SHOWN = 8  # of a key, in a cursor: enough to tell authors apart


class Answer:
    """Handlers for the streams of one request and one reply."""

    def __init__(
        self,
        status: Status,
        book: Book,
        presence: Presence,
        limiter: QueryLimiter,
        observer: Observer,
        wall_clock: WallClock,
    ) -> None:
        self._status = status
        self._book = book
        self._presence = presence
        self._limiter = limiter
        self._observer = observer
        self._wall_clock = wall_clock

    async def status(self, stream: Stream) -> None:
        """Answer `/meshprice/status/1.0.0`."""
        await self._answer(stream, STATUS_PROTOCOL, self._send_status)

    async def prices(self, stream: Stream) -> None:
        """Answer `/meshprice/prices/1.0.0`."""
        await self._answer(stream, PRICES_PROTOCOL, self._send_prices)

    async def _answer(
        self, stream: Stream, protocol: str, send: Callable[[Frames, bytes], Awaitable[None]]
    ) -> None:
        frames = Frames(stream, REQUEST_BYTES_MAX)
        started = trio.current_time()
        error: str | None = "timeout"
        with trio.move_on_after(EXCHANGE_DEADLINE_S):
            error = await self._exchange(frames, send)
        now = trio.current_time()
        self._limiter.replied(frames.bytes_sent, now)
        if error is None:
            await stream.close()
        else:
            await stream.reset() if error == "timeout" else await stream.close()
        self._observer.observe(QueryAnswered(stream.peer_id, protocol, now - started, error))

    async def _exchange(
        self, frames: Frames, send: Callable[[Frames, bytes], Awaitable[None]]
    ) -> str | None:
        """One request and its reply; returns the code of the error that was sent instead."""
        try:
            request = await frames.receive()
            if request is None:
                return "empty"
            await send(frames, request)
        except FrameTooLarge as error:
            return await refuse(frames, "too_large", str(error))
        except ProtocolError as error:
            return await refuse(frames, "bad_request", str(error))
        except RateLimited:
            return await refuse(frames, "rate_limited", "ask less often")
        except StreamBroken:
            return "broken"
        return None

    # --- status -----------------------------------------------------------------------------

    async def _send_status(self, frames: Frames, raw: bytes) -> None:
        request = status_request(raw)
        self._admit(frames)
        reply = self._status.reply(request.keys, asker=frames.stream.peer_id)
        await frames.send(reply.to_bytes())

    # --- prices -----------------------------------------------------------------------------

    async def _send_prices(self, frames: Frames, raw: bytes) -> None:
        request = PricesRequest.from_bytes(raw)
        self._admit(frames, follows_cursor=request.cursor is not None)
        if request.proofs:
            await self._send_proofs(frames, request)
            return
        wanted = self._book.assets() if request.assets is None else set(request.assets)
        names = sorted(name for name in wanted if name > (request.cursor or ""))
        active, now_ns = self._presence.providers.active(), self._wall_clock.now_ns()
        room = PRICES_PAGE_BYTES_MAX - PAGE_MARGIN_BYTES
        page: dict[str, PriceAnswer] = {}
        more: str | None = None
        for position, asset in enumerate(names):
            if position % ASSETS_BETWEEN_CHECKPOINTS == 0:
                await trio.lowlevel.checkpoint()
            answer = best_answer(self._book, asset, now_ns, active)
            if answer is None:
                continue
            room -= len(asset) + len(pack(answer.to_map())) + _FRAME_HEADER_BYTES
            if room < 0:
                break
            page[asset] = answer
            more = asset
        await frames.send(PricesReply(page, more if room < 0 else None).to_bytes())

    async def _send_proofs(self, frames: Frames, request: PricesRequest) -> None:
        # Sorted by a key that a cursor can hold: what comes meanwhile sorts in or behind.
        held = sorted((_place(key), key) for key, _ in self._book.proofs(request.assets))
        room = PRICES_PAGE_BYTES_MAX - PAGE_MARGIN_BYTES
        page: list[bytes] = []
        last: str | None = None
        for position, (place, key) in enumerate(held):
            if position % PROOFS_BETWEEN_CHECKPOINTS == 0:
                await trio.lowlevel.checkpoint()
            if request.cursor is not None and place <= request.cursor:
                continue
            raw = self._book.verify_proof(key)
            if raw is None:
                continue
            room -= len(raw) + _FRAME_HEADER_BYTES
            if room < 0 and page:
                break
            page.append(raw)
            last = place
        more = last if room < 0 else None
        await frames.send(ProofsHeader(len(page), more).to_bytes())
        for raw in page:
            await frames.send(raw)

    def _admit(self, frames: Frames, *, follows_cursor: bool = False) -> None:
        peer, now = frames.stream.peer_id, trio.current_time()
        if not self._limiter.admit(peer, now, follows_cursor=follows_cursor):
            raise RateLimited


class RateLimited(MeshnodeError):
    """The peer, or the node as a whole, has used up its budget."""


def _place(key: EnvelopeKey) -> str:
    """Where an envelope stands among all, in 48 characters that sort."""
    return f"{key.author[:_AUTHOR_BYTES_SHOWN].hex()}{key.epoch:016x}{key.seq:016x}"
