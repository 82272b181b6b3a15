"""What one run says of one episode: who noticed it, as what, how soon, and who saw the return."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from simulations.account import Account, Sighting
from simulations.episodes import FROZEN, KILLED, LEFT, Episode, droughts_of, episodes_of

NOTHING, SUSPECT, OFFLINE, GONE = "nothing", "suspect", "offline", "left"
ACCUSED = frozenset({"offline", "left", "skewed"})
HELD = "flapping"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Within what two runs may differ, in seconds; the figures are those of detection.

    A provider that is silent may be suspected after `suspect_s` and lost after `silence_s`, and
    must be lost after `sure_s`: whoever is connected to it knows at once, and others by silence, so
    in between both are right. `leaving_s`, `return_s`: how soon a farewell and a return are known.
    `fresh_s`: the age up to which a price in the end counts as delivered. `retry_s`: how much
    longer than an upstream was down it may take until it is tried again.
    """

    suspect_s: float = 9.0  # 15 of silence, less an interval and its spread
    silence_s: float = 24.0  # 30, less as much
    sure_s: float = 65.0
    leaving_s: float = 3.0
    return_s: float = 15.0
    fresh_s: float = 25.0
    retry_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one node said of a provider during an episode of it.

    `said` is the worst of `nothing`, `suspect`, `offline` and `left`; `after_s` how long it took to
    say so. `returned_s` is how long after the end it was active again, inf if not in time to tell,
    None where nothing had to return or there was no time to.
    """

    node: str
    said: str
    after_s: float
    returned_s: float | None


class Run:
    """An account, read with its episodes."""

    def __init__(self, account: Account, tolerance: Tolerance) -> None:
        self.account = account
        self.episodes = episodes_of(account)
        self._tolerance = tolerance
        self._of: dict[tuple[str, str], list[Sighting]] = {}
        for sighting in sorted(account.sightings, key=lambda s: s.at_s):
            self._of.setdefault((sighting.node, sighting.provider), []).append(sighting)

    def nodes(self) -> list[str]:
        """Everybody who ever ran."""
        return list(dict.fromkeys(node for _, node in self.account.starts))

    def sightings(self, node: str, provider: str) -> list[Sighting]:
        """What a node said of a provider, in order."""
        return self._of.get((node, provider), [])

    def is_held(self, node: str, provider: str) -> bool:
        """Whether a node ever held a provider for coming and going too often."""
        return any(s.state == HELD for s in self.sightings(node, provider))

    def verdict(self, node: str, episode: Episode) -> Verdict | None:
        """What a node made of an episode; None if it was not there and well all the time."""
        until_s = min(episode.until_s, self.account.ended_at_s)
        if not self._is_well(node, episode.from_s, until_s):
            return None
        if self._state_at(node, episode.node, episode.from_s) not in ("active", SUSPECT):
            return None
        said, at_s = NOTHING, math.inf
        for sighting in self.sightings(node, episode.node):
            if episode.from_s <= sighting.at_s < until_s and _rank(sighting.state) > _rank(said):
                said, at_s = sighting.state, sighting.at_s
        return Verdict(node, said, at_s - episode.from_s, self._returned_s(node, episode))

    def accusations(self) -> Iterator[Sighting]:
        """Whoever was said to be gone, or skewed, while nothing was the matter with it."""
        for (node, provider), told in self._of.items():
            for sighting in told:
                if sighting.state in ACCUSED and node != provider:
                    from_s = sighting.at_s - self._tolerance.return_s
                    if not self._in_episode(provider, from_s, sighting.at_s):
                        yield sighting

    def delivered(self) -> set[tuple[str, str]]:
        """Which nodes had fresh prices of which providers in the end."""
        since_s = self.account.ended_at_s - self._tolerance.fresh_s
        running = self.account.running()
        return {
            (node, provider)
            for (node, provider), observed_s in self.account.priced.items()
            if observed_s >= since_s and node in running and node != provider
        }

    def is_dry(self, provider: str) -> bool:
        """Whether it may not have tried its upstream again since that failed.

        The pauses between attempts double: the last may be as long as all of them before.
        """
        retried_s = self._tolerance.retry_s
        return any(
            dry.node == provider
            and self.account.ended_at_s - dry.until_s < dry.lasted_s + retried_s
            for dry in droughts_of(self.account)
        )

    def lasting_outages(self) -> list[str]:
        """Who told of an outage that lasted `sure_s` and more; once for each of them."""
        found = []
        began: dict[str, float] = {}
        for told in self.account.outages:
            began_s = began.pop(told.node, math.inf)
            if told.active:
                began[told.node] = told.at_s
            elif told.at_s - began_s >= self._tolerance.sure_s:
                found.append(told.node)
        end_s = self.account.ended_at_s
        found += [n for n, at_s in began.items() if end_s - at_s >= self._tolerance.sure_s]
        return sorted(found)

    def _returned_s(self, node: str, episode: Episode) -> float | None:
        until_s, by_s = episode.until_s, episode.until_s + self._tolerance.return_s
        if by_s > self.account.ended_at_s or not self._is_well(node, until_s, by_s):
            return None
        if self._in_episode(episode.node, until_s, by_s):
            return None
        if self._state_at(node, episode.node, until_s) == "active":
            return 0.0
        for sighting in self.sightings(node, episode.node):
            if sighting.at_s >= until_s and sighting.state == "active":
                return sighting.at_s - until_s
        return math.inf

    def _state_at(self, node: str, provider: str, at_s: float) -> str | None:
        told = [s.state for s in self.sightings(node, provider) if s.at_s < at_s]
        return told[-1] if told else None

    def _is_well(self, node: str, from_s: float, until_s: float) -> bool:
        first_s = min(at_s for at_s, started in self.account.starts if started == node)
        return first_s <= from_s and not self._in_episode(node, from_s, until_s)

    def _in_episode(self, node: str, from_s: float, until_s: float) -> bool:
        return any(e.node == node and e.overlaps(from_s, until_s) for e in self.episodes)


def allowed(episode: Episode, tolerance: Tolerance) -> Collection[str]:
    """What may be said of an episode of this kind that lasts so long."""
    lasted_s = episode.lasted_s
    match episode.kind:
        case "left":
            return (GONE,) if lasted_s >= tolerance.leaving_s else (NOTHING, GONE)
        case _ if lasted_s >= tolerance.sure_s:
            return (OFFLINE,)
        case "killed":
            return (NOTHING, SUSPECT, OFFLINE)
        case _ if lasted_s < tolerance.suspect_s:
            return (NOTHING,)
        case _ if lasted_s < tolerance.silence_s:
            return (NOTHING, SUSPECT)
        case _:
            return (NOTHING, SUSPECT, OFFLINE)


def noticed_within_s(episode: Episode, tolerance: Tolerance) -> float:
    """How soon it must be known to everybody, in seconds."""
    return tolerance.leaving_s if episode.kind == LEFT else tolerance.sure_s


def in_words(episode: Episode) -> str:
    """Such as `n0 killed at 62.1 s for 44.0 s`."""
    assert episode.kind in (KILLED, LEFT, FROZEN)
    lasted = "for good" if math.isinf(episode.until_s) else f"for {episode.lasted_s:.1f} s"
    return f"{episode.node} {episode.kind} at {episode.from_s:.1f} s {lasted}"


def _rank(state: str) -> int:
    order = (NOTHING, SUSPECT, OFFLINE, GONE)
    return order.index(state) if state in order else 0
