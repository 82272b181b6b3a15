"""One message, one encoding: what is taken, and everything that is not."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given

from protocols.codec import decode_body, encode_body
from protocols.errors import Malformed
from protocols.ids import Topic
from protocols.limits import ENVELOPE_BYTES_MAX, UINT64_MAX
from protocols.messages import Message, PriceUpdate, Reserved
from tests.protocols.bodies import (
    ALICE,
    PRESENCE,
    QUOTE,
    body_of,
    message,
    presence_body,
    price_body,
    quote,
    refused,
    taken,
)
from tests.protocols.strategies import messages

# --- round trips ------------------------------------------------------------------------------


@given(messages())
def test_what_is_encoded_is_decoded_to_the_same(said: Message) -> None:
    body = encode_body(said)
    assert decode_body(body) == said
    assert encode_body(decode_body(body)) == body


def test_a_full_update_keeps_all_thousand_quotes() -> None:
    update = PriceUpdate(tuple(QUOTE._replace(asset=f"A{n}") for n in range(1000)))
    assert decode_body(encode_body(message(update))).payload == update


def test_maps_are_put_in_order_and_an_empty_one_becomes_nil() -> None:
    said = message(PriceUpdate((QUOTE._replace(tags={"b": "2", "a": "1"}),)))
    decoded = decode_body(encode_body(said)).payload
    assert isinstance(decoded, PriceUpdate)
    assert list(decoded.quotes[0].tags or {}) == ["a", "b"]
    empty = message(PriceUpdate((QUOTE._replace(tags={}),)))
    assert encode_body(empty) == encode_body(message(PriceUpdate((QUOTE._replace(tags=None),))))
    nested = message(Reserved(5, ({"b": {}, "a": ({"z": 1, "y": 2},)},)))
    assert decode_body(encode_body(nested)).payload == Reserved(
        5, ({"a": ({"y": 2, "z": 1},), "b": None},)
    )


# --- limits: at and just beyond ---------------------------------------------------------------

QUOTE_LIMITS: list[tuple[str, Any, Any]] = [
    ("asset", "A" * 32, "A" * 33),
    ("asset", "0", ""),
    ("asset", "A.B_C/D-E", "_A"),
    ("mantissa", 2**63 - 1, 2**63),
    ("mantissa", 1, 0),
    ("exponent", 18, 19),
    ("exponent", -18, -19),
    ("observed_ns", UINT64_MAX, -1),
    ("observed_ns", 0, None),
    ("confidence", 2**63 - 1, 2**63),
    ("confidence", 0, -1),
    ("sources", 255, 256),
    ("sources", 0, -1),
    ("tags", {f"{n}": "" for n in range(8)}, {f"{n}": "" for n in range(9)}),
    ("tags", {"k" * 32: "v" * 32}, {"k": "v" * 33}),
    ("tags", {"": "~ "}, {"k" * 33: "v"}),
    ("tags", None, {}),
]


@pytest.mark.parametrize(("field", "good", "bad"), QUOTE_LIMITS)
def test_each_field_of_a_quote_at_its_limit_and_beyond(field: str, good: Any, bad: Any) -> None:
    taken(price_body(quote(**{field: good})))
    refused(price_body(quote(asset="OK"), quote(**{field: bad})), f"quote 1: {field}")


@pytest.mark.parametrize(
    "fields",
    [
        *({name: True} for name in ("mantissa", "exponent", "observed_ns", "confidence")),
        *({name: 1.0} for name in ("mantissa", "exponent", "observed_ns", "confidence")),
        *({name: None} for name in ("asset", "mantissa", "exponent", "confidence", "sources")),
        {"sources": True},
        {"asset": b"BTC"},
        {"asset": "BTC\n"},
        {"asset": "btc"},
        {"asset": "BTC\u0405"},
        {"asset": "BTC\u202eUSD"},
        {"asset": "\x1b[31mBTC"},
        {"asset": "A" * 10_000},
        {"tags": []},
        {"tags": "chain"},
        {"tags": {"chain": 1}},
        {"tags": {"chain": None}},
        {"tags": {"b": "", "a": ""}},
        {"tags": {"é": ""}},
        {"tags": {"a": "\x7f"}},
        {"tags": {"a": "\n"}},
        {"mantissa": float("nan")},
        {"mantissa": -0.0},
    ],
    ids=repr,
)
def test_a_quote_with_a_wrong_field_is_refused(fields: dict[str, Any]) -> None:
    refused(price_body(quote(**fields)))


@pytest.mark.parametrize("name", ["BTC\nUSD", "BTC\n", "\nBTC", "\n"])
def test_two_names_in_one_are_no_asset(name: str) -> None:
    refused(price_body(quote(asset=name)), "asset")
    refused(price_body(quote(asset="OK"), quote(asset=name), quote(asset="OK2")), "quote 1: asset")


def test_a_price_has_one_encoding() -> None:
    refused(price_body(quote(mantissa=10, confidence=0)), "mantissa: a factor of ten")
    refused(price_body(quote(mantissa=10, confidence=20)), "mantissa: a factor of ten")
    taken(price_body(quote(mantissa=10, confidence=1)))
    taken(price_body(quote(mantissa=1, confidence=10)))
    taken(price_body(quote(mantissa=10, confidence=0, exponent=18)))


def test_an_update_has_one_to_a_thousand_quotes_and_an_asset_once() -> None:
    many = [quote(asset=f"A{n}", tags=None) for n in range(1001)]
    taken(price_body(*many[:1000]))
    refused(price_body(*many), "1 to 1000")
    refused(price_body(), "1 to 1000")
    refused(price_body(quote(), quote(mantissa=7)), "twice")


@pytest.mark.parametrize(
    "payload", [[], [[], []], [None], None, [[None]], [[[]]], [[QUOTE[:6]]], [[[*QUOTE, 1]]], 1]
)
def test_a_price_payload_of_another_shape_is_refused(payload: Any) -> None:
    refused(body_of(1, payload))


PRESENCE_LIMITS: list[tuple[str, Any, Any]] = [
    ("role", 1, 2),
    ("role", 1, True),
    ("state", 2, 3),
    ("state", 1, 0),
    ("interval_ms", 1000, 999),
    ("interval_ms", 10_000, 10_001),
    ("ttl_ms", UINT64_MAX, -1),
    ("ttl_ms", 0, None),
    ("addrs", [], None),
    ("addrs", ["/" + "a" * 255], ["/" + "a" * 256]),
    ("addrs", ["/a"] * 10, ["/a"] * 11),
    ("addrs", ["/"], [""]),
    ("addrs", ["/dns4/p2p.example/tcp/1"], ["/ip4/1.2.3.4/tcp/1/p2p/12D3KooW"]),
    ("addrs", ["/a"], ["a/b"]),
    ("addrs", ["/a"], ["/a\n"]),
    ("addrs", ["/a"], [1]),
    ("agent", "a" * 64, "a" * 65),
    ("agent", "", "\x1b[2J"),
    ("agent", "~", "é"),
    ("agent", " ", None),
    ("assets", UINT64_MAX, True),
    ("assets", 0, 1.0),
    ("extra", None, {}),
    ("extra", {f"{n}": "" for n in range(8)}, {f"{n}": "" for n in range(9)}),
    ("extra", {"k" * 64: "v" * 64}, {"k" * 65: "v"}),
    ("extra", {"a": "", "b": ""}, {"b": "", "a": ""}),
    ("extra", {"k": "v" * 64}, {"k": "v" * 65}),
    ("extra", {"k": ""}, {"k": 1}),
]


@pytest.mark.parametrize(("field", "good", "bad"), PRESENCE_LIMITS)
def test_each_field_of_presence_at_its_limit_and_beyond(field: str, good: Any, bad: Any) -> None:
    taken(presence_body(**{field: good}))
    refused(presence_body(**{field: bad}), f"{field}|max_str_len")


def test_a_consumer_may_speak_as_rarely_as_it_likes() -> None:
    taken(presence_body(role=0, interval_ms=1))
    taken(presence_body(role=0, interval_ms=2**63 - 1))
    refused(presence_body(role=0, interval_ms=0), "interval_ms")
    refused(presence_body(role=0, interval_ms=2**63), "interval_ms")


def test_more_fields_than_this_version_knows_are_refused() -> None:
    refused(presence_body(more=None), "payload: not an array of 8")
    refused(body_of(1, [[quote()], None]), "payload: not an array of 1")
    refused(msgpack.packb([3, "main", ALICE, 1, 1, 1, [], None]), "body: not an array of 7")
    refused(msgpack.packb([3, "main", ALICE, 1, 1, []]), "body: not an array of 7")


BODY_LIMITS: list[tuple[str, Any, Any]] = [
    ("network", "a" * 32, "a" * 33),
    ("network", "-", ""),
    ("network", "x", "X"),
    ("network", "x", "x\n"),
    ("network", "x", b"x"),
    ("author", bytes(32), bytes(31)),
    ("author", bytes(32), bytes(33)),
    ("author", bytes(32), "a" * 32),
    *(
        (name, good, bad)
        for name in ("epoch", "seq", "issued_ns")
        for good, bad in [(1, -1), (UINT64_MAX, True), (1, 1.0), (1, None), (1, "1")]
    ),
    ("epoch", 0, -1),
    ("seq", 1, 0),
    ("issued_ns", 0, -1),
]


@pytest.mark.parametrize(("field", "good", "bad"), BODY_LIMITS)
def test_each_field_of_a_body_at_its_limit_and_beyond(field: str, good: Any, bad: Any) -> None:
    taken(body_of(3, [], **{field: good}))
    refused(body_of(3, [], **{field: bad}), field)


@pytest.mark.parametrize("kind", [0, -1, True, None, 3.0, "3"])
def test_a_kind_is_a_positive_integer(kind: Any) -> None:
    refused(body_of(kind, []), "kind")


@pytest.mark.parametrize("kind", [3, 31, 32, UINT64_MAX])
def test_kinds_without_a_meaning_are_read_all_the_same(kind: int) -> None:
    decoded = taken(body_of(kind, [1, "x"]))
    assert decoded.payload == Reserved(kind, (1, "x"))
    assert decoded.kind == kind
    assert decoded.topic is Topic.PRESENCE


def test_a_message_knows_its_kind() -> None:
    assert message(PriceUpdate((QUOTE,))).kind == 1
    assert message(PRESENCE).kind == 2


# --- reserved payloads ------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_body_nests_five_deep() -> None:
    taken(body_of(3, nested(4)))
    refused(body_of(3, nested(5)), "nests more than 5 deep")
    taken(body_of(3, [[{"a": {"b": 1}}]]))
    refused(body_of(3, [[{"a": {"b": []}}]]), "nests more than 5 deep")


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        -0.0,
        float("nan"),
        msgpack.ExtType(1, b"x"),
        msgpack.Timestamp(1),
        {},
        {"a": {}},
        {1: 1},
        {b"a": 1},
        {None: 1},
        {"b": 1, "a": 1},
        {"a" * 65: 1},
        {"\n": 1},
        "a" * 65,
        "é",
        "\x00",
        "\x7f",
        "\u202e",
    ],
    ids=repr,
)
def test_a_reserved_payload_holds_only_what_the_wire_knows(value: Any) -> None:
    refused(body_of(3, [value]))


@pytest.mark.parametrize("payload", [None, 1, "x", b"", {"a": 1}])
def test_a_payload_is_an_array(payload: Any) -> None:
    refused(body_of(3, payload), "payload: not an array")


def test_a_reserved_array_may_be_long() -> None:
    taken(body_of(5, [list(range(5000))]))


# --- encoding refuses what decoding would -----------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        PriceUpdate(()),
        PriceUpdate((QUOTE, QUOTE)),
        PriceUpdate((QUOTE._replace(asset="BTC\n"),)),
        PriceUpdate((QUOTE._replace(mantissa=2**63),)),
        PriceUpdate((QUOTE._replace(mantissa=10, confidence=0),)),
        PriceUpdate((QUOTE._replace(observed_ns=2**64),)),
        PriceUpdate((QUOTE._replace(tags={"a": "\ud800"}),)),
        PriceUpdate((QUOTE._replace(tags={1: "a", "b": "c"}),)),  # type: ignore[dict-item]
        PriceUpdate(tuple(QUOTE._replace(asset=f"A{n}") for n in range(1001))),
        replace(PRESENCE, interval_ms=999),
        replace(PRESENCE, addrs=("/p2p/x",)),
        replace(PRESENCE, agent="\n"),
        replace(PRESENCE, extra={"a": "x" * 65}),
        Reserved(0, ()),
        Reserved(1, (((*QUOTE[:-1], None),),)),
        Reserved(2, (1, 1, 5000, 0, (), "", 0, None)),
        Reserved(2**64, ()),
        Reserved(3, (1.5,)),  # type: ignore[arg-type]
        Reserved(3, (2**64,)),
        Reserved(3, (-(2**63) - 1,)),
        Reserved(3, ([1],)),  # type: ignore[arg-type]
        Reserved(3, (bytearray(1),)),  # type: ignore[arg-type]
        Reserved(3, (((((1,),),),),)),
        Reserved(3, (b"x" * ENVELOPE_BYTES_MAX,)),
    ],
    ids=lambda payload: str(payload)[:60],
)
def test_nothing_is_encoded_that_would_not_be_taken(payload: Any) -> None:
    with pytest.raises(Malformed):
        encode_body(message(payload))


def test_a_bottomless_payload_is_not_encoded() -> None:
    value: Any = ()
    for _ in range(10_000):
        value = (value,)
    with pytest.raises(Malformed, match="nests more than 5 deep"):
        encode_body(message(Reserved(3, value)))


@pytest.mark.parametrize(
    "fields",
    [{"network": "A"}, {"author": bytes(31)}, {"epoch": 2**64}, {"seq": 0}, {"issued_ns": True}],
    ids=repr,
)
def test_a_bad_head_is_not_encoded(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        encode_body(replace(message(PRESENCE), **fields))
