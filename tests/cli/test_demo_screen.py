"""How the demo looks: on a terminal, in a pipe, as JSON; whatever its nodes say."""

import io
import json

from rich.console import Console

from meshnode.cli.demo.moments import Moment, Row
from meshnode.cli.demo.screen import JsonScreen, LiveScreen, PlainScreen, screen_on, table_of
from meshnode.cli.demo.summary import measure
from tests.cli.demo_evidence import whole_story

HOSTILE = "[red]\x1b[2J\u202eevil\r\n"
BOB = Row("bob", "BTCUSDT", "39432.48", 12, "cached", "alice", 0)


def terminal(stream: io.StringIO, height: int = 24) -> Console:
    return Console(
        file=stream, width=80, height=height, force_terminal=True, markup=False, highlight=False
    )


def is_harmless(text: str) -> bool:
    return all(mark not in text for mark in ("\x1b[2J", "\u202e", "\r\n"))


def test_the_table_shows_what_a_node_serves() -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(table_of([BOB]))
    header, row = stream.getvalue().splitlines()
    assert header.split() == ["NODE", "ASSET", "PRICE", "AGE", "STATE", "PROVIDER", "UPDATES/S"]
    assert row.split() == ["bob", "BTCUSDT", "39432.48", "12", "s", "cached", "alice", "0"]


def test_a_hostile_text_stays_on_its_line_and_in_its_cell() -> None:
    row = Row(HOSTILE, HOSTILE, HOSTILE * 20, None, HOSTILE, HOSTILE, 1)
    stream = io.StringIO()
    Console(file=stream, width=80).print(table_of([row, BOB]))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)
    assert is_harmless(stream.getvalue())
    assert "[red]" in lines[1]


def test_hostile_words_do_no_harm_on_any_screen() -> None:
    for screen_kind in ("live", "plain"):
        stream = io.StringIO()
        screen = LiveScreen(terminal(stream)) if screen_kind == "live" else PlainScreen(stream)
        with screen.shown():
            screen.tell(1.0, Moment("warning", HOSTILE))
            screen.draw(1.0, [Row(HOSTILE, "A", HOSTILE, 1, HOSTILE, HOSTILE, 1)])
        assert is_harmless(stream.getvalue())
        assert "evil" in stream.getvalue()


def test_a_live_page_leaves_out_old_events_for_want_of_room_but_not_in_the_end() -> None:
    stream = io.StringIO()
    screen = LiveScreen(terminal(stream, height=12))
    with screen.shown():
        for number in range(20):
            screen.tell(number, Moment("ready", f"event-{number:02}"))
        drawn = stream.getvalue()
        stream.truncate(0)
        screen.draw(20.0, [BOB])
        assert "event-19" in stream.getvalue()
        assert "event-13" not in stream.getvalue()
        assert "event-13" in drawn
        stream.truncate(0)
    assert "event-00" in stream.getvalue()
    assert "event-19" in stream.getvalue()


def test_plain_lines_come_once_a_second_and_events_at_once() -> None:
    stream = io.StringIO()
    screen = PlainScreen(stream)
    screen.draw(0.0, [])
    for elapsed_s in (0.25, 0.5, 1.0, 1.25, 1.5):
        screen.draw(elapsed_s, [BOB])
    screen.tell(1.6, Moment("killed", "alice is killed"))
    assert stream.getvalue().splitlines() == [
        "  0.2 s  bob 39432.48 cached 12 s",
        "  1.2 s  bob 39432.48 cached 12 s",
        "  1.6 s  alice is killed",
    ]


def test_json_is_one_document_a_line() -> None:
    stream = io.StringIO()
    screen = JsonScreen(stream)
    story = whole_story()
    screen.tell(1.5, Moment("lost", HOSTILE, {"node": "bob"}))
    screen.draw(1.6, [BOB])
    screen.draw(1.7, [BOB])
    screen.close(story, measure(story), None)
    lost, prices, summary = map(json.loads, stream.getvalue().splitlines())
    assert lost == {"event": "lost", "elapsed_ms": 1500, "text": HOSTILE, "node": "bob"}
    assert prices["prices"][0]["price"] == "39432.48"
    assert (summary["complete"], summary["missing"], summary["logs"]) == (True, [], None)
    assert summary["noticed_ms"] == {"bob": 200, "carol": 300}


def test_without_a_terminal_the_lines_are_plain() -> None:
    assert isinstance(screen_on(io.StringIO(), as_json=False), PlainScreen)
    assert isinstance(screen_on(io.StringIO(), as_json=True), JsonScreen)
