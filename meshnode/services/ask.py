"""Asking a peer: the client's side of the three queries.

Every function raises PeerUnreachable where the peer does not answer in time or does not speak the
protocol, StreamBroken where it stops in the middle, QueryRefused where it answers with an error,
and ProtocolError where what it says breaks the protocol.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import trio

from meshnode.errors import PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Mesh
from meshnode.services.frames import Frames
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL, WATCH_PROTOCOL
from protocols.limits import (
    CURSOR_PAGES_MAX,
    ENVELOPE_BYTES_MAX,
    EXCHANGE_DEADLINE_S,
    PRICES_PAGE_BYTES_MAX,
    STATUS_REPLY_BYTES_MAX,
    WATCH_FRAME_BYTES_MAX,
    WATCH_INTERVAL_S,
)
from protocols.queries import (
    ErrorReply,
    PriceAnswer,
    PricesReply,
    PricesRequest,
    ProofsHeader,
    Reply,
    WatchEvent,
    WatchRequest,
    reply_from_bytes,
)
from protocols.status import StatusReply, status_request_bytes

# A node says something every ten seconds; one that misses three is gone.
WATCH_SILENCE_MAX_S = 3 * WATCH_INTERVAL_S
HEARTBEAT = "heartbeat"

T = TypeVar("T")


async def status(mesh: Mesh, peer: str, keys: Iterable[str] | None = None) -> StatusReply:
    """What a connected peer says of itself, everything or the keys named."""
    request = status_request_bytes(None if keys is None else tuple(keys))

    async def exchange(frames: Frames) -> StatusReply:
        await frames.send(request)
        return await _reply(frames, StatusReply)

    return await _exchange(mesh, peer, STATUS_PROTOCOL, STATUS_REPLY_BYTES_MAX, exchange)


async def prices(
    mesh: Mesh, peer: str, assets: Iterable[str] | None = None
) -> dict[str, PriceAnswer]:
    """The prices a peer serves, all or those of the assets named that it has."""
    wanted = None if assets is None else tuple(assets)
    found: dict[str, PriceAnswer] = {}
    cursor: str | None = None
    for _ in range(CURSOR_PAGES_MAX):
        request = PricesRequest(wanted, proofs=False, cursor=cursor)

        async def exchange(frames: Frames, request: PricesRequest = request) -> PricesReply:
            await frames.send(request.to_bytes())
            return await _reply(frames, PricesReply)

        page = await _exchange(mesh, peer, PRICES_PROTOCOL, PRICES_PAGE_BYTES_MAX, exchange)
        found.update(page.prices)
        cursor = page.more
        if cursor is None:
            break
    return found


async def envelopes(
    mesh: Mesh, peer: str, assets: Iterable[str] | None = None
) -> AsyncGenerator[bytes, None]:
    """The envelopes behind a peer's prices, as they were received; none of them is judged yet."""
    wanted = None if assets is None else tuple(assets)
    cursor: str | None = None
    for _ in range(CURSOR_PAGES_MAX):
        request = PricesRequest(wanted, proofs=True, cursor=cursor)

        async def exchange(
            frames: Frames, request: PricesRequest = request
        ) -> tuple[list[bytes], str | None]:
            await frames.send(request.to_bytes())
            header = await _reply(frames, ProofsHeader)
            return await _page(frames, header.envelopes), header.more

        page, cursor = await _exchange(mesh, peer, PRICES_PROTOCOL, PRICES_PAGE_BYTES_MAX, exchange)
        for raw in page:
            yield raw
        if cursor is None:
            return


async def watch(
    mesh: Mesh,
    peer: str,
    request: WatchRequest | None = None,
    *,
    silence_max_s: float = WATCH_SILENCE_MAX_S,
) -> AsyncGenerator[WatchEvent, None]:
    """A peer's events: first its present state, then every change, until it ends the stream.

    One that says nothing for `silence_max_s` is unreachable.
    """
    asked = request or WatchRequest()
    wanted = asked.events
    if wanted is not None:
        # Without a heartbeat a node that has nothing to tell is like one that is gone.
        asked = replace(asked, events=(*wanted, HEARTBEAT))
    stream = await mesh.open_stream(peer, WATCH_PROTOCOL)
    frames = Frames(stream, WATCH_FRAME_BYTES_MAX)
    try:
        await frames.send(asked.to_bytes())
        while True:
            with trio.move_on_after(silence_max_s) as scope:
                frame = await frames.receive()
            if scope.cancelled_caught:
                raise PeerUnreachable(f"{peer} has said nothing for {silence_max_s} s")
            if frame is None:
                return
            event = _unless_refused(reply_from_bytes(WatchEvent, frame))
            if wanted is None or event.event in wanted:
                yield event
    finally:
        with trio.CancelScope(shield=True):
            await stream.reset()


async def _exchange(
    mesh: Mesh,
    peer: str,
    protocol: str,
    reply_bytes_max: int,
    exchange: Callable[[Frames], Awaitable[T]],
) -> T:
    """One request and its reply on a stream of their own, under one deadline."""
    with trio.move_on_after(EXCHANGE_DEADLINE_S):
        stream = await mesh.open_stream(peer, protocol)
        try:
            result = await exchange(Frames(stream, reply_bytes_max))
        except BaseException:
            with trio.CancelScope(shield=True):
                await stream.reset()
            raise
        await stream.close()
        return result
    raise PeerUnreachable(f"{peer} did not answer within {EXCHANGE_DEADLINE_S} s")


async def _reply(frames: Frames, kind: type[Reply]) -> Reply:
    return _unless_refused(reply_from_bytes(kind, await _frame(frames)))


async def _page(frames: Frames, count: int) -> list[bytes]:
    """So many envelopes, all together within a page, whatever the peer announced."""
    page: list[bytes] = []
    room = PRICES_PAGE_BYTES_MAX
    for _ in range(count):
        frames.limit = min(ENVELOPE_BYTES_MAX, room)
        page.append(await _frame(frames))
        room -= len(page[-1])
    return page


async def _frame(frames: Frames) -> bytes:
    frame = await frames.receive()
    if frame is None:
        raise StreamBroken(f"{frames.stream.peer_id} ended the stream before its reply was whole")
    return frame


def _unless_refused(reply: Reply | ErrorReply) -> Reply:
    if isinstance(reply, ErrorReply):
        raise QueryRefused(reply.code, reply.message)
    return reply
