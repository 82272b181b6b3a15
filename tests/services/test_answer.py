"""Bob answers: every key, every page, every refusal, and not for ever."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from meshnode.core.facts import PeerMisbehaved, QueryAnswered
from meshnode.core.links import LinkRecord
from meshnode.core.ratelimit import REPLY_BYTES_BURST
from meshnode.core.records import Restored, StoredQuote
from meshnode.core.verdicts import Accepted
from meshnode.errors import PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Stream
from meshnode.services import ask
from meshnode.services.frames import Frames
from protocols.envelope import open_envelope
from protocols.framing import encode_frame
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL
from protocols.limits import (
    ENVELOPE_BYTES_MAX,
    EXCHANGE_DEADLINE_S,
    PRICES_PAGE_BYTES_MAX,
    REQUEST_BYTES_MAX,
    STATUS_REPLY_BYTES_MAX,
)
from protocols.messages import PriceUpdate, Role
from protocols.packing import pack, unpack
from protocols.queries import PricesReply, PricesRequest, ProofsHeader
from protocols.quotes import Quote
from protocols.timestamps import rfc3339
from simulations.clock import START_NS
from tests.cast import ALICE, CAROL, EPOCH, Witness, id_of, key_of, presence, quote, said
from tests.services.bench import Bench, client, open_bench

CURSOR_PAGES_ASKED_MAX = 100


@asynccontextmanager
async def asking(bench: Bench, protocol: str) -> AsyncIterator[tuple[Stream, Frames]]:
    """A raw stream to Bob, and frames over it, for what no honest client says."""
    async with client(bench) as (mesh, peer):
        stream = await mesh.open_stream(peer, protocol)
        yield stream, Frames(stream, PRICES_PAGE_BYTES_MAX)
        await stream.reset()


def map_in(frame: bytes | None) -> dict[str, Any]:
    assert frame is not None
    tree = unpack(frame, "reply", str_bytes_max=1024)
    assert isinstance(tree, dict)
    return tree


def answered(witness: Witness) -> list[str | None]:
    return [fact.error for fact in witness.facts if isinstance(fact, QueryAnswered)]


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


# --- status ---------------------------------------------------------------------------------

STATUS_TYPES: dict[str, type | tuple[type, ...]] = {
    "protocol": int,
    "network": str,
    "node_id": str,
    "agent": str,
    "role": str,
    "uptime_s": int,
    "time": str,
    "mode": str,
    "active_providers": tuple,
    "known_providers": tuple,
    "connected_peers": int,
    "total_network_size": int,
    "peers": tuple,
    "last_update_time": (str, type(None)),
    "data_freshness": dict,
    "extended_offline": bool,
    "offline_duration_minutes": (int, type(None)),
    "outage": (dict, type(None)),
    "connections": tuple,
    "warnings": tuple,
    "truncated": tuple,
}


async def status_map(bench: Bench, request: dict[str, Any]) -> dict[str, Any]:
    """A status as it is on the wire."""
    async with asking(bench, STATUS_PROTOCOL) as (_, frames):
        await frames.send(pack(request))
        return map_in(await frames.receive())


async def test_a_status_has_every_key_and_nil_where_nothing_is_known(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        await trio.sleep(90)
        status = await status_map(bob, {})
    assert status.keys() == STATUS_TYPES.keys()
    for key, kind in STATUS_TYPES.items():
        assert isinstance(status[key], kind), key
    assert status["protocol"] == 1
    assert status["node_id"] == bob.mesh.peer_id
    assert (status["role"], status["network"], status["agent"]) == (
        "consumer",
        "main",
        "meshnode/0",
    )
    assert status["uptime_s"] == 90
    assert status["mode"] == "emergency"
    assert status["active_providers"] == status["known_providers"] == ()
    assert status["connected_peers"] == 0  # who asks is no node
    assert status["total_network_size"] == 1
    assert status["last_update_time"] is None
    assert status["data_freshness"] == {"state": "none", "age_s": None, "text": "no data yet"}
    assert status["extended_offline"] is False
    assert status["offline_duration_minutes"] == 1
    assert status["outage"] == {"since": rfc3339(START_NS), "cause": "unknown"}
    assert {warning["code"] for warning in status["warnings"]} == {"NO_PROVIDERS", "OPEN_NETWORK"}


async def test_a_status_tells_of_providers_peers_and_connections(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, client(bob, 7) as (alice, _):
        bob.links.append(LinkRecord("peer", alice.peer_id))
        await trio.sleep(1)
        bob.hears(said(issued_ns=START_NS + 10**9))
        bob.hears(said(payload=presence(Role.CONSUMER, interval_s=60), by=CAROL))
        await trio.sleep(6)
        status = await status_map(bob, {})
    (provider,) = status["active_providers"]
    assert provider == {
        "provider_id": id_of(ALICE),
        "state": "active",
        "last_seen": rfc3339(START_NS + 10**9),
        "hop_count": None,
        "assets": 1,
    }
    assert status["known_providers"] == status["active_providers"]
    assert status["last_update_time"] == rfc3339(START_NS + 10**9)
    assert status["data_freshness"]["state"] == "just_now"
    assert status["outage"] is status["offline_duration_minutes"] is None
    assert status["mode"] == "normal"
    assert status["total_network_size"] == 3
    assert [peer["node_id"] for peer in status["peers"]] == [alice.peer_id]
    assert status["peers"][0].keys() == {"node_id", "addrs", "rtt_ms"}
    assert [link["kind"] for link in status["connections"]] == ["peer", "store"]
    assert status["connections"][0].keys() == {
        "kind",
        "name",
        "state",
        "reconnect_attempts",
        "last_error",
        "last_success",
    }
    assert [warning["code"] for warning in status["warnings"]] == ["OPEN_NETWORK"]


async def test_some_keys_are_told_if_only_they_are_asked_for(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        status = await status_map(bob, {"keys": ["mode", "no_such_key"], "unknown": 1})
    assert status == {"mode": "emergency"}


async def test_a_status_of_a_thousand_providers_fits_and_says_what_it_cut(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        for number in range(1000):
            author = number.to_bytes(32, "big")
            bob.presence.heard(author, presence(), START_NS)
        status = await ask.status(mesh, peer)
        assert len(status.to_bytes()) <= STATUS_REPLY_BYTES_MAX
        assert set(status["truncated"]) == {"active_providers", "known_providers"}
        assert status["total_network_size"] == 1001


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
        stored = StoredQuote(key_of(ALICE), quote(), EPOCH, 1, START_NS, START_NS)
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
    async with open_bench() as bob, client(bob) as (mesh, peer):
        many_prices(bob, 400)
        bob.limiter.replied(REPLY_BYTES_BURST - 1000, trio.current_time())
        bob.limiter.replied(0, trio.current_time())
        await ask.prices(mesh, peer)
        bob.limiter.replied(REPLY_BYTES_BURST - 100_000, trio.current_time())
        with pytest.raises(QueryRefused, match="rate_limited"):
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


# --- the asker's guards ---------------------------------------------------------------------


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


async def test_an_asker_does_not_follow_cursors_for_ever(autojump_clock: MockClock) -> None:
    asked = 0

    async def go_round(stream: Stream) -> None:
        nonlocal asked
        asked += 1
        await Frames(stream, REQUEST_BYTES_MAX).receive()
        await stream.write(encode_frame(PricesReply({}, "again").to_bytes()))

    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.mesh.serve(PRICES_PROTOCOL, go_round)
        assert await ask.prices(mesh, peer) == {}
        assert asked < CURSOR_PAGES_ASKED_MAX


async def test_an_asker_waits_five_seconds_for_an_answer(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, peer):
        bob.network.frozen.add(peer)
        began_at = trio.current_time()
        with pytest.raises(PeerUnreachable, match="did not answer"):
            await ask.status(mesh, peer)
        assert trio.current_time() - began_at == pytest.approx(EXCHANGE_DEADLINE_S)
