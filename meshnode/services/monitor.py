"""The monitor: once a second it lets time count, and tells watchers what that changed."""

import trio

from meshnode.ports import TaskStatus
from meshnode.services.feed import Feed, ModeChanged, WarningsChanged
from meshnode.services.presence import Presence
from meshnode.services.status import Status

SWEEP_EVERY_S = 1.0


class Monitor:
    """Sweeps the tracker of providers and compares mode and warnings with what they were."""

    def __init__(self, presence: Presence, status: Status, feed: Feed) -> None:
        self._presence = presence
        self._status = status
        self._feed = feed

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Once a second, for ever."""
        mode = self._status.mode()
        codes = self._codes()
        task_status.started()
        while True:
            await trio.sleep(SWEEP_EVERY_S)
            self._presence.sweep()
            if (mode_now := self._status.mode()) is not mode:
                mode = mode_now
                self._feed.publish(ModeChanged(mode))
            if (codes_now := self._codes()) != codes:
                codes = codes_now
                self._feed.publish(WarningsChanged(codes))

    def _codes(self) -> tuple[str, ...]:
        return tuple(warning.code for warning in self._status.warnings())
