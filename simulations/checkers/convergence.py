"""Invariant 1: when faults have stopped, all honest nodes hold the same newest prices."""

import trio

from simulations.checkers.court import Checker, Court
from simulations.checkers.said import Said
from simulations.faults import Faults
from simulations.world import Network, World

UNDER_WAY_S = 5.0  # what was said a moment ago need not have reached anybody's disk


class Convergence(Checker):
    """At the end: what each node has on disk is what its authors said, and as new."""

    rule = "all nodes hold the same newest prices"

    def __init__(self, world: World[Network], faults: Faults, court: Court, said: Said) -> None:
        super().__init__(world, faults, court)
        self._said = said

    def finish(self) -> None:
        """Compare every disk with what was said."""
        until = trio.current_time() - UNDER_WAY_S
        newest: dict[tuple[bytes, str], tuple[int, int]] = {}
        told: dict[tuple[bytes, str, tuple[int, int]], tuple[int, int]] = {}
        names = {}
        for update in self._said.updates:
            for quote in update.quotes:
                key = (update.author.key, quote.asset)
                names[key[0]] = update.author.name
                told[(*key, update.name)] = (quote.mantissa, quote.exponent)
                if update.said_at <= until and update.name > newest.get(key, (0, 0)):
                    newest[key] = update.name
        for node in self.world.running():
            held = {(s.author, s.quote.asset): s for s in node.store.latest()}
            for key, name in newest.items():
                stored = held.get(key)
                what = f"{key[1]} of {names[key[0]]}"
                if stored is None:
                    self.violated(node.name, f"has no {what}, said in {name}")
                elif (stored.epoch, stored.seq) < name:
                    kept = (stored.epoch, stored.seq)
                    self.violated(node.name, f"holds {what} of {kept}, the newest is {name}")
                elif told.get((*key, (stored.epoch, stored.seq))) != (
                    stored.quote.mantissa,
                    stored.quote.exponent,
                ):
                    self.violated(node.name, f"holds {what} at a price that was never said")
