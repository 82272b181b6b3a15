"""Who asks guards itself: against floods, silence and answers without an end."""

import pytest
import trio
from trio.testing import MockClock

from meshnode.errors import PeerUnreachable
from meshnode.ports import Stream
from meshnode.services import ask
from meshnode.services.frames import Frames
from protocols.framing import encode_frame
from protocols.ids import PRICES_PROTOCOL, WATCH_PROTOCOL
from protocols.limits import (
    ENVELOPE_BYTES_MAX,
    EXCHANGE_DEADLINE_S,
    PRICES_PAGE_BYTES_MAX,
    REQUEST_BYTES_MAX,
    WATCH_FRAME_BYTES_MAX,
    WATCH_INTERVAL_S,
)
from protocols.queries import PricesReply, ProofsHeader, WatchRequest
from tests.cast import quote, said
from tests.services.bench import PATIENCE_S, client, open_bench
from tests.services.watcher import Watcher, watching

CURSOR_PAGES_ASKED_MAX = 100


async def test_an_asker_takes_no_page_beyond_its_bytes(autojump_clock: MockClock) -> None:
    sent = 0

    async def flood(stream: Stream) -> None:
        nonlocal sent
        await stream.write(encode_frame(ProofsHeader(8000).to_bytes()))
        while True:
            await stream.write(encode_frame(bytes(ENVELOPE_BYTES_MAX)))
            sent += ENVELOPE_BYTES_MAX

    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.mesh.serve(PRICES_PROTOCOL, flood)
        with pytest.raises(ValueError, match="at most"):
            async for _ in ask.envelopes(mesh, peer):
                pass
        assert sent <= 2 * PRICES_PAGE_BYTES_MAX


@pytest.mark.parametrize("page", [PricesReply({}, "again"), ProofsHeader(0, "again")])
async def test_an_asker_does_not_follow_cursors_for_ever(
    autojump_clock: MockClock, page: PricesReply | ProofsHeader
) -> None:
    asked = 0

    async def go_round(stream: Stream) -> None:
        nonlocal asked
        asked += 1
        await Frames(stream, REQUEST_BYTES_MAX).receive()
        await stream.write(encode_frame(page.to_bytes()))

    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.mesh.serve(PRICES_PROTOCOL, go_round)
        with trio.fail_after(PATIENCE_S):
            if isinstance(page, PricesReply):
                assert await ask.prices(mesh, peer) == {}
            else:
                assert [raw async for raw in ask.envelopes(mesh, peer)] == []
        assert asked < CURSOR_PAGES_ASKED_MAX


async def test_an_asker_waits_five_seconds_for_an_answer(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.network.frozen.add(peer)
        began_at = trio.current_time()
        with trio.fail_after(PATIENCE_S), pytest.raises(PeerUnreachable, match="did not answer"):
            await ask.status(mesh, peer)
        assert trio.current_time() - began_at == pytest.approx(EXCHANGE_DEADLINE_S)


async def test_a_node_that_says_nothing_for_three_heartbeats_is_gone(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.network.frozen.add(peer)
        began_at = trio.current_time()
        with trio.fail_after(PATIENCE_S), pytest.raises(PeerUnreachable, match="said nothing"):
            await Watcher().follow(mesh, peer)
        assert trio.current_time() - began_at == pytest.approx(3 * WATCH_INTERVAL_S, abs=0.1)


async def test_a_node_with_nothing_to_tell_is_not_gone(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, watching(bob, WatchRequest(events=("price",))) as watcher:
        await trio.sleep(300)
        assert watcher.heard == []  # the heartbeats that say so were not asked for
        bob.hears(said(quote(price="7"), issued_ns=bob.clock.now_ns()))
        await trio.sleep(0.1)
        assert watcher.names() == ["price"]


async def test_an_oversized_frame_is_not_read(autojump_clock: MockClock) -> None:
    async def shout(stream: Stream) -> None:
        await stream.write(encode_frame(bytes(WATCH_FRAME_BYTES_MAX + 1)))

    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.mesh.serve(WATCH_PROTOCOL, shout)
        with pytest.raises(ValueError, match="at most"):
            await Watcher().follow(mesh, peer)
