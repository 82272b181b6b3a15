"""The closing summary: what was seen, in figures of this run and in words."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshnode.cli.demo.story import (
    INTRODUCER,
    LISTENERS,
    NEWCOMER,
    NS_PER_MS,
    PROVIDER,
    Step,
    Story,
)
from protocols.timestamps import ns_from_rfc3339

COLUMNS = 78
_TITLE_COLUMNS = 9
NEXT_LINES = (
    "Try it on two machines. The first prints its address when it is ready; give",
    "that to the second:",
    "  meshnode run --role provider --source walk:BTC-USD,ETH-USD",
    "  meshnode run --connect /ip4/IP-ADDRESS/tcp/4201/p2p/ID",
    "and read prices on either:  meshnode prices ~/.local/share/meshnode",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, by node where there are several; None where it did not happen.

    `journey` is from the provider's node to a consumer's; `trade_to_price` adds the provider's own
    waiting for more trades to send along.
    """

    updates: dict[str, int]
    journey_p50_us: int | None
    journey_p99_us: int | None
    trade_to_price_p50_ms: int | None
    trade_to_price_p99_ms: int | None
    noticed_ms: dict[str, int | None]
    cached_ms: dict[str, int | None]
    recovered_ms: dict[str, int | None]
    joined_ms: int | None


def measure(story: Story) -> Figures:
    """The figures of a story, as far as it went."""
    journeys, from_trade = _journeys_ns(story)
    views = {name: story.views[name] for name in LISTENERS}
    return Figures(
        updates={name: view.updates for name, view in story.views.items() if name != PROVIDER},
        journey_p50_us=_in(1000, percentile(journeys, 50)),
        journey_p99_us=_in(1000, percentile(journeys, 99)),
        trade_to_price_p50_ms=_in(NS_PER_MS, percentile(from_trade, 50)),
        trade_to_price_p99_ms=_in(NS_PER_MS, percentile(from_trade, 99)),
        noticed_ms={n: _between_ms(story.killed_ns, v.lost_ns) for n, v in views.items()},
        cached_ms={n: _between_ms(v.lost_ns, v.fresh_ns) for n, v in views.items()},
        recovered_ms={n: _between_ms(story.ready_again_ns, v.fresh_ns) for n, v in views.items()},
        joined_ms=story.joined.took_ms if story.joined else None,
    )


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The nearest-rank percentile, or None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summary_lines(story: Story, figures: Figures, kept: str | None) -> list[str]:
    """The summary for people, wrapped: the steps seen, those missing, and what to try next.

    `kept` is the directory with the nodes' logs, where it was not removed.
    """
    sentences = {
        Step.FLOW: ("prices", _flow(figures)),
        Step.LOSS: ("loss", _loss(story, figures)),
        Step.RETURN: ("return", _return(figures)),
        Step.JOIN: ("join", _join(story, figures)),
    }
    missing = story.missing()
    lines = ["What was seen, measured in this run:"]
    for step, (title, sentence) in sentences.items():
        if step not in missing:
            lines += _wrapped(title, sentence)
    if missing:
        lines += ["", "What did not happen:"]
        for step in missing:
            lines += _wrapped("missing", f"{step.value}.")
        # A path is not wrapped: it would not be one any more.
        lines += ["", f"The nodes' logs: {kept}"]
        return lines
    return [*lines, "", "All nodes have ended and their files are gone.", "", *NEXT_LINES]


def _flow(figures: Figures) -> str:
    got = ", ".join(f"{name} {figures.updates[name]}" for name in LISTENERS)
    journey = f"{_us(figures.journey_p50_us)} (p50; p99 {_us(figures.journey_p99_us)})"
    whole = f"{_ms(figures.trade_to_price_p50_ms)} (p99 {_ms(figures.trade_to_price_p99_ms)})"
    return (
        f"{PROVIDER} replayed recorded BTC/USDT trades; price updates received: {got}. "
        f"From {PROVIDER}'s node to theirs {journey}; from the replayed trade {whole}, with "
        f"{PROVIDER}'s wait for more trades to send along."
    )


def _loss(story: Story, figures: Figures) -> str:
    return (
        f"{PROVIDER} was killed. Noticed after {_by_node(figures.noticed_ms)}. Both went on "
        f"serving the last price, marked cached, for {_by_node(figures.cached_ms)}, and warned: "
        f'"{story.views[LISTENERS[0]].warning}".'
    )


def _return(figures: Figures) -> str:
    return (
        f"{PROVIDER} came back with the same key, and was known again, not taken for a new "
        f"provider. From its being ready to fresh prices: {_by_node(figures.recovered_ms)}."
    )


def _join(story: Story, figures: Figures) -> str:
    count = len(story.views[NEWCOMER].served)
    prices = "the one price there is" if count == 1 else f"all {count} prices"
    return (
        f"{NEWCOMER} knew only {INTRODUCER}'s address. {_ms(figures.joined_ms)} after connecting "
        f"it had {prices}; then it got {figures.updates[NEWCOMER]} updates of {PROVIDER} through "
        f"{INTRODUCER}, without a connection to {PROVIDER}."
    )


def _wrapped(title: str, sentence: str) -> list[str]:
    indent = " " * (_TITLE_COLUMNS + 2)
    return textwrap.wrap(
        sentence,
        COLUMNS,
        initial_indent=f"  {title:<{_TITLE_COLUMNS}}",
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _by_node(durations_ms: dict[str, int | None]) -> str:
    return ", ".join(f"{_ms(ms)} ({name})" for name, ms in durations_ms.items())


def _ms(ms: int | None) -> str:
    if ms is None:
        return "?"
    return f"{ms} ms" if abs(ms) < 1000 else f"{ms / 1000:.1f} s"


def _us(us: int | None) -> str:
    return f"{us / 1000:.1f} ms" if us is not None and us < 10_000 else _ms(_in(1000, us))


def _journeys_ns(story: Story) -> tuple[Sequence[int], Sequence[int]]:
    """Of every update at every listener: since the provider's node had it, since the trade."""
    sent = story.views[PROVIDER].received_ns
    got = [item for name in LISTENERS for item in story.views[name].received_ns.items()]
    return (
        [received_ns - sent[key] for key, received_ns in got if key in sent],
        [received_ns - ns_from_rfc3339(key[1]) for key, received_ns in got],
    )


def _between_ms(start_ns: int | None, end_ns: int | None) -> int | None:
    return None if start_ns is None or end_ns is None else (end_ns - start_ns) // NS_PER_MS


def _in(unit: int, value: int | None) -> int | None:
    return None if value is None else value // unit
