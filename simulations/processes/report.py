"""What came of a scenario that was run both ways, in words and as JSON."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from simulations.account import Account
from simulations.agreement import Compared
from simulations.processes.runner import BothWays
from simulations.verdicts import NOTHING, Verdict, in_words


def as_text(ran: BothWays) -> str:
    """Each episode with what both runs said of it, then the verdict, and what differs."""
    setup, agreement = ran.setup, ran.agreement
    lines = [
        f"scenario  {setup.scenario.name}: {setup.scenario.summary}",
        f"ran       {setup.nodes} processes, seed {setup.seed}, in {ran.real_s:.0f} s; simulated"
        f" {ran.simulated.virtual_s:.0f} s in {ran.simulated.real_s:.1f} s",
    ]
    for one in agreement.compared:
        lines.append(f"episode   {in_words(one.real)}")
        lines.append(f"  real       {_said(real for _, real in one.verdicts)}")
        lines.append(f"  simulated  {_said(simulated for simulated, _ in one.verdicts)}")
    lines += [f"note      {note}" for note in agreement.notes]
    if not ran.simulated.holds:
        lines.append("simulated rules were broken:")
        lines += [f"  {violation}" for violation in ran.simulated.violations]
    if agreement.holds:
        told = sum(len(one.verdicts) for one in agreement.compared)
        return "\n".join([*lines, f"verdict   both agree: {told} judgements, and how it ended"])
    lines.append(f"verdict   {len(agreement.disagreements)} disagreements")
    lines += [f"  {sentence}" for sentence in agreement.disagreements]
    return "\n".join([*lines, f"again     {setup.command()}"])


def as_json(ran: BothWays) -> dict[str, Any]:
    """Everything that was compared, and both accounts; times in seconds."""
    setup, agreement = ran.setup, ran.agreement
    return {
        "scenario": setup.scenario.name,
        "stack": setup.stack,
        "nodes": setup.nodes,
        "seed": setup.seed,
        "minutes": setup.minutes,
        "holds": ran.holds,
        "agrees": agreement.holds,
        "disagreements": list(agreement.disagreements),
        "notes": list(agreement.notes),
        "violations": [str(violation) for violation in ran.simulated.violations],
        "replay": setup.command(),
        "real_s": round(ran.real_s, 3),
        "episodes": [_episode(one) for one in agreement.compared],
        "simulated": _account(ran.simulated_account),
        "real": _account(ran.real_account),
    }


def _said(verdicts: Iterable[Verdict]) -> str:
    told = list(verdicts)
    if not told:
        return "nobody could tell"
    parts = []
    for said, count in Counter(verdict.said for verdict in told).items():
        after = [v.after_s for v in told if v.said == said and said != NOTHING]
        parts.append(f"{said} by {count}{_range(after, ' after')}")
    back = [v.returned_s for v in told if v.returned_s is not None and v.said != NOTHING]
    if back:
        parts.append(f"active again{_range(back, ' after')}")
    return "; ".join(parts)


def _range(seconds: list[float], word: str) -> str:
    if not seconds:
        return ""
    low, high = min(seconds), max(seconds)
    last = "never" if math.isinf(high) else f"{high:.1f} s"
    return f"{word} {last}" if low == high else f"{word} {low:.1f} to {last}"


def _episode(one: Compared) -> dict[str, Any]:
    return {
        "kind": one.real.kind,
        "node": one.real.node,
        "simulated": {"from_s": _s(one.simulated.from_s), "until_s": _s(one.simulated.until_s)},
        "real": {"from_s": _s(one.real.from_s), "until_s": _s(one.real.until_s)},
        "verdicts": [
            {"node": simulated.node, "simulated": _verdict(simulated), "real": _verdict(real)}
            for simulated, real in one.verdicts
        ],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    returned_s = None if verdict.returned_s is None else _s(verdict.returned_s)
    return {"said": verdict.said, "after_s": _s(verdict.after_s), "returned_s": returned_s}


def _account(account: Account) -> dict[str, Any]:
    return {
        "story": [
            {"at_s": _s(h.at_s), "what": h.what, "nodes": list(h.nodes)} for h in account.story
        ],
        "sightings": [
            {"at_s": _s(s.at_s), "node": s.node, "provider": s.provider, "state": s.state}
            for s in account.sightings
        ],
        "outages": [
            {"at_s": _s(o.at_s), "node": o.node, "active": o.active} for o in account.outages
        ],
    }


def _s(seconds: float) -> float | None:
    """To the millisecond; JSON has no infinity."""
    return None if math.isinf(seconds) else round(seconds, 3)
