"""Bob is watched: the present state, every change at once, and no watcher delays anybody."""

from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from meshnode.core.facts import OutageExtended
from meshnode.core.links import LinkRecord
from meshnode.core.modes import Mode
from meshnode.errors import QueryRefused, StreamBroken
from meshnode.services.feed import FEED_BUFFER_EVENTS_MAX, ModeChanged, PricesChanged
from meshnode.services.frames import Frames
from meshnode.services.watch import PRICES_PER_FRAME_MAX, WRITE_DEADLINE_S
from protocols.framing import encode_frame
from protocols.ids import WATCH_PROTOCOL
from protocols.limits import (
    EXCHANGE_DEADLINE_S,
    MANTISSA_MAX,
    REQUEST_BYTES_MAX,
    WATCH_INTERVAL_S,
    WATCHERS_MAX,
    WATCHERS_PER_PEER_MAX,
)
from protocols.packing import unpack
from protocols.queries import WatchEvent, WatchRequest
from protocols.quotes import Quote
from protocols.timestamps import rfc3339
from simulations.clock import START_NS
from tests.cast import ALICE, CAROL, NS_PER_S, id_of, presence, quote, said
from tests.services.bench import DELAY_S, PATIENCE_S, Bench, answered, asking, client, open_bench
from tests.services.watcher import Watcher, watching


async def test_first_the_present_state_then_heartbeats(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(quote("BTC-USD", "7"), quote("ETH-USD", "8")))
        async with watching(bob) as watcher:
            assert watcher.names() == [
                "mode",
                "provider",
                "warning",
                "connection_status",
                "heartbeat",
                "price",
            ]
            mode, provider, warning, connections, _, prices = (told for _, told in watcher.heard)
            assert mode["mode"] == "normal"
            assert (provider["provider_id"], provider["change"]) == (id_of(ALICE), "present")
            assert [one["code"] for one in warning["warnings"]] == ["OPEN_NETWORK"]
            assert connections.keys() == {
                "event",
                "time",
                "connected_peers",
                "active_providers",
                "extended_offline",
                "offline_duration_minutes",
                "connections",
            }
            assert {name: one["price"] for name, one in prices["prices"].items()} == {
                "BTC-USD": "7",
                "ETH-USD": "8",
            }
            await trio.sleep(35)
            beats = [at for at, told in watcher.heard if told["event"] == "heartbeat"]
    steps = [later - earlier for earlier, later in pairwise(beats)]
    assert steps == pytest.approx([WATCH_INTERVAL_S] * 3)
    assert len(watcher.of("connection_status")) == len(beats)
    said_at = beats[-1] - DELAY_S  # it was under way for as long as the link takes
    assert watcher.heard[-1][1]["time"] == rfc3339(START_NS + round(said_at * 10**6) * 1000)


async def test_an_outage_is_part_of_the_present_state(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        await trio.sleep(90)
        async with watching(bob) as watcher:
            (outage,) = watcher.of("outage")
    assert outage["active"] is True
    assert (outage["offline_s"], outage["extended"]) == (90, False)
    assert outage["since"] == rfc3339(START_NS)


async def test_every_change_is_told_at_once(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, watching(bob) as watcher:
        del watcher.heard[:]
        bob.hears(said(quote(price="7")))
        await trio.sleep(1)
        bob.presence.connection_lost(id_of(ALICE))
        bob.presence.nobody_to_ask(id_of(ALICE))
        bob.presence.dial_refused(id_of(ALICE))
        bob.feed.publish(ModeChanged(Mode.DEGRADED))
        await trio.sleep(0.1)
        assert [told["event"] for told in (one for _, one in watcher.heard)] == [
            "price",
            "provider",
            "outage",
            "provider",
            "provider",
            "outage",
            "mode",
        ]
        price, new, over, suspected, lost, outage, mode = (told for _, told in watcher.heard)
        assert price["prices"]["BTC-USD"]["price"] == "7"
        assert (new["change"], new["state"]) == ("new", "active")
        assert over["active"] is False  # the present state told of the one since the start
        assert (suspected["change"], suspected["state"]) == ("suspected", "offline")
        assert (lost["change"], lost["cause"], lost["silent_s"]) == ("lost", "connection", 1)
        assert outage["active"] is True
        assert mode["mode"] == "degraded"
        await trio.sleep(4)
        for number in (1, 2):
            issued_ns = START_NS + 5 * NS_PER_S + number
            bob.hears(said(payload=presence(), seq=number, issued_ns=issued_ns))
        await trio.sleep(0.1)
        returned = watcher.heard[-2][1]
        ended = watcher.heard[-1][1]
        assert (returned["change"], returned["gone_s"]) == ("returned", 5)
        assert (ended["active"], ended["offline_s"]) == (False, 5)


async def test_an_extended_outage_is_pushed(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        await trio.sleep(600)
        async with watching(bob, WatchRequest(events=("outage",))) as watcher:
            bob.presence.sweep()
            assert bob.witness.of(OutageExtended)
            await trio.sleep(0.1)
    assert [told["extended"] for told in watcher.of("outage")] == [False, True]


async def test_only_what_is_asked_for_is_told(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(quote("BTC-USD", "7"), quote("ETH-USD", "8")))
        request = WatchRequest(assets=("ETH-USD", "NONE"), events=("price",))
        async with watching(bob, request) as watcher:
            bob.hears(said(quote("BTC-USD", "9"), seq=2))
            bob.hears(said(quote("ETH-USD", "10"), seq=3))
            await trio.sleep(30)
    told = [one["prices"] for one in watcher.of("price")]
    assert [list(prices) for prices in told] == [["ETH-USD"], ["ETH-USD"]]
    assert [prices["ETH-USD"]["price"] for prices in told] == ["8", "10"]
    assert set(watcher.names()) == {"price"}


async def test_a_price_that_is_not_the_one_served_is_no_event(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(quote(price="7"), issued_ns=START_NS))
        async with watching(bob, WatchRequest(events=("price",))) as watcher:
            await trio.sleep(1)
            bob.hears(said(quote(price="8"), by=ALICE, seq=2, issued_ns=START_NS + NS_PER_S))
            await trio.sleep(0.1)
            bob.hears(said(quote(price="9"), by=CAROL, issued_ns=START_NS))
            await trio.sleep(0.1)
    assert [told["prices"]["BTC-USD"]["price"] for told in watcher.of("price")] == ["7", "8"]


async def test_the_largest_prices_fit_into_their_frames(autojump_clock: MockClock) -> None:
    tags = {f"{number}".ljust(32, "k"): "v" * 32 for number in range(8)}
    quotes = [
        Quote(f"{number}".ljust(32, "A"), MANTISSA_MAX, -18, START_NS - 1, MANTISSA_MAX, 255, tags)
        for number in range(2 * PRICES_PER_FRAME_MAX)
    ]
    async with open_bench() as bob, watching(bob, WatchRequest(events=("price",))) as watcher:
        bob.clock.step_ns = -1  # as many digits as a time may have
        bob.hears(said(*quotes))
        await trio.sleep(0.1)
    told = watcher.of("price")
    assert [len(one["prices"]) for one in told] == [PRICES_PER_FRAME_MAX] * 2


# --- limits ---------------------------------------------------------------------------------


async def test_a_peer_s_third_watcher_is_refused_until_one_goes(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer), trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def follow_for_a_while() -> None:
            with first:
                await Watcher().follow(mesh, peer)

        nursery.start_soon(follow_for_a_while)
        for _ in range(WATCHERS_PER_PEER_MAX - 1):
            nursery.start_soon(Watcher().follow, mesh, peer)
        await trio.sleep(1)
        assert bob.feed.watchers == WATCHERS_PER_PEER_MAX
        with trio.fail_after(PATIENCE_S), pytest.raises(QueryRefused) as refused:
            await Watcher().follow(mesh, peer)
        assert refused.value.code == "rate_limited"
        async with watching(bob, number=2) as other:
            assert other.heard
        first.cancel()
        await trio.sleep(20)
        again = Watcher()
        nursery.start_soon(again.follow, mesh, peer)
        await trio.sleep(1)
        assert again.heard
        nursery.cancel_scope.cancel()


async def test_the_sixty_fifth_watcher_is_refused(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        for number in range(WATCHERS_MAX):
            mesh, peer = await stack.enter_async_context(client(bob, number + 1))
            nursery.start_soon(Watcher().follow, mesh, peer)
            await trio.sleep(0.1)  # a node answers fifty a second
        assert bob.feed.watchers == WATCHERS_MAX
        mesh, peer = await stack.enter_async_context(client(bob, 1000))
        with trio.fail_after(PATIENCE_S), pytest.raises(QueryRefused) as refused:
            await Watcher().follow(mesh, peer)
        assert refused.value.code == "rate_limited"
        nursery.cancel_scope.cancel()


async def test_watching_again_and_again_is_limited_like_any_request(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        for _ in range(5):
            with trio.move_on_after(0.5):
                await Watcher().follow(mesh, peer)
        with trio.fail_after(PATIENCE_S), pytest.raises(QueryRefused):
            await Watcher().follow(mesh, peer)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(b"\xc1"), "bad_request"),
        (encode_frame(b"\x81\xa6assets\x05"), "bad_request"),
        (encode_frame(bytes(REQUEST_BYTES_MAX + 1)), "too_large"),
    ],
)
async def test_what_cannot_be_watched_is_refused_with_its_code(
    autojump_clock: MockClock, data: bytes, code: str
) -> None:
    async with open_bench() as bob:
        async with asking(bob, WATCH_PROTOCOL) as (stream, frames):
            await stream.write(data)
            frame = await frames.receive()
            assert frame is not None
            reply = unpack(frame, "reply", str_bytes_max=1024)
            assert isinstance(reply, dict)
            assert reply["error"]["code"] == code
            assert await frames.receive() is None
        assert answered(bob.witness) == [code]
        assert bob.feed.watchers == 0


async def test_half_a_request_is_cut_off_after_five_seconds(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        async with asking(bob, WATCH_PROTOCOL) as (stream, frames):
            await stream.write(encode_frame(bytes(10))[:-1])
            began_at = trio.current_time()
            with pytest.raises(StreamBroken):
                await frames.receive()
            assert trio.current_time() - began_at == pytest.approx(EXCHANGE_DEADLINE_S, abs=0.1)
        assert answered(bob.witness) == ["timeout"]


@pytest.mark.parametrize("how", ["close", "reset", "leave"])
async def test_a_watcher_that_goes_leaves_nothing_behind(
    autojump_clock: MockClock, how: str
) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        stream = await mesh.open_stream(peer, WATCH_PROTOCOL)
        await Frames(stream, 100).send(WatchRequest().to_bytes())
        await trio.sleep(1)
        assert bob.feed.watchers == 1
        if how == "leave":
            await mesh.disconnect(peer)
        elif how == "close":
            await stream.close()
        else:
            await stream.reset()
        await trio.sleep(0.1)
        assert bob.feed.watchers == 0
        assert answered(bob.witness) == [None if how == "close" else "broken"]


# --- slow watchers --------------------------------------------------------------------------


async def read_events(frames: Frames, until_s: float) -> list[WatchEvent]:
    """All that comes until then."""
    events = []
    with trio.move_on_at(until_s):
        while (frame := await frames.receive()) is not None:
            events.append(WatchEvent.from_bytes(frame))
    return events


def flood(bench: Bench, updates: int, *, assets: int) -> None:
    """So many updates, each of so many assets."""
    bench.hears(said(*(quote(f"ASSET{number}-USD") for number in range(assets))))
    quotes = tuple(one for asset in bench.book.assets() for one in bench.book.quotes_of(asset))
    for _ in range(updates):
        bench.feed.publish(PricesChanged(quotes))


@pytest.mark.parametrize("events", [None, ("mode",)])
async def test_a_slow_watcher_loses_the_oldest_and_is_told_how_many(
    autojump_clock: MockClock, events: tuple[str, ...] | None
) -> None:
    async with open_bench() as bob, asking(bob, WATCH_PROTOCOL) as (_, frames):
        await frames.send(WatchRequest(events=events).to_bytes())
        await trio.sleep(1)
        flood(bob, FEED_BUFFER_EVENTS_MAX + 20, assets=1)
        bob.feed.publish(ModeChanged(Mode.DEGRADED))
        told = await read_events(frames, trio.current_time() + 5)
        missed = [event.fields["missed"] for event in told if "missed" in event.fields]
        # What is lost beside the updates: that Alice was discovered, and the first of her prices.
        assert len(missed) == 1
        assert 21 <= missed[0] <= 24
        bob.feed.publish(ModeChanged(Mode.NORMAL))
        later = await read_events(frames, trio.current_time() + 1)
        assert not any("missed" in event.fields for event in later)  # told once
    assert bob.limiter.refused == 0


async def test_a_watcher_that_takes_nothing_is_cut_off_and_delays_nobody(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        watching(bob, number=2) as quick,
        asking(bob, WATCH_PROTOCOL) as (_, frames),
    ):
        await frames.send(WatchRequest().to_bytes())
        await trio.sleep(1)
        began_at = trio.current_time()
        for _ in range(10):
            flood(bob, 4, assets=60)
            await trio.sleep(0.1)
        assert len(quick.of("price")) > 40
        assert not any("missed" in told for _, told in quick.heard)
        assert bob.feed.watchers == 2
        await trio.sleep_until(began_at + WRITE_DEADLINE_S + 1)
        assert bob.feed.watchers == 1
        assert answered(bob.witness) == ["timeout"]
        with pytest.raises(StreamBroken):
            await read_events(frames, trio.current_time() + 5)


async def test_a_status_of_many_connections_is_cut_to_fit_its_frame(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        for number in range(1000):
            link = LinkRecord("peer", f"peer {number}".ljust(60, "."))
            link.failed("x" * 200, 7)
            bob.links.append(link)
        async with watching(bob) as watcher:
            (told,) = watcher.of("connection_status")
    assert list(told["truncated"]) == ["connections"]
