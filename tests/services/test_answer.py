"""Bob answers: every key, every page, every refusal, and not for ever."""

import pytest
import trio
from trio.testing import MockClock

from meshnode.core.facts import PeerMisbehaved
from meshnode.core.ratelimit import REPLY_BYTES_BURST
from meshnode.core.records import Restored, Said, StoredQuote
from meshnode.core.verdicts import Accepted
from meshnode.errors import QueryRefused, StreamBroken
from meshnode.services import ask
from meshnode.services.frames import Frames
from protocols.envelope import open_envelope
from protocols.framing import encode_frame
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL
from protocols.limits import (
    EXCHANGE_DEADLINE_S,
    PRICES_PAGE_BYTES_MAX,
    REQUEST_BYTES_MAX,
)
from protocols.messages import PriceUpdate
from protocols.packing import pack
from protocols.queries import PricesReply, PricesRequest
from protocols.quotes import Quote
from protocols.timestamps import rfc3339
from simulations.clock import START_NS
from tests.cast import ALICE, EPOCH, id_of, key_of, quote, said
from tests.services.bench import Bench, answered, asking, client, map_in, open_bench


def many_prices(bench: Bench, count: int) -> set[str]:
    """Let Bob hear of so many assets, with all the tags that a quote may have."""
    tags = {f"tag{number}".ljust(32, "."): "v" * 32 for number in range(8)}
    names = [f"ASSET{number}-USD" for number in range(count)]
    for seq, start in enumerate(range(0, count, 200), 1):
        quotes = [
            Quote(name, 123_456_789, -4, START_NS, 17, 3, tags)
            for name in names[start : start + 200]
        ]
        assert isinstance(bench.hears(said(*quotes, seq=seq)), Accepted)
    return set(names)


# --- prices ---------------------------------------------------------------------------------


async def test_a_price_is_told_with_all_that_is_known_of_it(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.hears(said(Quote("BTC-USD", 3943248, -2, START_NS, 15, 2, {"chain": "none"})))
        await trio.sleep(30)
        prices = await ask.prices(mesh, peer, ["BTC-USD", "ETH-USD"])
    (answer,) = prices.values()
    assert answer.to_map() == {
        "price": "39432.48",
        "provider_id": id_of(ALICE),
        "observed": rfc3339(START_NS),
        "received": answer.received,
        "age_s": 30,
        "state": "fresh",
        "confidence": "0.15",
        "sources": 2,
        "tags": {"chain": "none"},
    }


async def test_five_thousand_prices_come_in_pages_none_missing_none_twice(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        names = many_prices(bob, 5000)
        pages: list[set[str]] = []
        cursor: str | None = None
        while not pages or cursor:
            stream = await mesh.open_stream(peer, PRICES_PROTOCOL)
            frames = Frames(stream, PRICES_PAGE_BYTES_MAX)
            await frames.send(PricesRequest(cursor=cursor).to_bytes())
            frame = await frames.receive()
            assert frame is not None
            reply = PricesReply.from_bytes(frame)
            pages.append(set(reply.prices))
            cursor = reply.more
            await stream.reset()
        assert len(pages) > 2
        assert sum(map(len, pages)) == 5000
        assert set().union(*pages) == names
        assert set(await ask.prices(mesh, peer)) == names  # the asker follows them, too


async def test_proofs_come_in_pages_and_prove_every_price(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        names = many_prices(bob, 5000)
        raws = [raw async for raw in ask.envelopes(mesh, peer)]
        assert len(raws) == len(set(raws)) == 25
        assert sum(map(len, raws)) > 2 * PRICES_PAGE_BYTES_MAX  # so there were three pages
        assert answered(bob.witness).count(None) >= 3
        proven = set()
        for raw in raws:
            payload = open_envelope(raw).message.payload
            assert isinstance(payload, PriceUpdate)
            proven |= {one.asset for one in payload.quotes}
        assert proven == names
        few = [raw async for raw in ask.envelopes(mesh, peer, ["ASSET0-USD", "ASSET1-USD"])]
        assert len(few) == 1  # one envelope proves both


async def test_a_page_with_its_envelopes_stays_within_its_bytes(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        many_prices(bob, 5000)
        async with asking(bob, PRICES_PROTOCOL) as (stream, frames):
            await frames.send(PricesRequest(proofs=True).to_bytes())
            received = b""
            while data := await stream.read(PRICES_PAGE_BYTES_MAX):
                received += data
    assert PRICES_PAGE_BYTES_MAX // 2 < len(received) <= PRICES_PAGE_BYTES_MAX


async def test_a_price_whose_proof_was_dropped_says_so(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        stored = StoredQuote(Said(key_of(ALICE), EPOCH, 1, START_NS, START_NS), quote())
        bob.book.restore(Restored((stored,)))  # its envelope was damaged on disk
        prices = await ask.prices(mesh, peer)
        assert prices["BTC-USD"].proof is False
        assert [raw async for raw in ask.envelopes(mesh, peer)] == []


async def test_an_empty_book_has_one_empty_page(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        assert await ask.prices(mesh, peer) == {}
        assert [raw async for raw in ask.envelopes(mesh, peer)] == []


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [STATUS_PROTOCOL, PRICES_PROTOCOL])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(b"\xc1"), "bad_request"),
        (encode_frame(pack([1, 2])), "bad_request"),
        (encode_frame(pack({"keys": 5, "assets": 5})), "bad_request"),
        (encode_frame(pack({"keys": [1], "assets": ["btc\n"]})), "bad_request"),
        (b"\xff" * 10, "bad_request"),
        (encode_frame(bytes(REQUEST_BYTES_MAX + 1))[:3], "too_large"),  # refused unread
        (b"\xff\xff\xff\xff\x0f", "too_large"),  # 4 GiB
    ],
)
async def test_what_cannot_be_asked_is_refused_with_its_code(
    autojump_clock: MockClock, protocol: str, data: bytes, code: str
) -> None:
    async with open_bench() as bob:
        async with asking(bob, protocol) as (stream, frames):
            await stream.write(data)
            error = map_in(await frames.receive())["error"]
            assert error["code"] == code
            assert await frames.receive() is None
        assert answered(bob.witness) == [code]
        assert not bob.witness.of(PeerMisbehaved)


async def test_who_asks_too_often_is_refused_for_a_while(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        for _ in range(5):
            await ask.prices(mesh, peer)
        for query in (ask.prices, ask.status):
            with pytest.raises(QueryRefused) as refused:
                await query(mesh, peer)
            assert refused.value.code == "rate_limited"
        async with client(bob, 2) as (other, _):
            await ask.status(other, peer)
        await trio.sleep(15)
        await ask.status(mesh, peer)


async def test_replies_are_paid_for_in_bytes(autojump_clock: MockClock) -> None:
    async with open_bench(delay_s=0.001) as bob, client(bob) as (mesh, peer):
        many_prices(bob, 1000)
        bob.limiter.replied(REPLY_BYTES_BURST, trio.current_time())
        await trio.sleep(0.001)  # a little is earned: enough to be answered once
        await ask.prices(mesh, peer)
        with pytest.raises(QueryRefused, match="rate_limited"):
            await ask.status(mesh, peer)
        await trio.sleep(1)
        await ask.status(mesh, peer)


# --- slow and broken peers ------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [STATUS_PROTOCOL, PRICES_PROTOCOL])
@pytest.mark.parametrize("half", [b"", encode_frame(pack({"keys": ["mode"]}))[:-1]])
async def test_half_a_request_is_cut_off_after_five_seconds(
    autojump_clock: MockClock, protocol: str, half: bytes
) -> None:
    async with open_bench() as bob:
        async with asking(bob, protocol) as (stream, frames):
            if half:
                await stream.write(half)
            began_at = trio.current_time()
            with pytest.raises(StreamBroken):
                await frames.receive()
            assert trio.current_time() - began_at == pytest.approx(EXCHANGE_DEADLINE_S, abs=0.1)
        assert answered(bob.witness) == ["timeout"]


async def test_who_sends_a_byte_a_second_is_cut_off_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        async with asking(bob, STATUS_PROTOCOL) as (stream, _):
            began_at = trio.current_time()
            with pytest.raises(StreamBroken):
                for byte in encode_frame(bytes(1000)):
                    await stream.write(bytes([byte]))
                    await trio.sleep(1)
            assert trio.current_time() - began_at <= EXCHANGE_DEADLINE_S + 1
        assert answered(bob.witness) == ["timeout"]


async def test_who_reads_nothing_is_cut_off(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        many_prices(bob, 5000)
        async with asking(bob, PRICES_PROTOCOL) as (stream, frames):
            await frames.send(PricesRequest().to_bytes())
            await trio.sleep(EXCHANGE_DEADLINE_S + 0.1)
            with pytest.raises(StreamBroken):
                await stream.read(100)
        assert answered(bob.witness) == ["timeout"]


async def test_who_ends_without_a_word_or_in_the_middle_of_one_hurts_nobody(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        for data in (b"", b"\x09half"):
            async with asking(bob, STATUS_PROTOCOL) as (stream, _):
                if data:
                    await stream.write(data)
                await stream.close()
                await trio.sleep(1)
        assert answered(bob.witness) == ["empty", "broken"]
        assert not bob.witness.of(PeerMisbehaved)
