"""All checkers together, on one world."""

import trio

from simulations.checkers.accusations import Accusations
from simulations.checkers.arrivals import Arrivals
from simulations.checkers.beliefs import Beliefs
from simulations.checkers.clocks import Clocks
from simulations.checkers.convergence import Convergence
from simulations.checkers.court import Checker, Court
from simulations.checkers.delivery import Delivery
from simulations.checkers.departures import Departures
from simulations.checkers.dials import Dials
from simulations.checkers.disks import Disks
from simulations.checkers.first_prices import FirstPrices
from simulations.checkers.names import Names
from simulations.checkers.outages import Outages
from simulations.checkers.proofs import Proofs
from simulations.checkers.reach import Reach
from simulations.checkers.said import Said
from simulations.checkers.splits import Splits
from simulations.faults import Faults
from simulations.witness import Witness
from simulations.world import Network, World


class Jury:
    """Makes the checkers of a world, before any node of it starts, and lets them see time pass."""

    def __init__(self, world: World[Network], faults: Faults) -> None:
        self.court = Court()
        self.said = Said()
        self.delivery = Delivery(world, faults, self.court, self.said)
        self.reach = Reach(world, faults)
        self.beliefs = Beliefs()
        known = (self.reach, self.beliefs)
        self.checkers: tuple[Checker, ...] = (
            Proofs(world, faults, self.court),
            Names(world, faults, self.court),
            Dials(world, faults, self.court),
            Disks(world, faults, self.court),
            Outages(world, faults, self.court),
            Accusations(world, faults, self.court, *known),
            Departures(world, faults, self.court, *known),
            Arrivals(world, faults, self.court, *known),
            Splits(world, faults, self.court, self.reach),
            Clocks(world, faults, self.court, *known),
            FirstPrices(world, faults, self.court, self.reach),
            self.delivery,
            Convergence(world, faults, self.court, self.said),
        )

    def witnesses(self) -> tuple[Witness, ...]:
        """Who has to look on; the accounts are first, for the others read them."""
        return (self.said, self.reach, self.beliefs, *self.checkers)

    async def watch(self) -> None:
        """Check what can be checked at any time once a virtual second, for ever."""
        while True:
            await trio.sleep(1)
            self.reach.tick()
            for checker in self.checkers:
                checker.tick()

    def finish(self) -> None:
        """Check what must be so when every fault is over."""
        for checker in self.checkers:
            checker.finish()
