"""The state of a connection: to a peer, an upstream or a store alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal, TypeAlias

from meshnode.core.safe_text import one_line

ERROR_CHARS_MAX = 200


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
    """What is known of one connection.

    `attempts` counts the dials since it last worked, `last_error` is one line of at most
    `ERROR_CHARS_MAX` characters and stays after recovery, `last_success_ns` is Unix time.
    """

    kind: LinkKind
    name: str
    state: LinkState = LinkState.DISCONNECTED
    attempts: int = 0
    last_error: str | None = None
    last_success_ns: int | None = None

    def dialling(self) -> None:
        """We try to connect."""
        self._move(LinkEvent.DIALLING)
        if self.state is LinkState.CONNECTING:
            self.attempts += 1

    def opened(self, now_ns: int) -> None:
        """It works, or works still: what was asked for has come."""
        self._move(LinkEvent.OPENED)
        if self.state is LinkState.CONNECTED:
            self.attempts = 0
            self.last_success_ns = now_ns

    def failed(self, error: str) -> None:
        """It broke, or could not be made."""
        self._move(LinkEvent.FAILED)
        self.last_error = one_line(error.strip())[:ERROR_CHARS_MAX]

    def closed(self) -> None:
        """It ended without an error."""
        self._move(LinkEvent.CLOSED)

    def stopped(self) -> None:
        """We want it no more; a late event does not bring it back."""
        self._move(LinkEvent.STOPPED)

    def _move(self, event: LinkEvent) -> None:
        self.state = TRANSITIONS[self.state][event]
