"""Whether two runs of one scenario, simulated and real, came to the same outcome."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulations.account import Account
from simulations.episodes import Episode
from simulations.verdicts import (
    NOTHING,
    Run,
    Tolerance,
    Verdict,
    allowed,
    in_words,
    noticed_within_s,
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One provider's episode in both runs, and what those said of it who could tell in both."""

    simulated: Episode
    real: Episode
    verdicts: tuple[tuple[Verdict, Verdict], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What came of the comparison; each disagreement is a sentence that names it.

    `notes` are what was not compared, and why.
    """

    compared: tuple[Compared, ...]
    disagreements: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether there is no disagreement."""
        return not self.disagreements


def compare(simulated: Account, real: Account, tolerance: Tolerance | None = None) -> Agreement:
    """Compare two runs of the same scenario and seed."""
    return _Comparison(simulated, real, tolerance or Tolerance()).agreement()


class _Comparison:
    def __init__(self, simulated: Account, real: Account, tolerance: Tolerance) -> None:
        self._simulated = Run(simulated, tolerance)
        self._real = Run(real, tolerance)
        self._tolerance = tolerance
        self._notes: list[str] = []

    def agreement(self) -> Agreement:
        compared = tuple(self._compared())
        disagreements = [
            *self._stories(),
            *(line for one in compared for line in self._episode(one)),
            *self._accusations(),
            *self._ends(),
        ]
        return Agreement(compared, tuple(disagreements), tuple(self._notes))

    # --- what was done ----------------------------------------------------------------------

    def _stories(self) -> Iterator[str]:
        """A loop that ends by the clock may go round once more; what differs else is an error."""
        told, other = (_deeds(run.account) for run in (self._simulated, self._real))
        common = min(len(told), len(other))
        for number in range(common):
            if told[number] != other[number]:
                yield (
                    f"step {number + 1} of the story: simulated {_deed(told[number])},"
                    f" real {_deed(other[number])}"
                )
                return
        for name, more in (("simulated", told[common:]), ("real", other[common:])):
            if more:
                self._notes.append(f"only the {name} run went on: {'; '.join(map(_deed, more))}")

    def _compared(self) -> Iterator[Compared]:
        real = {(e.node, e.number): e for e in self._real.episodes}
        for episode in self._simulated.episodes:
            twin = real.get((episode.node, episode.number))
            if twin is None or twin.kind != episode.kind:
                continue
            if episode.node in self._simulated.account.providers:
                yield Compared(episode, twin, tuple(self._verdicts(episode, twin)))

    def _verdicts(self, simulated: Episode, real: Episode) -> Iterator[tuple[Verdict, Verdict]]:
        provider = simulated.node
        for node in self._simulated.nodes():
            if node == provider:
                continue
            if self._is_held(node, provider):
                self._note_held(node, provider)
                continue
            told = self._simulated.verdict(node, simulated)
            other = self._real.verdict(node, real)
            if told is not None and other is not None:
                yield told, other

    # --- what was said ----------------------------------------------------------------------

    def _episode(self, one: Compared) -> Iterator[str]:
        for told, other in one.verdicts:
            place = f"{in_words(one.real)}, {told.node}"
            both_fit = told.said in allowed(one.simulated, self._tolerance) and (
                other.said in allowed(one.real, self._tolerance)
            )
            if told.said != other.said and not both_fit:
                yield f"{place}: simulated said {told.said}, real said {other.said}"
                continue
            within_s = noticed_within_s(one.real, self._tolerance)
            if told.said == other.said != NOTHING and (
                (told.after_s <= within_s) != (other.after_s <= within_s)
            ):
                yield (
                    f"{place}: said {told.said} after {told.after_s:.1f} s simulated,"
                    f" {other.after_s:.1f} s real; {within_s:.0f} s are allowed"
                )
            yield from self._return(place, told, other)

    def _return(self, place: str, told: Verdict, other: Verdict) -> Iterator[str]:
        if told.returned_s is None or other.returned_s is None:
            return
        within_s = self._tolerance.return_s
        if (told.returned_s <= within_s) != (other.returned_s <= within_s):
            yield (
                f"{place}: active again {_after(told.returned_s)} simulated,"
                f" {_after(other.returned_s)} real; {within_s:.0f} s are allowed"
            )

    def _accusations(self) -> Iterator[str]:
        told, other = (
            {(s.node, s.provider): s for s in run.accusations()}
            for run in (self._simulated, self._real)
        )
        for name, mine, others in (("simulated", told, other), ("real", other, told)):
            for (node, provider), sighting in mine.items():
                if (node, provider) not in others and not self._is_held(node, provider):
                    yield (
                        f"only in the {name} run {node} said {sighting.state} of {provider} at"
                        f" {sighting.at_s:.1f} s, with which nothing was the matter"
                    )

    # --- how it ended -----------------------------------------------------------------------

    def _ends(self) -> Iterator[str]:
        told, other = self._simulated.account, self._real.account
        ran = [_names(account.running()) for account in (told, other)]
        if ran[0] != ran[1]:
            yield f"in the end ran {ran[0]} simulated, {ran[1]} real"
        for node in sorted(set(told.running()) & set(other.running())):
            for provider in told.providers:
                states = [a.last_states(node).get(provider, "unknown") for a in (told, other)]
                if node == provider or states[0] == states[1]:
                    continue
                if self._is_held(node, provider):
                    self._note_held(node, provider)
                    continue
                yield (
                    f"in the end {node} said of {provider}: {states[0]} simulated, {states[1]} real"
                )
        yield from self._delivery()
        outages = [run.lasting_outages() for run in (self._simulated, self._real)]
        if outages[0] != outages[1]:
            yield (
                f"lasting outages were told by {_names(outages[0])} simulated,"
                f" {_names(outages[1])} real"
            )

    def _delivery(self) -> Iterator[str]:
        told, other = self._simulated.delivered(), self._real.delivered()
        runs = (self._simulated, self._real)
        dry = {name for run in runs for name in run.account.providers if run.is_dry(name)}
        for name in sorted(dry):
            # Its next attempt is drawn by chance, and may come after the end.
            self._notes.append(
                f"prices of {name} are not compared: its upstream was down till late"
            )
        for name, only in (("simulated", told - other), ("real", other - told)):
            for node, provider in sorted(only):
                if provider not in dry and not self._is_held(node, provider):
                    yield f"in the end only in the {name} run {node} had fresh prices of {provider}"

    def _is_held(self, node: str, provider: str) -> bool:
        return any(run.is_held(node, provider) for run in (self._simulated, self._real))

    def _note_held(self, node: str, provider: str) -> None:
        # How many losses are noticed within a minute depends on who is connected to whom.
        note = f"{node} of {provider} is not compared: held as flapping in one run at least"
        if note not in self._notes:
            self._notes.append(note)


def _deeds(account: Account) -> list[tuple[str, tuple[str, ...]]]:
    return [(happening.what, happening.nodes) for happening in account.story]


def _deed(deed: tuple[str, Sequence[str]]) -> str:
    what, nodes = deed
    return f"{what} {', '.join(nodes)}".rstrip()


def _names(nodes: Sequence[str]) -> str:
    return ", ".join(sorted(nodes)) or "nobody"


def _after(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"after {seconds:.1f} s"
