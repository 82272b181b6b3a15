"""The monitor: once a second it lets time count, and tells watchers what that changed."""

from collections.abc import Callable, Sequence

import trio

from meshnode.core.evidence import Evidence
from meshnode.core.facts import Equivocation
from meshnode.ports import Observer, TaskStatus
from meshnode.services.feed import Feed, ModeChanged, WarningsChanged
from meshnode.services.presence import Presence
from meshnode.services.status import Status
from protocols.ids import peer_id

SWEEP_EVERY_S = 1.0
# A timer that is so late tells that the process, or the machine, stood still.
PAUSED_AFTER_S = 2.0


class Monitor:
    """Sweeps the tracker of providers and compares mode and warnings with what they were.

    `evidence` gives the equivocations noticed, the oldest first; each new one is a fact.
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

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Once a second, for ever."""
        mode = self._status.mode()
        codes = self._codes()
        task_status.started()
        while True:
            due_at = trio.current_time() + SWEEP_EVERY_S
            await trio.sleep_until(due_at)
            if (late_s := trio.current_time() - due_at) > PAUSED_AFTER_S:
                self._presence.paused(late_s)
            self._presence.sweep()
            self._tell_equivocations()
            if (mode_now := self._status.mode()) is not mode:
                mode = mode_now
                self._feed.publish(ModeChanged(mode))
            if (codes_now := self._codes()) != codes:
                codes = codes_now
                self._feed.publish(WarningsChanged(codes))

    def _tell_equivocations(self) -> None:
        evidence = self._evidence()
        for found in evidence[self._equivocations_told :]:
            name = found.name
            fact = Equivocation(peer_id(name.author), name.topic.value, name.epoch, name.seq)
            self._observer.observe(fact)
        self._equivocations_told = len(evidence)

    def _codes(self) -> tuple[str, ...]:
        return self._status.warning_codes()
