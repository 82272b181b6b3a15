"""What a meshsub stream can carry: too much, malformed, forged, replayed, of no use."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random
from typing import Any

import trio
from libp2p.pubsub.pb import rpc_pb2
from nacl.signing import SigningKey

from protocols.envelope import seal
from protocols.framing import encode_frame
from protocols.ids import Topic, peer_id_bytes
from protocols.messages import Message, Payload, PriceUpdate
from protocols.quotes import Quote
from tests.hostile.hostile_peer import BROKEN, PATIENCE_S, Target, gossiping
from tests.hostile.wire_attacks import GIB_4, Attack
from tests.interop.spec_verifier import sealed

PRICES = Topic.PRICES.on("main")
PRESENCE = Topic.PRESENCE.on("main")
MESSAGE_ID_BYTES = 46
SIGNED_A_TURN = 20  # about two milliseconds


# --- what is sent ---------------------------------------------------------------------------


def signed(key: SigningKey, data: bytes, number: int = 1) -> Any:
    """A gossip message under its author's signature."""
    return altered(key, number, {"data": data})


def altered(key: SigningKey, number: int, fields: dict[str, Any]) -> Any:
    """The same with some fields other than they should be, signed as they are."""
    right = {
        "data": bytes(50),
        "topicIDs": [PRICES],
        "from_id": peer_id_bytes(bytes(key.verify_key)),
        "seqno": number.to_bytes(8, "big"),
    }
    message = rpc_pb2.Message(**(right | fields))
    message.signature = key.sign(b"libp2p-pubsub:" + message.SerializeToString()).signature
    return message


def envelope(
    key: SigningKey,
    seq: int,
    *,
    mantissa: int = 1,
    epoch_ahead: int = 0,
    issued_ahead_s: int = 0,
    payload: Payload | None = None,
) -> bytes:
    """A price of the asset MALLORY, well formed, said now or at another time."""
    now_ns = time.time_ns()
    quote = Quote("MALLORY", mantissa, 1, now_ns, 0, 1, None)
    message = Message(
        "main",
        bytes(key.verify_key),
        now_ns // 10**9 + epoch_ahead,
        seq,
        now_ns + issued_ahead_s * 10**9,
        payload or PriceUpdate((quote,)),
    )
    return seal(message, key).raw


async def in_turns(count: int, make: Callable[[int], Any]) -> list[Any]:
    """So many, made while the other attackers of this process go on."""
    made = []
    for number in range(count):
        made.append(make(number))
        if number % SIGNED_A_TURN == 0:
            await trio.lowlevel.checkpoint()
    return made


def publishing(*messages: Any) -> Any:
    """An RPC of messages."""
    return rpc_pb2.RPC(publish=messages)


def control(**entries: Any) -> Any:
    """An RPC of control messages."""
    return rpc_pb2.RPC(control=rpc_pb2.ControlMessage(**entries))


def message_ids(rng: Random, count: int) -> list[bytes]:
    """Ids of messages that nobody has."""
    return [rng.randbytes(MESSAGE_ID_BYTES) for _ in range(count)]


async def send(target: Target, rpcs: Iterable[Any], key: SigningKey | None = None) -> None:
    """Send, until all is sent or the victim has enough."""
    with suppress(*BROKEN):
        async with gossiping(target, key) as (peer, stream_id):
            with trio.move_on_after(5):
                await peer.rpcs(stream_id, rpcs)


async def ends(target: Target, rpcs: Iterable[Any], key: SigningKey | None = None) -> None:
    """Send what the victim must not take, and see that it ends the connection."""
    async with gossiping(target, key) as (peer, stream_id):
        with suppress(*BROKEN), trio.move_on_after(PATIENCE_S):
            await peer.rpcs(stream_id, rpcs)
        await peer.wait_ended()


# --- RPCs -----------------------------------------------------------------------------------


async def no_protobuf(target: Target, rng: Random) -> None:
    await ends(target, [b"\xff" * 50])


async def lengths_that_lie(target: Target, rng: Random) -> None:
    for lie in (GIB_4, b"\xff" * 12, b"\x81\x80\x80\x80\x40"):
        async with gossiping(target) as (peer, stream_id):
            await peer.data(stream_id, lie)
            await peer.wait_ended()


async def two_mebibytes(target: Target, rng: Random) -> None:
    await ends(target, [publishing(rpc_pb2.Message(data=bytes(2 * 1024 * 1024)))])


async def five_thousand_messages(target: Target, rng: Random) -> None:
    await ends(target, [publishing(*[rpc_pb2.Message(data=bytes(100))] * 5000)])


async def six_thousand_subscriptions(target: Target, rng: Random) -> None:
    strange = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=f"topic/{n}") for n in range(6000)]
    await ends(target, [rpc_pb2.RPC(subscriptions=strange)])


async def subscribing_again_and_again(target: Target, rng: Random) -> None:
    """Each subscription is answered with the last seconds' messages."""
    both = [
        rpc_pb2.RPC.SubOpts(subscribe=on, topicid=topic)
        for on in (True, False)
        for topic in (PRICES, PRESENCE)
    ]
    await send(target, [rpc_pb2.RPC(subscriptions=both * 4)] * 500)


async def half_an_rpc(target: Target, rng: Random) -> None:
    async with gossiping(target) as (peer, stream_id):
        raw = encode_frame(
            publishing(signed(SigningKey.generate(), bytes(200))).SerializeToString()
        )
        with suppress(*BROKEN):
            for byte in raw[:40]:
                await peer.data(stream_id, bytes([byte]))
                await trio.sleep(0.3)
        await peer.wait_ended()


async def altered_rpcs(target: Target, rng: Random) -> None:
    """A true RPC with a few bytes changed, in any field."""
    key = SigningKey.generate()
    true = control(
        ihave=[rpc_pb2.ControlIHave(topicID=PRICES, messageIDs=message_ids(rng, 2))],
        iwant=[rpc_pb2.ControlIWant(messageIDs=message_ids(rng, 2))],
        graft=[rpc_pb2.ControlGraft(topicID=PRICES)],
        prune=[rpc_pb2.ControlPrune(topicID=PRICES, backoff=1)],
        idontwant=[rpc_pb2.ControlIDontWant(messageIDs=message_ids(rng, 2))],
    )
    true.publish.append(signed(key, envelope(key, 1)))
    true.subscriptions.add(subscribe=True, topicid=PRICES)
    raw = true.SerializeToString()
    for _ in range(5):
        copies = []
        for _ in range(40):
            copy = bytearray(raw)
            for _ in range(rng.randint(1, 5)):
                copy[rng.randrange(len(copy))] = rng.randrange(256)
            copies.append(bytes(copy[: rng.choice((len(copy), rng.randrange(len(copy))))]))
        await send(target, copies)


# --- control messages -----------------------------------------------------------------------


async def ihave_spam(target: Target, rng: Random) -> None:
    have = [rpc_pb2.ControlIHave(topicID=PRICES, messageIDs=message_ids(rng, 2000))]
    await send(target, [control(ihave=have)] * 100)


async def iwant_spam(target: Target, rng: Random) -> None:
    want = [rpc_pb2.ControlIWant(messageIDs=message_ids(rng, 1000) * 5)]
    await send(target, [control(iwant=want)] * 50)


async def wanting_the_same_again(target: Target, rng: Random) -> None:
    key = SigningKey.generate()
    message = signed(key, envelope(key, 1))
    want = [rpc_pb2.ControlIWant(messageIDs=[message.from_id + message.seqno] * 1000)]
    await send(target, [publishing(message), *[control(iwant=want)] * 300], key)


async def graft_and_prune_spam(target: Target, rng: Random) -> None:
    grafts = [rpc_pb2.ControlGraft(topicID=t) for t in (PRICES, PRESENCE, "strange")]
    prunes = [
        rpc_pb2.ControlPrune(
            topicID=PRICES,
            backoff=2**63,
            peers=[rpc_pb2.PeerInfo(peerID=rng.randbytes(38), signedPeerRecord=rng.randbytes(99))],
        )
    ]
    await send(target, [control(graft=grafts * 20, prune=prunes * 20)] * 300)


async def idontwant_spam(target: Target, rng: Random) -> None:
    unwanted = [rpc_pb2.ControlIDontWant(messageIDs=message_ids(rng, 5000))]
    await send(target, [control(idontwant=unwanted)] * 50)


async def topics_that_are_no_text(target: Target, rng: Random) -> None:
    graft, prune = b"\x1a\x07\x1a\x05\x0a\x03\xff\xfe\xfd", b"\x1a\x07\x22\x05\x0a\x03\xff\xfe\xfd"
    ihave, subscribe = b"\x1a\x07\x0a\x05\x0a\x03\xff\xfe\xfd", b"\x0a\x06\x08\x01\x12\x02\xff\xfe"
    await send(target, [graft, prune, ihave, subscribe] * 50)


async def peer_records_of_nobody(target: Target, rng: Random) -> None:
    records = [rpc_pb2.RPC(senderRecord=rng.randbytes(size)) for size in (10, 1000, 100_000)]
    await ends(target, records)


# --- messages -------------------------------------------------------------------------------


async def wrong_signatures(target: Target, rng: Random) -> None:
    key = SigningKey.generate()
    forged = []
    for number in range(100):
        message = signed(key, envelope(key, number + 1), number)
        message.signature = rng.choice((b"", b"short", rng.randbytes(64), bytes(10_000)))
        forged.append(publishing(message))
    await ends(target, forged, key)


async def odd_fields(target: Target, rng: Random) -> None:
    """Sequence numbers, authors, topics and keys that no node writes."""
    key = SigningKey.generate()
    odd: list[dict[str, Any]] = [
        {"seqno": b""},
        {"seqno": bytes(7)},
        {"seqno": bytes(9)},
        {"seqno": bytes(60_000)},
        {"from_id": b""},
        {"from_id": b"\x12\x20" + bytes(32)},
        {"from_id": rng.randbytes(38)},
        {"topicIDs": []},
        {"topicIDs": [PRICES, PRESENCE]},
        {"topicIDs": ["/meshprice/other/prices/1"]},
        {"key": b"\xff\xff\xff"},
        {"data": b""},
        {"data": rng.randbytes(200_000)},
    ]
    messages = [altered(key, number, fields) for number, fields in enumerate(odd)]
    await ends(target, [publishing(message) for message in messages * 2], key)


async def rubbish_under_a_true_signature(target: Target, rng: Random) -> None:
    key = SigningKey.generate()
    rubbish = [signed(key, rng.randbytes(rng.randint(0, 300)), n) for n in range(100)]
    await ends(target, [publishing(message) for message in rubbish], key)


async def names_that_break_out(target: Target, rng: Random) -> None:
    """Assets that would be lines of a log, commands to a terminal, tags, paths, or endless."""
    key, now_ns = SigningKey.generate(), time.time_ns()
    names = ["A\r\nlevel=error", "\x1b[2JA", "<script>", "../../A", "A" * 10_000, "A\n"]
    messages = []
    for number, name in enumerate(names * 5, start=1):
        quotes = [[name, 1, 0, now_ns, 0, 1, None]]
        raw = sealed(key, 1, [quotes], epoch=now_ns // 10**9, seq=number, issued_ns=now_ns)
        messages.append(signed(key, raw, number))
    await ends(target, [publishing(message) for message in messages], key)


async def somebody_elses_envelopes(target: Target, rng: Random) -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    stolen = [signed(key, envelope(other, n + 1), n) for n in range(100)]
    await ends(target, [publishing(message) for message in stolen], key)


async def the_same_message_for_ever(target: Target, rng: Random) -> None:
    key = SigningKey.generate()
    message = signed(key, envelope(key, 1))
    await ends(target, [publishing(*[message] * 500)] * 40, key)


async def replays_in_new_messages(target: Target, rng: Random) -> None:
    """A name already seen, in a gossip message that was not."""
    key = SigningKey.generate()
    raw = envelope(key, 1)
    replays = await in_turns(3000, lambda n: signed(key, raw, n))
    await send(target, [publishing(*replays[n : n + 100]) for n in range(0, 3000, 100)], key)


async def equivocations(target: Target, rng: Random) -> None:
    key = SigningKey.generate()
    both = [signed(key, envelope(key, 1, mantissa=10 * n + 1), n) for n in range(50)]
    await send(target, [publishing(message) for message in both], key)


async def other_times(target: Target, rng: Random) -> None:
    key = SigningKey.generate()
    raws = [
        envelope(key, 1, epoch_ahead=1000),
        envelope(key, 2, epoch_ahead=2**40),
        envelope(key, 3, issued_ahead_s=3600),
        envelope(key, 4, issued_ahead_s=-3600),
        envelope(key, 5, epoch_ahead=-1000),
    ]
    await send(target, [publishing(signed(key, raw, n)) for n, raw in enumerate(raws * 20)], key)


async def a_thousand_a_second_of_no_use(target: Target, rng: Random) -> None:
    """Well signed, ignored, and as fast as the victim takes it."""
    key = SigningKey.generate()
    old = await in_turns(2000, lambda n: signed(key, envelope(key, n + 1, issued_ahead_s=-3600), n))
    batches = [publishing(*old[n : n + 100]) for n in range(0, 2000, 100)]
    await ends(target, (batch for _ in range(50) for batch in batches), key)


async def a_thousand_true_prices_a_second(target: Target, rng: Random) -> None:
    """An author without an end: each of its prices is new, and its relay is itself."""
    key = SigningKey.generate()
    with suppress(*BROKEN):
        async with gossiping(target, key) as (peer, stream_id):
            for first in range(0, 5000, 50):
                ends_at = trio.current_time() + 0.05
                batch = [signed(key, envelope(key, n + 1), n) for n in range(first, first + 50)]
                with trio.fail_after(PATIENCE_S):
                    await peer.rpcs(stream_id, map(publishing, batch))
                await trio.sleep_until(ends_at)


GOSSIP_ATTACKS: tuple[Attack, ...] = (
    no_protobuf,
    lengths_that_lie,
    two_mebibytes,
    five_thousand_messages,
    six_thousand_subscriptions,
    subscribing_again_and_again,
    half_an_rpc,
    altered_rpcs,
    ihave_spam,
    iwant_spam,
    wanting_the_same_again,
    graft_and_prune_spam,
    idontwant_spam,
    topics_that_are_no_text,
    peer_records_of_nobody,
    wrong_signatures,
    odd_fields,
    rubbish_under_a_true_signature,
    names_that_break_out,
    somebody_elses_envelopes,
    the_same_message_for_ever,
    replays_in_new_messages,
    equivocations,
    other_times,
    a_thousand_a_second_of_no_use,
    a_thousand_true_prices_a_second,
)
