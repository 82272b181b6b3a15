"""Invariant 2, first half: marks never go down, and no name is applied twice, restarts included."""

from collections import defaultdict

from meshnode.ports import Batch
from protocols.envelope import Envelope
from protocols.ids import Topic
from simulations.checkers.court import Checker, Court
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

SEQS_MAX = 4_096  # remembered an author and node; then the lower half is forgotten


class _Heard:
    """What one node accepted of one author's prices in one epoch."""

    __slots__ = ("epoch", "forgotten_up_to", "seqs")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.seqs: set[int] = set()
        self.forgotten_up_to = 0


class _Account:
    """What one node accepted and wrote down, by author; names are (epoch, seq)."""

    __slots__ = ("marks", "presence", "prices")

    def __init__(self) -> None:
        self.presence: dict[bytes, tuple[int, int]] = {}
        self.prices: dict[bytes, _Heard] = {}
        self.marks: dict[tuple[bytes, Topic], tuple[int, int]] = {}


class Names(Checker):
    """Keeps its own account of the names that each node accepted and wrote down."""

    rule = "no name is applied twice"

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._of: defaultdict[WorldNode, _Account] = defaultdict(_Account)

    def ended(self, node: WorldNode) -> None:
        """A kill loses what was accepted within a commit's interval: the disk is what counts."""
        account = self._of[node]
        for author in account.presence:
            account.presence[author] = account.marks.get((author, Topic.PRESENCE), (0, 0))
        for author in account.prices:
            epoch, seq = account.marks.get((author, Topic.PRICES), (0, 0))
            account.prices[author] = heard = _Heard(epoch)
            heard.forgotten_up_to = seq

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Presence in strict order; prices in any, each once."""
        message = envelope.message
        name, author, account = (message.epoch, message.seq), message.author, self._of[node]
        if message.topic is not Topic.PRICES:
            if name <= account.presence.get(author, (0, 0)):
                self.violated(node.name, f"accepted presence {name} again, or out of order")
            account.presence[author] = name
            return
        heard = account.prices.get(author)
        if heard is None or message.epoch > heard.epoch:
            heard = account.prices[author] = _Heard(message.epoch)
        if message.epoch < heard.epoch:
            self.violated(node.name, f"accepted price update {name} of an older epoch")
        elif message.seq in heard.seqs or message.seq <= heard.forgotten_up_to:
            self.violated(node.name, f"accepted price update {name} twice")
        heard.seqs.add(message.seq)
        if len(heard.seqs) > SEQS_MAX:
            heard.forgotten_up_to = max(heard.seqs) - SEQS_MAX // 2
            heard.seqs = {seq for seq in heard.seqs if seq > heard.forgotten_up_to}

    def committed(self, node: WorldNode, batch: Batch) -> None:
        """A mark on disk only rises."""
        marks = self._of[node].marks
        for mark in batch.marks:
            place = (mark.author, mark.topic)
            before = marks.get(place, (0, 0))
            # What was heard late comes with its own, lower mark; the disk keeps the higher.
            standing = node.store.mark_of(mark.author, mark.topic)
            if standing < max(before, (mark.epoch, mark.seq)):
                self.violated(node.name, f"the mark on disk went from {before} to {standing}")
            marks[place] = standing
