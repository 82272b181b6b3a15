"""The life of a provider as a table: its states, and what each event makes of them."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class ProviderState(Enum):
    """What a provider is to us; the values are those of the status reply."""

    ACTIVE = "active"
    SUSPECT = "suspect"  # silent, or its connection broke; its prices count as live
    OFFLINE = "offline"
    LEFT = "left"
    UNREACHABLE = "unreachable"  # we are cut off ourselves, and cannot tell
    FLAPPING = "flapping"  # came and went too often to be believed for a while
    SKEWED = "skewed"  # it speaks, but its clock is wrong

    # Every provider's is looked at each second: by what it is, without a call in Python.
    __hash__ = object.__hash__


class LifeEvent(Enum):
    """What is found out about a provider."""

    HEARD = "heard"  # it said something newer
    RETURNED = "returned"  # it said enough, after it was gone, to be believed
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"  # that it is gone
    LEAVES = "leaves"
    CUT_OFF = "cut off"  # silent, while nobody at all answers us
    SKEWED = "skewed"  # it is refused for its time
    FLAPPED = "flapped"


# Of these a provider is there: its prices are live, and there is no outage.
LIVE = frozenset({ProviderState.ACTIVE, ProviderState.SUSPECT})
# Of these it is known to be gone, not only out of our hearing.
GONE = frozenset({ProviderState.OFFLINE, ProviderState.LEFT})

_ACTIVE, _SUSPECT, _OFFLINE, _LEFT, _UNREACHABLE, _FLAPPING, _SKEWED = ProviderState


def _row(state: ProviderState, **changes: ProviderState) -> dict[LifeEvent, ProviderState]:
    """What an event is not said to change it leaves as it is."""
    return {event: changes.get(event.name.lower(), state) for event in LifeEvent}


TRANSITIONS: Mapping[ProviderState, Mapping[LifeEvent, ProviderState]] = MappingProxyType(
    {
        _ACTIVE: _row(
            _ACTIVE,
            suspected=_SUSPECT,
            leaves=_LEFT,
            cut_off=_UNREACHABLE,
            skewed=_SKEWED,
            flapped=_FLAPPING,
        ),
        _SUSPECT: _row(
            _SUSPECT,
            heard=_ACTIVE,
            returned=_ACTIVE,
            confirmed=_OFFLINE,
            leaves=_LEFT,
            cut_off=_UNREACHABLE,
            skewed=_SKEWED,
        ),
        # One message more does not bring back who is gone: it may have been under way for long.
        _OFFLINE: _row(_OFFLINE, returned=_ACTIVE, leaves=_LEFT, skewed=_SKEWED, flapped=_FLAPPING),
        _LEFT: _row(_LEFT, returned=_ACTIVE, skewed=_SKEWED),
        # It was we who could not hear, so one message is enough.
        _UNREACHABLE: _row(
            _UNREACHABLE,
            heard=_ACTIVE,
            returned=_ACTIVE,
            confirmed=_OFFLINE,
            leaves=_LEFT,
            skewed=_SKEWED,
        ),
        _FLAPPING: _row(
            _FLAPPING,
            returned=_ACTIVE,
            confirmed=_OFFLINE,
            leaves=_LEFT,
            cut_off=_UNREACHABLE,
        ),
        _SKEWED: _row(
            _SKEWED,
            heard=_ACTIVE,
            returned=_ACTIVE,
            confirmed=_OFFLINE,
            leaves=_LEFT,
            cut_off=_UNREACHABLE,
        ),
    }
)
