import io
import json
import logging
import typing
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from meshnode.adapters.log_table import ROWS, WARNING
from meshnode.adapters.logs import REPEAT_AFTER_S, WARNINGS_REMEMBERED_MAX, LogObserver, open_logs
from meshnode.core import facts
from meshnode.core.facts import Fact
from meshnode.ports import Observer


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def logs_to(
    stream: io.StringIO,
    *,
    log_format: str = "json",
    log_level: str = "debug",
    clock: Clock | None = None,
) -> Iterator[LogObserver]:
    with open_logs(
        stream, log_format=log_format, log_level=log_level, clock=clock or Clock()
    ) as observer:
        yield observer


def lines_of(stream: io.StringIO) -> list[dict[str, typing.Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logged(fact: Fact, log_format: str = "json") -> str:
    stream = io.StringIO()
    with logs_to(stream, log_format=log_format) as observer:
        observer.observe(fact)
    return stream.getvalue()


def test_every_fact_has_a_row() -> None:
    assert set(ROWS) == set(typing.get_args(Fact))
    for kind, row in ROWS.items():
        assert set(row.subject) <= set(typing.get_type_hints(kind))


def test_every_warning_says_what_to_do() -> None:
    assert [row.event for row in ROWS.values() if row.level >= WARNING and not row.advice] == []


def test_losses_are_warnings_and_recoveries_are_news() -> None:
    levels = {kind: logging.getLevelName(row.level) for kind, row in ROWS.items()}
    losses: set[type[Fact]] = {
        facts.ProviderLost,
        facts.OutageStarted,
        facts.SourceFailed,
        facts.StoreFailed,
    }
    news: set[type[Fact]] = {
        facts.ProviderReturned,
        facts.OutageEnded,
        facts.SourceRecovered,
        facts.NodeReady,
    }
    assert {levels[kind] for kind in losses} == {"WARNING"}
    assert {levels[kind] for kind in news} == {"INFO"}
    assert levels[facts.QueryAnswered] == "DEBUG"


def test_a_json_line_has_time_level_event_and_fields() -> None:
    line = json.loads(logged(facts.ProviderLost("12D3bob", "silence", 15.23456)))
    assert list(line)[:3] == ["time", "level", "event"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"]) == ("warning", "provider_lost")
    assert (line["provider_id"], line["cause"], line["silent_s"]) == ("12D3bob", "silence", 15.235)
    assert "advice" in line


def test_a_farewell_is_no_loss_and_damage_is_no_mere_start() -> None:
    assert '"info"' in logged(facts.ProviderLost("12D3bob", "leaving", 0.0))
    assert '"warning"' in logged(facts.StoreRestored(10, 2, 1, 0.1))
    assert '"info"' in logged(facts.StoreRestored(10, 2, 0, 0.1))


def test_who_leaves_does_not_warn_of_the_outage_that_comes_of_it() -> None:
    stream, clock = io.StringIO(), Clock()
    with logs_to(stream, clock=clock) as observer:
        for fact in (facts.OutageStarted(0), facts.NodeLeaving("asked"), facts.OutageStarted(1)):
            observer.observe(fact)
            clock.now_s += REPEAT_AFTER_S  # or the second would be held back in any case
    assert [line["event"] for line in lines_of(stream)] == ["outage_started", "leaving"]


def test_nanosecond_times_are_shown_as_times() -> None:
    line = json.loads(logged(facts.OutageStarted(1_700_000_000 * 10**9)))
    assert line["since"] == "2023-11-14T22:13:20Z"


def test_text_is_for_people() -> None:
    (line,) = logged(facts.NodeReady("12D3alice", ("/ip4/1.2.3.4/tcp/1",)), "text").splitlines()
    assert line.endswith("info    ready peer_id=12D3alice addrs=/ip4/1.2.3.4/tcp/1")


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    fact = facts.OutageStarted(0)
    for stream, log_format, coloured in (
        (Terminal(), "text", True),
        (Terminal(), "json", False),
        (io.StringIO(), "text", False),
    ):
        with logs_to(stream, log_format=log_format) as observer:
            observer.observe(fact)
        assert ("\x1b[" in stream.getvalue()) is coloured


HOSTILE = "a\r\nb\x1b[2J\u202ec\u2028d\x00"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_one_event_is_one_line_whatever_it_holds(log_format: str) -> None:
    text = logged(facts.DialFailed("/ip4/1.2.3.4/tcp/1", HOSTILE, 1, 2.0), log_format)
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    assert "\\x1b[2J" in text


def test_an_endless_value_is_cut() -> None:
    assert len(logged(facts.CatchUpFailed("12D3bob", "x" * 100_000))) < 2_000


def test_secrets_are_masked() -> None:
    stream = io.StringIO()
    with logs_to(stream) as observer:
        observer.observe(
            facts.SourceFailed(
                "rest", "GET https://alice:hunter2@api.example/?api_key=hunter2", 1, 2.0
            )
        )
        observer._log.warning(
            "event",
            key="hunter2",
            node_seed=b"hunter2",
            api_token="hunter2",
            raw=b"hunter2",
            headers={"secret": "hunter2", "accept": "x"},
        )
    assert "hunter2" not in stream.getvalue()
    assert lines_of(stream)[1]["headers"] == {"secret": "***", "accept": "x"}
    assert lines_of(stream)[1]["raw"] == "<7 bytes>"


def test_equal_warnings_come_once_in_a_while_with_a_count() -> None:
    stream, clock = io.StringIO(), Clock()
    failure = facts.SourceFailed("kraken", "timed out", 1, 2.0)
    with logs_to(stream, clock=clock) as observer:
        for _ in range(5):
            observer.observe(failure)
        observer.observe(facts.SourceFailed("binance", "timed out", 1, 2.0))
        clock.now_s = REPEAT_AFTER_S
        observer.observe(failure)
        clock.now_s = 2 * REPEAT_AFTER_S
        observer.observe(failure)

    lines = lines_of(stream)
    assert [line["source"] for line in lines] == ["kraken", "binance", "kraken", "kraken"]
    assert [line.get("suppressed") for line in lines] == [None, None, 4, None]


def test_news_is_never_held_back() -> None:
    stream = io.StringIO()
    with logs_to(stream) as observer:
        for _ in range(3):
            observer.observe(facts.ProviderDiscovered("12D3bob"))
    assert len(lines_of(stream)) == 3


def test_the_memory_of_warnings_is_bounded() -> None:
    stream = io.StringIO()
    with logs_to(stream) as observer:
        for number in range(WARNINGS_REMEMBERED_MAX + 50):
            observer.observe(facts.PeerMisbehaved(f"peer-{number}", "push_msg", "bad"))
        assert len(observer._repeats._said) == WARNINGS_REMEMBERED_MAX


def test_the_level_is_a_threshold() -> None:
    stream = io.StringIO()
    with logs_to(stream, log_level="warning") as observer:
        observer.observe(facts.NodeReady("12D3alice", ()))
        observer.observe(facts.PeerJoined("12D3bob"))
        observer.observe(facts.OutageStarted(0))
    assert [line["event"] for line in lines_of(stream)] == ["outage_started"]


def test_a_stream_that_is_gone_ends_nothing() -> None:
    stream = io.StringIO()
    with logs_to(stream) as observer:
        stream.close()
        observer.observe(facts.NodeReady("12D3alice", ()))


def test_records_of_libraries_become_events() -> None:
    stream = io.StringIO()
    with logs_to(stream, log_level="info"):
        logging.getLogger("hypercorn").warning("slow %s", "peer\nnext")
        logging.getLogger("hypercorn").info("not told")
        logging.getLogger("libp2p.network").error("not told either")
        try:
            raise OSError("no route")
        except OSError:
            logging.getLogger("httpx").exception("request failed")
    first, second = lines_of(stream)
    assert (first["event"], first["logger"]) == ("library", "hypercorn")
    assert first["message"] == "slow peer\\nnext"
    assert (second["level"], second["error"]) == ("error", "OSError: no route")


def test_libp2p_warns_when_debugging_only() -> None:
    stream = io.StringIO()
    with logs_to(stream, log_level="debug"):
        logging.getLogger("libp2p.network").warning("closed")
    assert [line["message"] for line in lines_of(stream)] == ["closed"]


def test_equal_records_come_once_in_a_while_and_bad_ones_do_no_harm() -> None:
    stream, clock = io.StringIO(), Clock()
    with logs_to(stream, clock=clock):
        for _ in range(3):
            logging.getLogger("swarm").error("lost %d", "text")
        clock.now_s = REPEAT_AFTER_S
        logging.getLogger("swarm").error("lost %d", 1)
    assert [line["message"] for line in lines_of(stream)] == ["lost %d", "lost 1"]
    assert lines_of(stream)[1]["suppressed"] == 2


def test_logging_is_as_it_was_afterwards() -> None:
    root, libp2p = logging.getLogger(), logging.getLogger("libp2p")
    before = [(log.handlers[:], log.level, log.propagate) for log in (root, libp2p)]
    with logs_to(io.StringIO()), logs_to(io.StringIO()):
        assert len(root.handlers) == 1
    assert [(log.handlers[:], log.level, log.propagate) for log in (root, libp2p)] == before


def test_it_is_an_observer() -> None:
    with logs_to(io.StringIO()) as logs:
        observer: Observer = logs
        observer.observe(facts.NodeLeaving("SIGTERM"))
