"""The monitor: at every beat it lets time count, and tells watchers what that changed."""

from collections.abc import Callable, Sequence

import trio

from meshnode.core.evidence import Evidence
from meshnode.core.facts import Equivocation
from meshnode.ports import Observer
from meshnode.services.feed import Feed, ModeChanged, WarningsChanged
from meshnode.services.presence import Presence
from meshnode.services.status import Status
from protocols.ids import peer_id


class Monitor:
    """Sweeps the tracker of providers and compares mode and warnings with what they were.

    `evidence` gives the equivocations noticed, the oldest first; each new one is a fact. While
    nobody watches, nothing is compared: who begins to is told of what changes from then on.
    """

    def __init__(
        self,
        presence: Presence,
        status: Status,
        feed: Feed,
        evidence: Callable[[], Sequence[Evidence]],
        observer: Observer,
    ) -> None:
        self._presence = presence
        self._status = status
        self._feed = feed
        self._evidence = evidence
        self._observer = observer
        self._equivocations_told = 0
        self._begin_to_compare()
        feed.on_watched = self._begin_to_compare

    def look(self) -> float:
        """To be called at every beat; while somebody watches, once a second."""
        until = self._presence.sweep()
        self._tell_equivocations()
        if self._feed.watchers:
            self._compare()
            return trio.current_time()
        return until

    def _begin_to_compare(self) -> None:
        self._mode = self._status.mode()
        self._codes = self._status.warning_codes()

    def _compare(self) -> None:
        if (mode := self._status.mode()) is not self._mode:
            self._mode = mode
            self._feed.publish(ModeChanged(mode))
        if (codes := self._status.warning_codes()) != self._codes:
            self._codes = codes
            self._feed.publish(WarningsChanged(codes))

    def _tell_equivocations(self) -> None:
        evidence = self._evidence()
        for found in evidence[self._equivocations_told :]:
            name = found.name
            fact = Equivocation(peer_id(name.author), name.topic.value, name.epoch, name.seq)
            self._observer.observe(fact)
        self._equivocations_told = len(evidence)
