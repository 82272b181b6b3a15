"""The mode of the whole node, by a table over its parts' health."""

from enum import Enum


class Mode(Enum):
    """How much of what the node promises it can keep."""

    NORMAL = "normal"
    DEGRADED = "degraded"
    EMERGENCY = "emergency"


# (a provider is active, the newest price is fresh, the store takes writes)
_MODES = {
    (True, True, True): Mode.NORMAL,
    (True, False, True): Mode.DEGRADED,
    (True, True, False): Mode.DEGRADED,
    (True, False, False): Mode.DEGRADED,
    (False, True, True): Mode.DEGRADED,
    (False, True, False): Mode.EMERGENCY,
    (False, False, True): Mode.EMERGENCY,
    (False, False, False): Mode.EMERGENCY,
}


def mode_of(*, provider_active: bool, data_fresh: bool, store_works: bool) -> Mode:
    """The mode that follows from the parts."""
    return _MODES[provider_active, data_fresh, store_works]
