"""How much one author may say where anybody may be an author.

What is counted belongs to the message: its size, and the ten seconds in which its author says that
it was issued. So an author that keeps within the budget is accepted by every node, however late or
in which order its messages arrive, and no relay can make one node refuse what another accepts.
"""

from protocols.envelope import Envelope
from protocols.limits import ISSUED_AHEAD_MAX_NS, ISSUED_BEHIND_MAX_NS
from protocols.messages import PriceUpdate

BUDGET_WINDOW_NS = 10 * 10**9
BUDGET_QUOTES_MAX = 50_000  # in a window: 10,000 assets, each every two seconds
# A message costs a node about as much as fifty quotes do, whatever is in it.
MESSAGE_QUOTES = 50
# A quote with long tags costs as much as several without.
QUOTE_BYTES = 128


class AuthorBudget:
    """What each author has said, by the window of its issue; windows out of time are forgotten.

    It remembers the authors of the last minute: the caller bounds how many those can be.
    """

    def __init__(self) -> None:
        self._spent: dict[int, dict[bytes, int]] = {}

    def spend(self, envelope: Envelope, now_ns: int) -> bool:
        """Charge a message to its author, unless that would exceed the budget: then False.

        The message must be in time (SPEC.md, verdict rule 5). What was refused once is always
        refused: a window earns nothing back.
        """
        message = envelope.message
        window = message.issued_ns // BUDGET_WINDOW_NS
        by_author = self._spent.get(window)
        if by_author is None:
            self._forget(now_ns)
            by_author = self._spent[window] = {}
        spent = by_author.get(message.author, 0) + weight(envelope)
        if spent > BUDGET_QUOTES_MAX:
            return False
        by_author[message.author] = spent
        return True

    @property
    def windows(self) -> int:
        """How many windows are remembered."""
        return len(self._spent)

    def _forget(self, now_ns: int) -> None:
        first = (now_ns - ISSUED_BEHIND_MAX_NS) // BUDGET_WINDOW_NS
        last = (now_ns + ISSUED_AHEAD_MAX_NS) // BUDGET_WINDOW_NS
        self._spent = {
            window: by_author
            for window, by_author in self._spent.items()
            if first <= window <= last
        }


def weight(envelope: Envelope) -> int:
    """What a message costs, in quotes: those it has, or one for each 128 bytes if that is more."""
    payload = envelope.message.payload
    quotes = len(payload.rows) if isinstance(payload, PriceUpdate) else 0
    return MESSAGE_QUOTES + max(quotes, len(envelope.raw) // QUOTE_BYTES)
