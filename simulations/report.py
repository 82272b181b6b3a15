"""What came of a run, in words and as JSON."""

from collections.abc import Iterator
from typing import Any

from simulations.runner import Outcome

FACTS_SHOWN = (
    "ProviderLost",
    "ProviderReturned",
    "OutageStarted",
    "OutageExtended",
    "OutageEnded",
    "CatchUpFailed",
    "StoreFailed",
)


def as_text(outcome: Outcome) -> str:
    """The verdict first, then the figures; a violation comes with the command that replays it."""
    setup = outcome.setup
    minutes = outcome.virtual_s / 60
    lines = [
        f"scenario  {setup.scenario.name}: {setup.scenario.summary}",
        f"ran       {setup.nodes} nodes, seed {setup.seed}, {minutes:.1f} virtual minutes on the"
        f" {setup.stack} stack in {outcome.real_s:.1f} s",
    ]
    if outcome.latencies_s:
        path = outcome.path_ratio
        against = "" if path is None else f", {path:.2f} times the shortest path"
        lines.append(
            f"latency   p50 {_ms(outcome.p50_s)}, p99 {_ms(outcome.p99_s)},"
            f" max {_ms(outcome.max_s)}{against}"
        )
    lines.append(f"delivery  {delivery(outcome)}")
    lines.append(
        f"messages  {outcome.said} said, {outcome.accepted} times accepted,"
        f" {outcome.duplicates_per_node:.0f} duplicates a node,"
        f" {cpu_us(outcome):.0f} µs of CPU each"
    )
    counts = ", ".join(
        f"{name} {count}" for name in FACTS_SHOWN if (count := outcome.facts.get(name))
    )
    lines.append(f"events    {counts or 'none'}")
    lines.append(f"trace     {outcome.trace}")
    lines.append(f"verdict   {verdict(outcome)}")
    if outcome.holds:
        return "\n".join(lines)
    lines += [f"  {violation}" for violation in (*outcome.violations, *left_out(outcome))]
    return "\n".join([*lines, f"replay    {setup.command()}"])


def verdict(outcome: Outcome) -> str:
    """Whether every rule held, in words."""
    if outcome.holds:
        return "every rule held"
    return violations_told(sum(outcome.violation_counts.values()))


def violations_told(count: int) -> str:
    """How many rules were broken, in words."""
    return f"{count or 'no'} violation{'' if count == 1 else 's'}"


def left_out(outcome: Outcome) -> Iterator[str]:
    """Of the rules that were broken too often to tell each time, how many times more."""
    for rule, count in outcome.violation_counts.items():
        told = sum(violation.rule == rule for violation in outcome.violations)
        if count > told:
            yield f"{rule}: {count - told} more"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything but the single latencies; times in seconds, latencies in milliseconds."""
    setup = outcome.setup
    return {
        "scenario": setup.scenario.name,
        "stack": setup.stack,
        "nodes": setup.nodes,
        "seed": setup.seed,
        "minutes": setup.minutes,
        "holds": outcome.holds,
        "violations": [
            {"rule": v.rule, "at_s": round(v.at_s, 3), "node": v.node, "saw": v.saw}
            for v in outcome.violations
        ],
        "violation_counts": outcome.violation_counts,
        "replay": setup.command(),
        "trace": outcome.trace,
        "virtual_s": outcome.virtual_s,
        "real_s": round(outcome.real_s, 3),
        "cpu_s": round(outcome.cpu_s, 3),
        "cpu_us_per_message": round(cpu_us(outcome), 1),
        "latency_ms": {
            "p50": _in_ms(outcome.p50_s),
            "p99": _in_ms(outcome.p99_s),
            "max": _in_ms(outcome.max_s),
            "times_shortest_path": outcome.path_ratio and round(outcome.path_ratio, 3),
        },
        "messages": {
            "said": outcome.said,
            "accepted": outcome.accepted,
            "duplicates_per_node": outcome.duplicates_per_node,
        },
        "delivery": {"expected": outcome.expected, "delivered": outcome.delivered},
        "facts": outcome.facts,
        "story": [
            {"at_s": round(h.at_s, 3), "what": h.what, "nodes": list(h.nodes)}
            for h in outcome.story
        ],
        "samples": [
            {
                "at_s": s.at_s,
                "running": s.running,
                "providers_running": s.providers_running,
                "providers_seen": round(s.providers_seen, 3),
                "in_outage": round(s.in_outage, 3),
                "in_extended_outage": round(s.in_extended, 3),
                "facts_per_node": round(s.facts_per_node, 3),
            }
            for s in outcome.samples
        ],
    }


def delivery(outcome: Outcome) -> str:
    """How much of what providers said arrived with nodes that nothing was wrong with."""
    if not outcome.expected:
        return "nothing was to be delivered"
    share = outcome.delivered / outcome.expected
    told = f"{outcome.delivered} of {outcome.expected} price updates ({share:.3%})"
    return f"{told} to nodes that no fault kept from them"


def cpu_us(outcome: Outcome) -> float:
    """Microseconds of CPU for every acceptance of a message, all else included."""
    return outcome.cpu_s * 1e6 / max(1, outcome.accepted)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
