"""Authors whose clock seems wrong: their messages are refused for their time."""

from collections import OrderedDict
from collections.abc import Mapping

from protocols.envelope import Envelope

SKEWED_MAX = 1_024  # authors; forget the one refused longest ago, and count it
SKEW_RECHECK_NS = 10 * 10**9
SKEW_REMEMBERED_NS = 120 * 10**9


class SkewLog:
    """The last refusal for time of each author, as far as it was really the author's message.

    The verdict needs no signature at that point, but a forged message must not make an honest
    author look skewed. So the signature is verified here, until one holds; then the author is
    not looked at again for SKEW_RECHECK_NS. Forgeries don't start that pause: they cost what
    they cost under rule 7, and cannot hide an author whose clock is wrong.
    """

    def __init__(self) -> None:
        self._refused_ns: OrderedDict[bytes, int] = OrderedDict()  # the oldest refusal first
        self.dropped = 0

    def refused(self, envelope: Envelope, now_ns: int) -> None:
        """Note that an envelope was refused for its time."""
        author = envelope.message.author
        noted_ns = self._refused_ns.get(author)
        if noted_ns is not None and 0 <= now_ns - noted_ns < SKEW_RECHECK_NS:
            return
        if not envelope.is_authentic():
            return
        self._refused_ns[author] = now_ns
        self._refused_ns.move_to_end(author)
        if len(self._refused_ns) > SKEWED_MAX:
            self._refused_ns.popitem(last=False)
            self.dropped += 1

    def accepted(self, author: bytes) -> None:
        """An author's message was in time after all."""
        self._refused_ns.pop(author, None)

    def skewed(self, now_ns: int) -> Mapping[bytes, int]:
        """The last refusal of each author, in the last SKEW_REMEMBERED_NS, none accepted since."""
        return {
            author: refused_ns
            for author, refused_ns in self._refused_ns.items()
            if now_ns - refused_ns <= SKEW_REMEMBERED_NS
        }
