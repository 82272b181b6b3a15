"""What befell each node of a run, out of its account: when it was down or stood still."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from simulations.account import Account

KILLED, LEFT, FROZEN, DRY = "killed", "left", "frozen", "upstream down"

_BEGINS = {"killed": KILLED, "left in order": LEFT, "frozen": FROZEN}
_THAWED = "thawed"
_WELL_AGAIN = "upstream well again"


@dataclass(frozen=True, slots=True)
class Episode:
    """A node was killed, left or frozen at `from_s`, and well again at `until_s` or never (inf).

    `number` counts a node's episodes from 0.
    """

    kind: str
    node: str
    number: int
    from_s: float
    until_s: float

    @property
    def lasted_s(self) -> float:
        """How long it lasted."""
        return self.until_s - self.from_s

    def overlaps(self, from_s: float, until_s: float) -> bool:
        """Whether any of this time is in it."""
        return self.from_s < until_s and from_s < self.until_s


def episodes_of(account: Account) -> list[Episode]:
    """Every episode, in the order in which they began."""
    found = []
    counts: dict[str, int] = {}
    for happening in account.story:
        kind = _BEGINS.get(happening.what)
        if kind is None:
            continue
        for node in happening.nodes:
            number = counts[node] = counts.get(node, -1) + 1
            ends = _thaws(account, node) if kind == FROZEN else _starts(account, node)
            until_s = min((at_s for at_s in ends if at_s > happening.at_s), default=math.inf)
            found.append(Episode(kind, node, number, happening.at_s, until_s))
    return found


def droughts_of(account: Account) -> list[Episode]:
    """When which provider's upstream could not be read; the node itself was well."""
    told = [(h.at_s, h.what, node) for h in account.story for node in h.nodes]
    found = []
    for number, (from_s, what, node) in enumerate(told):
        if what == DRY:
            ends = (at_s for at_s, after, of in told if (after, of) == (_WELL_AGAIN, node))
            until_s = min((at_s for at_s in ends if at_s > from_s), default=account.ended_at_s)
            found.append(Episode(DRY, node, number, from_s, until_s))
    return found


def _thaws(account: Account, node: str) -> Iterator[float]:
    for happening in account.story:
        if happening.what == _THAWED and node in happening.nodes:
            yield happening.at_s
    # Who is killed does not stand still any more.
    yield from (at_s for at_s, ended in account.ends if ended == node)


def _starts(account: Account, node: str) -> Iterator[float]:
    return (at_s for at_s, started in account.starts if started == node)
