"""What checkers are, and where they bring what they find."""

from collections import Counter
from dataclasses import dataclass

import trio

from simulations.faults import Faults
from simulations.witness import Witness
from simulations.world import Network, World

KEPT_PER_RULE_MAX = 5  # of one rule's violations; the others are counted


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that did not hold. `at_s` is virtual time, `saw` says what the checker found."""

    rule: str
    at_s: float
    node: str
    saw: str

    def __str__(self) -> str:
        return f"{self.rule}: at {self.at_s:.1f} s on {self.node}: {self.saw}"


class Court:
    """Hears violations; a rule broken a thousand times fills no memory."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()

    def hear(self, rule: str, node: str, saw: str) -> None:
        """Take down a violation."""
        self.counts[rule] += 1
        if self.counts[rule] <= KEPT_PER_RULE_MAX:
            self.violations.append(Violation(rule, trio.current_time(), node, saw))


class Checker(Witness):
    """Watches one invariant: safety as messages come and every virtual second, liveness at the end.

    It reads what nodes say, do and store, never what they think.
    """

    rule = ""

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        self.world = world
        self.faults = faults
        self.court = court

    def tick(self) -> None:
        """A virtual second has passed."""

    def finish(self) -> None:
        """Every fault has ended and the network has had time to settle."""

    def violated(self, node: str, saw: str) -> None:
        """Bring a violation to court."""
        self.court.hear(self.rule, node, saw)
