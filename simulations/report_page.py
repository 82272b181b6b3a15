"""A run as one page of HTML: nothing is loaded from anywhere, it can be sent as it is."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from simulations.metrics import SAMPLE_EVERY_S
from simulations.report import cpu_us, delivery, left_out, verdict
from simulations.runner import Outcome
from simulations.svg import Chart, stairs

BINS = 60
STORY_ROWS_MAX = 300
NAMES_SHOWN_MAX = 6


def page(outcome: Outcome) -> str:
    """The page: verdict, figures, what happened when, how fast word travelled."""
    setup = outcome.setup
    title = f"{Path(setup.scenario.name).stem}, {setup.nodes} nodes, seed {setup.seed}"
    css = "holds" if outcome.holds else "broken"
    told = verdict(outcome).capitalize()
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_CSS}</style></head><body><main>
<header><h1>{escape(title)}</h1><p class="lead">{escape(setup.scenario.summary)}</p>
<p class="verdict {css}">{escape(told)}</p></header>
<section class="cards">{_cards(outcome)}</section>
{_violations(outcome)}
<section><h2>Who is there, and who is seen</h2>
<p>Providers that run, and how many of them a node sees on average, itself included; behind it the
share of the nodes that say there is an outage, darker where they say it is an extended one. Lines
mark what the scenario did, listed below.</p>{_providers(outcome)}
<p class="legend"><i class="k-run"></i>providers running <i class="k-seen"></i>seen by a node
<i class="k-out"></i>nodes in outage <i class="k-ext"></i>ten minutes and more</p></section>
<section><h2>Nodes running</h2>{_running(outcome)}</section>
<section><h2>What nodes make known</h2><p>Events of any kind that a node tells of in a minute, on
average over the nodes that ran, each rate over five seconds and some.</p>
{_events(outcome)}</section>
<section><h2>How long word travels</h2><p>From a message's author to each node that had been up
for ten seconds; {len(outcome.latencies_s):,} arrivals, consumers' messages included.</p>
{_latencies(outcome)}</section>
<section><h2>What happened</h2>{_story(outcome)}</section>
<footer><p>Again: <code>{escape(setup.command())}</code></p>
<p>trace {outcome.trace}</p></footer></main></body></html>
"""


def _cards(outcome: Outcome) -> str:
    ratio = outcome.path_ratio
    share = f"{outcome.delivered / outcome.expected:.3%}" if outcome.expected else "-"
    cards = [
        ("p50", _ms(outcome.p50_s), "of all arrivals"),
        ("p99", _ms(outcome.p99_s), f"the slowest {_ms(outcome.max_s)}"),
        ("delivered", share, delivery(outcome)),
        ("path", "-" if ratio is None else f"{ratio:.2f}x", "the shortest path's latency"),
        ("messages", f"{outcome.said:,}", f"{outcome.accepted:,} acceptances"),
        ("duplicates", f"{outcome.duplicates_per_node:,.0f}", "a node"),
        ("CPU", f"{cpu_us(outcome):.0f} µs", "an acceptance, all included"),
        (
            "time",
            f"{outcome.virtual_s / max(0.001, outcome.real_s):.0f}x",
            f"{outcome.virtual_s / 60:.1f} minutes in {outcome.real_s:.1f} s",
        ),
    ]
    return "".join(
        f"<div><small>{escape(name)}</small><b>{escape(value)}</b><span>{escape(more)}</span></div>"
        for name, value, more in cards
    )


def _violations(outcome: Outcome) -> str:
    if outcome.holds:
        return ""
    rows = "".join(
        f"<tr><td>{v.at_s:.1f} s</td><td>{escape(v.node)}</td><td>{escape(v.rule)}</td>"
        f"<td>{escape(v.saw)}</td></tr>"
        for v in outcome.violations
    )
    more = "".join(f"<p>{escape(line)}</p>" for line in left_out(outcome))
    return f"<section><h2>Violations</h2><table>{rows}</table>{more}</section>"


def _providers(outcome: Outcome) -> str:
    samples = outcome.samples
    top = max([1.0, *(max(s.providers_running, s.providers_seen) for s in samples)])
    high = top * 1.15
    chart = Chart(outcome.virtual_s / 60, high, "minutes", "providers", "nodes in outage")
    chart.area(stairs((s.at_s / 60, s.in_outage * high) for s in samples), "outage")
    chart.area(stairs((s.at_s / 60, s.in_extended * high) for s in samples), "extended")
    chart.line(stairs((s.at_s / 60, s.providers_running) for s in samples), "running")
    chart.line(stairs((s.at_s / 60, s.providers_seen) for s in samples), "seen")
    _mark_story(chart, outcome)
    return chart.render("Providers running and seen over time, with outages")


def _running(outcome: Outcome) -> str:
    top = max([1, *(s.running for s in outcome.samples)])
    chart = Chart(outcome.virtual_s / 60, top * 1.1, "minutes", "nodes")
    points = stairs((sample.at_s / 60, sample.running) for sample in outcome.samples)
    chart.area(points, "nodes-area")
    chart.line(points, "nodes")
    _mark_story(chart, outcome)
    return chart.render("Nodes running over time")


def _events(outcome: Outcome) -> str:
    # Over spans of much the same length: where the scenario does something samples are closer, and
    # a rate over a second would stand above all others for that alone.
    rates: list[tuple[float, float]] = []
    since_s = events = 0.0
    for sample in outcome.samples:
        events += sample.facts_per_node
        if (span_s := sample.at_s - since_s) >= SAMPLE_EVERY_S:
            rates.append((since_s / 60, events * 60 / span_s))
            since_s, events = sample.at_s, 0.0
    top = max([1.0, *(rate for _, rate in rates)])
    points = stairs([*rates, *((since_s / 60, rate) for _, rate in rates[-1:])])
    chart = Chart(outcome.virtual_s / 60, top * 1.1, "minutes", "events per node and minute")
    chart.area(points, "events-area")
    chart.line(points, "events")
    _mark_story(chart, outcome)
    return chart.render("Events that a node makes known in a minute, over time")


def _mark_story(chart: Chart, outcome: Outcome) -> None:
    for happening in outcome.story[:STORY_ROWS_MAX]:
        told = f"{happening.at_s:.1f} s: {happening.what} {_names(happening.nodes)}"
        label = happening.what if happening.nodes else ""  # whom, the table tells
        chart.mark(happening.at_s / 60, "story", told, label)
    for violation in outcome.violations:
        chart.mark(violation.at_s / 60, "violation", str(violation))


def _latencies(outcome: Outcome) -> str:
    if not outcome.latencies_s or outcome.p99_s is None or outcome.p50_s is None:
        return "<p>Nothing was measured.</p>"
    top_ms = max(1.0, outcome.p99_s * 1000 * 1.3)
    counts = [0] * BINS
    for latency_s in outcome.latencies_s:
        counts[min(BINS - 1, int(latency_s * 1000 / top_ms * BINS))] += 1
    total = len(outcome.latencies_s)
    shares = [100 * count / total for count in counts]
    chart = Chart(top_ms, max(shares) * 1.15, "ms", "% of arrivals")
    for number, share in enumerate(shares):
        start, end = number * top_ms / BINS, (number + 1) * top_ms / BINS
        more = " and more" if number == BINS - 1 else ""
        chart.bar(start, end, share, "bin", f"{start:.0f} to {end:.0f} ms{more}: {share:.2f}%")
    chart.mark(outcome.p50_s * 1000, "quantile", "half arrived by then", "p50")
    chart.mark(outcome.p99_s * 1000, "quantile", "99 of 100 arrived by then", "p99")
    return chart.render("Histogram of propagation latencies")


def _story(outcome: Outcome) -> str:
    rows = "".join(
        f"<tr><td>{h.at_s:.1f} s</td><td>{escape(h.what)}</td>"
        f"<td>{escape(_names(h.nodes))}</td></tr>"
        for h in outcome.story[:STORY_ROWS_MAX]
    )
    left_out = len(outcome.story) - STORY_ROWS_MAX
    more = f"<p>And {left_out} more.</p>" if left_out > 0 else ""
    facts = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.facts.items()))
    return f"<table>{rows}</table>{more}<p class='facts'>Told by the nodes: {escape(facts)}</p>"


def _names(nodes: Sequence[str]) -> str:
    shown = ", ".join(nodes[:NAMES_SHOWN_MAX])
    more = len(nodes) - NAMES_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


_CSS = """
:root{--bg:#fbfaf7;--card:#fff;--ink:#1d2433;--soft:#6b7280;--rule:#e6e3da;--blue:#2b6cb0;
--teal:#0f9488;--amber:#f6c56b66;--red:#e5625e66;--hot:#c2410c;--good:#15803d}
@media(prefers-color-scheme:dark){:root{--bg:#12151c;--card:#1a1f29;--ink:#e8eaf0;--soft:#98a2b3;
--rule:#2b3240;--blue:#7ab3ef;--teal:#4fd1c5;--amber:#b4822b66;--red:#b33f3b88;--hot:#fb923c;
--good:#4ade80}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1040px;margin:0 auto;padding:36px 20px 60px}h1{font-size:28px;margin:0;
letter-spacing:-.02em}h2{font-size:17px;margin:0 0 4px}.lead{color:var(--soft);margin:4px 0 14px}
.verdict{display:inline-block;margin:0;padding:5px 14px;border-radius:99px;font-weight:600;
color:#fff;background:var(--good)}.verdict.broken{background:var(--hot)}
@media(prefers-color-scheme:dark){.verdict{color:#0b1220}}
section,footer{margin-top:26px;background:var(--card);border:1px solid var(--rule);
border-radius:12px;padding:18px 20px}section>p{color:var(--soft);margin:0 0 10px;max-width:70ch}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;
background:none;border:0;padding:0}.cards div{background:var(--card);border:1px solid var(--rule);
border-radius:12px;padding:12px 16px;display:flex;flex-direction:column}
.cards small{color:var(--soft)}.cards b{font-size:25px;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}.cards span{color:var(--soft);font-size:13px}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}
svg .y,svg .u{text-anchor:end}svg .x{text-anchor:middle}.grid{stroke:var(--rule)}
.running{fill:none;stroke:var(--ink);stroke-width:1.6;stroke-dasharray:5 3}
.seen{fill:none;stroke:var(--blue);stroke-width:2.4;stroke-linejoin:round}
.outage{fill:var(--amber)}.extended{fill:var(--red)}.nodes{fill:none;stroke:var(--teal);
stroke-width:2}.nodes-area{fill:var(--teal);opacity:.14}.bin{fill:var(--blue)}
.events{fill:none;stroke:var(--blue);stroke-width:2}.events-area{fill:var(--blue);opacity:.14}
.story line{stroke:var(--soft);stroke-dasharray:2 4;opacity:.55}
.story:hover line{opacity:1;stroke-width:2}.violation line{stroke:var(--hot);stroke-width:1.5}
.quantile line{stroke:var(--hot);stroke-width:1.5}.quantile text{fill:var(--hot);font-weight:600}
.legend i{display:inline-block;width:16px;height:9px;border-radius:2px;margin:0 6px 0 14px}
.legend{font-size:13px;margin:8px 0 0!important}
.k-run{border-top:2px dashed var(--ink);height:0!important;vertical-align:middle}
.k-seen{background:var(--blue)}.k-out{background:var(--amber)}
.k-ext{background:var(--red)}table{border-collapse:collapse;width:100%;font-size:14px}
td{padding:4px 12px 4px 0;border-top:1px solid var(--rule);vertical-align:top}
tr:first-child td{border-top:0}td:first-child{white-space:nowrap;color:var(--soft);
font-variant-numeric:tabular-nums}.facts{margin-top:12px!important;font-size:13px}
footer{color:var(--soft);font-size:13px;overflow-wrap:anywhere}footer p{margin:2px 0}
code{color:var(--ink)}
"""
