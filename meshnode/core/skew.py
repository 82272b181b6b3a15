"""Authors whose clock seems wrong: their messages are refused for their time."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from protocols.envelope import Envelope
from protocols.messages import PresenceUpdate, PriceUpdate, Role

SKEWED_MAX = 1_024  # authors; forget the one refused longest ago, and count it
SKEW_RECHECK_NS = 10 * 10**9
SKEW_REMEMBERED_NS = 120 * 10**9


class Refusals(NamedTuple):
    """An author's refusals for its time without an acceptance between, in Unix nanoseconds.

    `provides`: whether it spoke as a provider the last time.
    """

    first_ns: int
    last_ns: int
    provides: bool

    @property
    def is_lasting(self) -> bool:
        """Whether it is the clock: one refusal alone may be a message held up on its way."""
        return self.last_ns - self.first_ns >= SKEW_RECHECK_NS

    def is_recent(self, now_ns: int) -> bool:
        """Whether it spoke so lately that it is there, whatever its clock says."""
        return now_ns - self.last_ns < 2 * SKEW_RECHECK_NS


class SkewLog:
    """The refusals for time of each author, as far as they were really the author's messages.

    The verdict needs no signature at that point, but a forged message must not make an honest
    author look skewed. So the signature is verified here, until one holds; then the author is
    not looked at again for SKEW_RECHECK_NS. Forgeries don't start that pause: they cost what
    they cost under rule 7, and cannot hide an author whose clock is wrong.
    """

    def __init__(self) -> None:
        self._refused: OrderedDict[bytes, Refusals] = OrderedDict()  # the oldest `last_ns` first
        self.dropped = 0

    def refused(self, envelope: Envelope, now_ns: int) -> None:
        """Note that an envelope was refused for its time."""
        author = envelope.message.author
        noted = self._refused.get(author)
        if noted is not None and 0 <= now_ns - noted.last_ns < SKEW_RECHECK_NS:
            return
        if not envelope.is_authentic():
            return
        begins = noted is None or now_ns - noted.last_ns > SKEW_REMEMBERED_NS
        first_ns = now_ns if begins or noted is None else min(noted.first_ns, now_ns)
        self._refused[author] = Refusals(first_ns, now_ns, _provides(envelope))
        self._refused.move_to_end(author)
        if len(self._refused) > SKEWED_MAX:
            self._refused.popitem(last=False)
            self.dropped += 1

    def accepted(self, author: bytes) -> None:
        """An author's message was in time after all."""
        self._refused.pop(author, None)

    def any_skewed(self) -> bool:
        """Whether `skewed` may name anybody."""
        return bool(self._refused)

    def skewed(self, now_ns: int) -> Mapping[bytes, Refusals]:
        """Who was refused within the last SKEW_REMEMBERED_NS, and not accepted since."""
        return {
            author: refusals
            for author, refusals in self._refused.items()
            if now_ns - refusals.last_ns <= SKEW_REMEMBERED_NS
        }


def _provides(envelope: Envelope) -> bool:
    match envelope.message.payload:
        case PriceUpdate() | PresenceUpdate(role=Role.PROVIDER):
            return True
        case _:
            return False
