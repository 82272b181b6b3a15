"""The state of a connection: to a peer, an upstream or a store alike."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from statistics import median_low
from types import MappingProxyType
from typing import Literal, TypeAlias

from meshnode.core.safe_text import one_line

ERROR_CHARS_MAX = 200
RECONNECTIONS_KEPT = 16  # whose length the median is of; the oldest goes
NS_PER_S = 10**9


LinkKind: TypeAlias = Literal["peer", "upstream", "store"]


class LinkState(Enum):
    """The five states; the values are those of the status reply."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    ERROR = "error"
    STOPPED = "stopped"


class LinkEvent(Enum):
    """What happens to a connection."""

    DIALLING = "dialling"
    OPENED = "opened"
    FAILED = "failed"
    CLOSED = "closed"
    STOPPED = "stopped"


_IDLE = {
    LinkEvent.DIALLING: LinkState.CONNECTING,
    LinkEvent.OPENED: LinkState.CONNECTED,  # not every connection is dialled by us
    LinkEvent.FAILED: LinkState.ERROR,
    LinkEvent.STOPPED: LinkState.STOPPED,
}

# Every event is defined in every state: what reports them runs concurrently, so late ones come.
TRANSITIONS: Mapping[LinkState, Mapping[LinkEvent, LinkState]] = MappingProxyType(
    {
        LinkState.DISCONNECTED: {**_IDLE, LinkEvent.CLOSED: LinkState.DISCONNECTED},
        LinkState.CONNECTING: {**_IDLE, LinkEvent.CLOSED: LinkState.DISCONNECTED},
        LinkState.CONNECTED: {
            **_IDLE,
            LinkEvent.DIALLING: LinkState.CONNECTED,  # a second way to a peer that is there
            LinkEvent.CLOSED: LinkState.DISCONNECTED,
        },
        # The reason why a connection broke outlives the close that follows it.
        LinkState.ERROR: {**_IDLE, LinkEvent.CLOSED: LinkState.ERROR},
        LinkState.STOPPED: {
            **dict.fromkeys(LinkEvent, LinkState.STOPPED),
            LinkEvent.DIALLING: LinkState.CONNECTING,  # only we can begin again
        },
    }
)


@dataclass(slots=True)
class LinkRecord:
    """What is known of one connection. Times are Unix nanoseconds.

    `attempts` counts the dials since it last worked, `last_error` is one line of at most
    `ERROR_CHARS_MAX` characters and stays after recovery. `reconnects` counts how often it came
    back after it had worked.
    """

    kind: LinkKind
    name: str
    state: LinkState = LinkState.DISCONNECTED
    attempts: int = 0
    last_error: str | None = None
    last_success_ns: int | None = None
    reconnects: int = 0
    _changed_ns: int | None = None  # up to when `_up_ns` and `_down_ns` are counted
    _up_ns: int = 0
    _down_ns: int = 0
    _lost_ns: int | None = None
    _took_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RECONNECTIONS_KEPT))

    def dialling(self, now_ns: int) -> None:
        """We try to connect."""
        self._move(LinkEvent.DIALLING, now_ns)
        if self.state is LinkState.CONNECTING:
            self.attempts += 1

    def opened(self, now_ns: int) -> None:
        """It works, or works still: what was asked for has come."""
        self._move(LinkEvent.OPENED, now_ns)
        if self.state is LinkState.CONNECTED:
            self.attempts = 0
            self.last_success_ns = now_ns

    def failed(self, error: str, now_ns: int) -> None:
        """It broke, or could not be made."""
        self._move(LinkEvent.FAILED, now_ns)
        self.last_error = one_line(error.strip())[:ERROR_CHARS_MAX]

    def closed(self, now_ns: int) -> None:
        """It ended without an error."""
        self._move(LinkEvent.CLOSED, now_ns)

    def stopped(self, now_ns: int) -> None:
        """We want it no more; a late event does not bring it back."""
        self._move(LinkEvent.STOPPED, now_ns)

    def uptime_percent(self, now_ns: int) -> int | None:
        """The part of the time since it was first dialled or opened in which it worked."""
        up_ns, down_ns = self._counted(now_ns)
        total_ns = up_ns + down_ns
        return 100 * up_ns // total_ns if total_ns else None

    @property
    def reconnect_last_s(self) -> int | None:
        """How long it was gone the last time that it came back, in whole seconds."""
        return self._took_ns[-1] // NS_PER_S if self._took_ns else None

    @property
    def reconnect_median_s(self) -> int | None:
        """The median of the same over the last `RECONNECTIONS_KEPT` times."""
        return median_low(self._took_ns) // NS_PER_S if self._took_ns else None

    def _move(self, event: LinkEvent, now_ns: int) -> None:
        self._up_ns, self._down_ns = self._counted(now_ns)
        self._changed_ns = now_ns
        before, self.state = self.state, TRANSITIONS[self.state][event]
        is_up, was_up = self.state is LinkState.CONNECTED, before is LinkState.CONNECTED
        if was_up and not is_up:
            self._lost_ns = now_ns
        elif is_up and self._lost_ns is not None:
            self.reconnects += 1
            self._took_ns.append(max(0, now_ns - self._lost_ns))
            self._lost_ns = None

    def _counted(self, now_ns: int) -> tuple[int, int]:
        if self._changed_ns is None or self.state is LinkState.STOPPED:
            return self._up_ns, self._down_ns
        # A wall clock set back counts nothing.
        passed_ns = max(0, now_ns - self._changed_ns)
        if self.state is LinkState.CONNECTED:
            return self._up_ns + passed_ns, self._down_ns
        return self._up_ns, self._down_ns + passed_ns
