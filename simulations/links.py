"""What lies between nodes: how long bytes take, who can reach whom, and who is frozen.

Both stacks ask it for every message; scenarios change it. Nodes are named by their peer ids.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import trio

Delay = Callable[[str, str], float]


class Links:
    """The links of one world. `delay_s(sender, receiver)` gives seconds one way.

    A link that is closed one way holds what is sent that way until it opens again, as a network
    that drops packets does: the bytes within a connection are never lost, reordered or altered.
    Dials over it go unanswered. A frozen node's process does not run: nothing reaches it or
    leaves it, and its connections stay.
    """

    def __init__(self, delay_s: Delay) -> None:
        # How long bytes take from one node to another; as it is, for it is asked at every message.
        self.delay_s = delay_s
        self._cut: set[tuple[str, str]] = set()
        self._stalled: Counter[tuple[str, str]] = Counter()
        self._refusing: set[tuple[str, str]] = set()
        self._sides: dict[str, int] = {}
        self._frozen: set[str] = set()
        self._changed = trio.Event()
        self.is_whole = True  # whether bytes travel everywhere

    def lengthen(self, delay_s: Delay) -> None:
        """From now on bytes take so long."""
        self.delay_s = delay_s

    def is_open(self, sender: str, receiver: str) -> bool:
        """Whether bytes travel that way now."""
        return self.is_whole or (
            (sender, receiver) not in self._cut
            and (sender, receiver) not in self._stalled
            and self._sides.get(sender, 0) == self._sides.get(receiver, 0)
            and sender not in self._frozen
            and receiver not in self._frozen
        )

    async def wait_open(self, sender: str, receiver: str) -> None:
        """Wait until bytes travel that way; no checkpoint where they do already."""
        while not self.is_open(sender, receiver):
            await self._changed.wait()

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """Close the link from one node to another, and back unless it is `one_way`."""
        self._cut.add((one, other))
        if not one_way:
            self._cut.add((other, one))
        self._look_at_whole()

    def mend(self, one: str, other: str) -> None:
        """Open the link both ways."""
        self._cut -= {(one, other), (other, one)}
        self._tell()

    def is_cut(self, node: str) -> bool:
        """Whether any link of a node is closed."""
        return any(node in link for link in self._cut)

    def stall(self, one: str, other: str) -> None:
        """Hold what two nodes send each other, until `resume` was called as often."""
        self._stalled.update(((one, other), (other, one)))
        self._look_at_whole()

    def resume(self, one: str, other: str) -> None:
        """Let go what was stalled once; a link that is cut besides stays cut."""
        self._stalled -= Counter(((one, other), (other, one)))
        self._tell()

    def refuse(self, one: str, other: str) -> None:
        """From now on each refuses the other's dials, as if nobody listened."""
        self._refusing |= {(one, other), (other, one)}

    def accept(self, one: str, other: str) -> None:
        """Their dials are answered again."""
        self._refusing -= {(one, other), (other, one)}

    def accept_all(self) -> None:
        """Nobody refuses a dial any more, but who does not listen."""
        self._refusing.clear()

    def refuses(self, dialler: str, dialled: str) -> bool:
        """Whether a dial that way is refused."""
        return (dialler, dialled) in self._refusing

    def split(self, sides: Iterable[Iterable[str]]) -> None:
        """Partition the network: the nodes of each side reach each other only.

        Whoever is on no side is on the first.
        """
        self._sides = {node: number for number, side in enumerate(sides) for node in side}
        self._tell()

    def heal(self) -> None:
        """End the partition; single links stay cut."""
        self._sides = {}
        self._tell()

    def freeze(self, node: str) -> None:
        """Stop what a node hears and says."""
        self._frozen.add(node)
        self._look_at_whole()

    def thaw(self, node: str) -> None:
        """Let it hear and say again, what was held first."""
        self._frozen.discard(node)
        self._tell()

    def is_frozen(self, node: str) -> bool:
        """Whether a node's process stands still."""
        return node in self._frozen

    def _look_at_whole(self) -> None:
        self.is_whole = not (self._cut or self._stalled or self._sides or self._frozen)

    def _tell(self) -> None:
        self._look_at_whole()
        self._changed.set()
        self._changed = trio.Event()
