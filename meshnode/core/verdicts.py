"""What becomes of a received envelope, and why."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from protocols.envelope import Envelope


class Reason(Enum):
    """Why an envelope was not accepted; the numbers are those of SPEC.md's verdict table."""

    MALFORMED = "malformed"  # 1
    WRONG_NETWORK = "wrong_network"  # 2
    WRONG_TOPIC = "wrong_topic"  # 2
    WRONG_AUTHOR = "wrong_author"  # 2
    UNKNOWN_KIND = "unknown_kind"  # 3
    KNOWN = "known"  # 4
    TOO_OLD = "too_old"  # 4
    FUTURE_EPOCH = "future_epoch"  # 5
    FUTURE = "future"  # 5
    EXPIRED = "expired"  # 5
    NOT_ALLOWED = "not_allowed"  # 6
    BAD_SIGNATURE = "bad_signature"  # 7
    EQUIVOCATION = "equivocation"  # 8
    TOO_MANY_AUTHORS = "too_many_authors"  # our own bound on memory
    OVER_BUDGET = "over_budget"  # our own bound on what a stranger may say
    BUSY = "busy"  # our own queue is full; nothing was marked, it may come again


@dataclass(frozen=True, slots=True)
class Accepted:
    """Applied and passed on; its name is marked already."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not passed on; nobody is to blame."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not passed on; whoever relayed it should have known better."""

    reason: Reason


Verdict: TypeAlias = Accepted | Ignored | Rejected
