"""Queries: what is asked, what is answered, and what a stranger may not make us print."""

import json
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from protocols.errors import Malformed
from protocols.limits import PRICES_PAGE_BYTES_MAX, REQUEST_BYTES_MAX
from protocols.queries import (
    ErrorReply,
    PriceAnswer,
    PricesReply,
    PricesRequest,
    ProofsHeader,
    WatchEvent,
    WatchRequest,
    reply_from_bytes,
)
from protocols.status import ConnectionStatus, StatusReply, StatusRequest

NOW = "2026-01-31T08:15:00.25Z"
PRICE = PriceAnswer("39432.48", "alice", NOW, NOW, 3, "fresh", "0.05", 2, {"chain": "x"}, False)
SQLITE = ConnectionStatus("store", "sqlite", "connected", 0, None, NOW)


def frame(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


# --- requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "plain"),
    [
        (StatusRequest(), {}),
        (StatusRequest(("time", "mode")), {"keys": ["time", "mode"]}),
        (PricesRequest(), {"assets": None, "proofs": False, "cursor": None}),
        (
            PricesRequest(("BTC-USD",), proofs=True, cursor="c" * 64),
            {"assets": ["BTC-USD"], "proofs": True, "cursor": "c" * 64},
        ),
        (WatchRequest(), {"assets": None, "events": None}),
        (WatchRequest(("A",), ("price",)), {"assets": ["A"], "events": ["price"]}),
    ],
)
def test_requests(request_: Any, plain: dict[str, Any]) -> None:
    assert request_.to_map() == plain
    assert type(request_).from_bytes(request_.to_bytes()) == request_


@pytest.mark.parametrize("kind", [StatusRequest, PricesRequest, WatchRequest])
def test_a_request_may_say_less_or_more_than_we_know(kind: Any) -> None:
    assert kind.from_bytes(frame({})) == kind()
    assert kind.from_bytes(frame({"future": 1.5, b"x": [{}], "other": {"a": {}}})) == kind()
    with pytest.raises(Malformed, match="at most 4096"):
        kind.from_bytes(frame({"future": bytes(REQUEST_BYTES_MAX)}))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (StatusRequest, {"keys": "time"}),
        (StatusRequest, {"keys": [1]}),
        (StatusRequest, {"keys": ["\x1b"]}),
        (StatusRequest, {"keys": ["k"] * 65}),
        (StatusRequest, {"keys": {"time": 1}}),
        (PricesRequest, {"assets": "BTC"}),
        (PricesRequest, {"assets": ["btc"]}),
        (PricesRequest, {"assets": ["BTC\n"]}),
        (PricesRequest, {"assets": [None]}),
        (PricesRequest, {"proofs": 1}),
        (PricesRequest, {"cursor": "c" * 65}),
        (PricesRequest, {"cursor": b"c"}),
        (PricesRequest, {"cursor": 1}),
        (WatchRequest, {"assets": 1}),
        (WatchRequest, {"events": [1]}),
        (WatchRequest, {"events": ["price"] * 17}),
        (StatusRequest, []),
        (StatusRequest, None),
        (PricesRequest, 1),
        (PricesRequest, "x"),
    ],
)
def test_a_request_of_wrong_types_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(Malformed):
        kind.from_bytes(frame(value))


def test_a_request_over_its_limit_is_not_sent() -> None:
    with pytest.raises(Malformed, match="at most 4096"):
        PricesRequest(tuple(f"ASSET-{n:020}" for n in range(200))).to_bytes()


# --- prices -----------------------------------------------------------------------------------


def test_a_page_of_prices() -> None:
    unknown = PriceAnswer("1", None, None, None, None, "default")
    page = PricesReply({"BTC-USD": PRICE, "ETH-USD": unknown}, "next")
    assert reply_from_bytes(PricesReply, page.to_bytes()) == page
    told = page.to_map()
    assert json.loads(json.dumps(told)) == told
    assert told["prices"]["BTC-USD"] == {
        "price": "39432.48",
        "provider_id": "alice",
        "observed": NOW,
        "received": NOW,
        "age_s": 3,
        "state": "fresh",
        "confidence": "0.05",
        "sources": 2,
        "tags": {"chain": "x"},
        "proof": False,
    }
    assert "proof" not in told["prices"]["ETH-USD"]


@pytest.mark.parametrize(
    "fields",
    [
        {"price": 1},
        {"price": 1.5},
        {"price": None},
        {"price": "1e3"},
        {"price": "-1"},
        {"price": "NaN"},
        {"price": "1."},
        {"price": ".5"},
        {"price": "01"},
        {"price": "1\n"},
        {"price": "1" * 65},
        {"confidence": "x"},
        {"provider_id": "\x1b[2J"},
        {"provider_id": "a" * 65},
        {"observed": "yesterday"},
        {"observed": 1},
        {"received": ""},
        {"age_s": -1},
        {"age_s": 1.0},
        {"age_s": True},
        {"state": "good"},
        {"state": None},
        {"sources": 256},
        {"tags": {"a": 1}},
        {"tags": {1: "a"}},
        {"tags": {"a": "\u202e"}},
        {"tags": {f"{n}": "" for n in range(9)}},
        {"proof": 0},
    ],
    ids=repr,
)
def test_a_price_with_a_wrong_field_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        PricesReply.from_bytes(frame({"prices": {"A": {**PRICE.to_map(), **fields}}}))
    with pytest.raises(Malformed):
        replace(PRICE, **fields)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"prices": None},
        {"prices": []},
        {"prices": {"a": PRICE.to_map()}},
        {"prices": {"A": None}},
        {"prices": {}, "more": 1},
        {"prices": {}, "more": "x" * 65},
    ],
)
def test_a_page_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        PricesReply.from_bytes(frame(value))


def test_tags_come_in_order_and_an_empty_map_is_nil() -> None:
    assert list(replace(PRICE, tags={"b": "", "a": ""}).tags or ()) == ["a", "b"]
    assert replace(PRICE, tags={}).tags is None


def test_a_page_ends_at_one_mebibyte() -> None:
    page = PricesReply({f"A{n}": PRICE for n in range(8000)})
    with pytest.raises(Malformed, match="at most 1048576"):
        page.to_bytes()
    with pytest.raises(Malformed, match="at most 1048576"):
        PricesReply.from_bytes(bytes(PRICES_PAGE_BYTES_MAX + 1))


def test_the_header_of_a_page_with_proofs() -> None:
    header = ProofsHeader(3, "next")
    assert reply_from_bytes(ProofsHeader, header.to_bytes()) == header
    assert header.to_map() == {"envelopes": 3, "more": "next"}
    for count in (-1, 10_000, 1.0, None, True):
        with pytest.raises(Malformed):
            ProofsHeader.from_bytes(frame({"envelopes": count}))


# --- watch and errors -------------------------------------------------------------------------


def test_events_are_one_flat_map() -> None:
    event = WatchEvent("price", NOW, {"asset": "BTC-USD", **PRICE.to_map(), "missed": 3})
    assert event.to_map()["asset"] == "BTC-USD"
    assert event.to_map()["event"] == "price"
    assert reply_from_bytes(WatchEvent, event.to_bytes()) == event
    parts = WatchEvent("connection_status", NOW, {"connections": (SQLITE,)})
    assert parts.to_map()["connections"][0]["name"] == "sqlite"
    assert WatchEvent("heartbeat", NOW).to_map() == {"event": "heartbeat", "time": NOW}


@pytest.mark.parametrize(
    "value",
    [
        {"event": "price"},
        {"time": NOW},
        {"event": 1, "time": NOW},
        {"event": "\x1b", "time": NOW},
        {"event": "price", "time": 1},
        {"event": "price", "time": NOW, "x": 1.5},
        {"event": "price", "time": NOW, "x": b""},
        {"event": "price", "time": NOW, 1: 2},
        [],
    ],
)
def test_an_event_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        WatchEvent.from_bytes(frame(value))


def test_an_event_keeps_its_own_keys() -> None:
    with pytest.raises(Malformed):
        WatchEvent("price", NOW, {"time": NOW})
    with pytest.raises(Malformed):
        WatchEvent("price", NOW, {"price": 1.5})
    with pytest.raises(Malformed):
        replace(WatchEvent("price", NOW), fields=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [StatusReply, PricesReply, ProofsHeader, WatchEvent])
def test_an_error_may_answer_any_query(kind: Any) -> None:
    error = ErrorReply("rate_limited", "5 requests in 15 s")
    assert error.to_map() == {"error": {"code": "rate_limited", "message": "5 requests in 15 s"}}
    assert reply_from_bytes(kind, error.to_bytes()) == error


@pytest.mark.parametrize("error", [None, 1, [], {}, {"code": "x"}, {"code": 1, "message": ""}])
def test_an_error_of_another_shape_is_refused(error: Any) -> None:
    with pytest.raises(Malformed):
        reply_from_bytes(StatusReply, frame({"error": error}))


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"\x80\x80", b"\xdf\x80\x00\x00\x00", b"\x81" * 9999]
)
def test_what_is_no_msgpack_is_refused(raw: bytes) -> None:
    for kind in (StatusRequest, PricesRequest, WatchRequest, ErrorReply):
        with pytest.raises(Malformed):
            kind.from_bytes(raw)
