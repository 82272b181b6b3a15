import io
from typing import Any

import pytest
from rich.console import RenderableType

from meshnode.cli.durations import duration
from meshnode.cli.proofs import Proof
from meshnode.cli.render import (
    console_on,
    event_line,
    prices_table,
    proofs_table,
    short_id,
    status_page,
)
from protocols.queries import PriceAnswer, WatchEvent
from protocols.status import StatusReply

PEER = "12D3KooWSCufgHzV4fCwRijfH2k3abrpAJxTKxEvN1FDuRXA2U9x"
NOON = "2026-01-31T12:00:00Z"
ESCAPES = "\x1b[2J"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(renderable: RenderableType) -> str:
    stream = io.StringIO()
    console_on(stream).print(renderable)
    return stream.getvalue()


def price(**fields: object) -> PriceAnswer:
    values: dict[str, object] = {
        "price": "39432.48",
        "provider_id": PEER,
        "observed": NOON,
        "received": NOON,
        "age_s": 5,
        "state": "fresh",
    }
    return PriceAnswer(**(values | fields))  # type: ignore[arg-type]


def test_prices_are_a_table_by_name() -> None:
    text = shown(prices_table({"ETH-USD": price(price="1"), "BTC-USD": price(confidence="0.5")}))
    header, btc, eth = text.splitlines()
    assert header.split() == ["ASSET", "PRICE", "±", "AGE", "STATE", "PROVIDER", "TAGS"]
    assert btc.split() == ["BTC-USD", "39432.48", "0.5", "5", "s", "fresh", "…uRXA2U9x"]
    assert eth.startswith("ETH-USD")


def test_what_was_asked_for_and_is_unknown_is_said() -> None:
    text = shown(prices_table({}, ["DOGE-USD"]))
    assert text.splitlines()[-1].split() == ["DOGE-USD", "-", "-", "-", "unknown"]


def test_tags_are_shown() -> None:
    assert "recorded=2021-01-08" in shown(
        prices_table({"BTC-USD": price(tags={"recorded": "2021-01-08"})})
    )


def test_nothing_is_coloured_wrapped_or_cut_in_a_pipe() -> None:
    text = shown(proofs_table([Proof(PEER, 1, 2, NOON, 1000, False, "00")]))
    assert "\x1b" not in text
    assert PEER in text
    assert text.splitlines()[-1].split()[-2:] == ["1000", "false"]


def test_markup_of_strangers_is_text() -> None:
    reply = StatusReply(
        {
            "warnings": [{"code": "[red]X[/red]", "message": "[link=http://evil]:smile:[/link]"}],
            "agent": f"evil{ESCAPES}\n\u202eagent",
        }
    )
    stream = Terminal()
    console_on(stream).print(status_page(reply))
    text = stream.getvalue()
    assert "[red]X[/red]: [link=http://evil]:smile:[/link]" in text
    assert ESCAPES not in text
    assert "\u202e" not in text
    assert "\x1b]8" not in text


def test_a_console_takes_no_text_for_markup() -> None:
    assert shown("[red]:smile:[/red]") == "[red]:smile:[/red]\n"


def test_escapes_end_here_even_if_the_protocol_let_them_pass() -> None:
    hostile = Proof(f"evil{ESCAPES}\r\n\u202e", 1, 2, NOON, 1, True, "")
    text = shown(proofs_table([hostile]))
    assert "evil\\x1b[2J\\r\\n\\u202e" in text
    event = object.__new__(WatchEvent)
    for name, value in (("event", f"a{ESCAPES}\n"), ("time", NOON), ("fields", {"k\r": "v\n x"})):
        object.__setattr__(event, name, value)
    assert event_line(event).isprintable()


def test_a_status_page_says_what_matters_first() -> None:
    provider = {
        "provider_id": PEER,
        "state": "offline",
        "last_seen": NOON,
        "hop_count": None,
        "assets": 3,
    }
    connection = {
        "kind": "store",
        "name": "sqlite",
        "state": "error",
        "reconnect_attempts": 4,
        "last_error": "disk full",
        "last_success": None,
    }
    reply = StatusReply(
        {
            "node_id": PEER,
            "role": "consumer",
            "agent": "meshnode/0.1.0",
            "network": "main",
            "mode": "degraded",
            "uptime_s": 3700,
            "total_network_size": 4,
            "connected_peers": 2,
            "data_freshness": {"state": "minutes_ago", "age_s": 300, "text": "5 minutes ago"},
            "known_providers": [provider],
            "peers": [{"node_id": PEER, "addrs": ["/ip4/1.2.3.4/tcp/1"], "rtt_ms": 12}],
            "outage": {"since": NOON, "cause": "providers_down"},
            "offline_duration_minutes": 7,
            "connections": [connection],
            "warnings": [{"code": "NO_PROVIDERS", "message": "No live data sources"}],
            "truncated": ["peers"],
        }
    )
    lines = [" ".join(line.split()) for line in shown(status_page(reply)).splitlines()]
    assert lines[0] == f"node {PEER}, consumer, meshnode/0.1.0"
    assert lines[2] == "mode degraded, up 1 h 1 min"
    assert lines[3] == "prices 5 minutes ago"
    assert lines[4] == f"outage since {NOON}, providers_down, 7 minutes"
    assert lines[5] == "warning NO_PROVIDERS: No live data sources"
    assert f"{PEER} offline {NOON} - 3" in lines
    assert f"{PEER} 12 ms /ip4/1.2.3.4/tcp/1" in lines
    assert "store sqlite error 4 - disk full" in lines
    assert lines[-1] == "cut short peers"


@pytest.mark.parametrize(
    ("time", "minutes", "lasted"),
    [
        ("2026-01-31T12:00:31.4Z", 0, "31 s"),
        ("2026-01-31T12:01:59Z", 1, "119 s"),
        ("2026-01-31T11:59:59Z", 0, "0 minutes"),
        (None, 1, "1 minute"),
        ("2026-01-31T12:02:00Z", 2, "2 minutes"),
    ],
)
def test_how_long_an_outage_lasts_is_told_to_the_second_at_first(
    time: str | None, minutes: int, lasted: str
) -> None:
    outage = {"since": NOON, "cause": "unknown"}
    reply = StatusReply({"time": time, "outage": outage, "offline_duration_minutes": minutes})
    assert shown(status_page(reply)).splitlines()[4].endswith(f", unknown, {lasted}")


def test_how_old_prices_are_is_told_to_the_second_at_first() -> None:
    for age_s, state, text, told in (
        (48, "just_now", "just now", "48 s ago"),
        (119, "minutes_ago", "1 minute ago", "119 s ago"),
        (120, "minutes_ago", "2 minutes ago", "2 minutes ago"),
        (None, "none", "no data yet", "no data yet"),
    ):
        reply = StatusReply({"data_freshness": {"state": state, "age_s": age_s, "text": text}})
        assert shown(status_page(reply)).splitlines()[3].endswith(f" {told}")


def test_a_status_without_anything_is_a_page_too() -> None:
    assert "peers" in shown(status_page(StatusReply({})))


def test_an_event_is_one_line() -> None:
    fields: dict[str, object] = {
        "mode": "normal",
        "age_s": None,
        "connections": [{}, {}],
        "text": "two words",
    }
    assert event_line(WatchEvent("mode", NOON, fields)) == (
        f'{NOON} mode mode=normal age_s=- connections=2 text="two words"'
    )


def test_prices_of_an_event_are_short() -> None:
    prices = {"BTC-USD": price().to_map(), "ETH-USD": price(price="2", state="stale").to_map()}
    event = WatchEvent("price", NOON, {"prices": prices, "missed": 3})
    assert event_line(event) == f"{NOON} price BTC-USD=39432.48 ETH-USD=2 (stale) missed=3"
    odd = WatchEvent("price", NOON.replace("Z", ".25Z"), {"prices": {"BTC-USD": 1}})
    assert event_line(odd) == f"{NOON} price BTC-USD=1"


def test_warnings_of_an_event_are_their_codes() -> None:
    warnings = [{"code": "NO_PROVIDERS", "message": "x"}, {"code": "STALE_DATA", "message": "y"}]
    event = WatchEvent("warning", NOON, {"warnings": warnings})
    assert event_line(event) == f"{NOON} warning warnings=NO_PROVIDERS,STALE_DATA"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"change": "present", "state": "suspect"}, "is suspect"),
        ({"change": "new"}, "is new, and active"),
        ({"change": "returned", "gone_s": 65}, "is back after 1 min 5 s"),
        (
            {"change": "suspected", "cause": "connection", "silent_s": 2},
            "may be gone: its connection broke, silent for 2 s; others are asked",
        ),
        ({"change": "cleared", "was": "skewed"}, "is active after all, it was skewed"),
        (
            {"change": "lost", "cause": "silence", "silent_s": 30},
            "is gone: it says nothing, silent for 30 s",
        ),
        ({"change": "lost", "cause": "leaving", "silent_s": 0}, "has left"),
        ({"change": "flapping", "held_s": 60}, "comes and goes; it does not count for 1 min"),
    ],
)
def test_what_became_of_a_provider_is_said_in_words(fields: dict[str, Any], words: str) -> None:
    event = WatchEvent("provider", NOON, {"provider_id": PEER, **fields, "missed": 1})
    assert event_line(event) == f"{NOON} provider {PEER} {words} missed=1"


def test_a_change_without_words_is_told_by_its_fields() -> None:
    event = WatchEvent("provider", NOON, {"change": "promoted"})
    assert event_line(event) == f"{NOON} provider change=promoted"


def test_hostile_words_stay_on_their_line() -> None:
    fields = {"provider_id": 7, "change": "lost", "cause": "x y", "silent_s": None}
    assert event_line(WatchEvent("provider", NOON, fields)).isprintable()


def test_an_outage_is_said_in_words() -> None:
    fields = {"active": True, "since": NOON, "cause": "partition", "offline_s": 660}
    line = event_line(WatchEvent("outage", NOON, {**fields, "extended": True}))
    assert line == (
        f"{NOON} outage no provider for more than ten minutes: the network is split, "
        f"11 min so far since={NOON}"
    )
    over = WatchEvent("outage", NOON, {"active": False, "offline_s": 61})
    assert event_line(over) == f"{NOON} outage over: a provider is there again after 1 min 1 s"


def test_durations_have_two_units_at_most() -> None:
    spans = {None: "-", 0: "0 s", 59: "59 s", 60: "1 min", 61: "1 min 1 s", 90_061: "1 d 1 h"}
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_ids_are_short_at_their_ends() -> None:
    assert short_id(PEER) == "…uRXA2U9x"
    assert short_id("short") == "short"
    assert short_id(None) == "-"
