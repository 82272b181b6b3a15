"""Checkers that compare what nodes say of providers with who runs, and whom each can reach."""

from simulations.checkers.beliefs import Beliefs
from simulations.checkers.court import Checker, Court
from simulations.checkers.reach import Reach
from simulations.faults import Faults
from simulations.world import Network, World


class Informed(Checker):
    """A checker that reads these two accounts."""

    def __init__(
        self,
        world: World[Network],
        faults: Faults,
        court: Court,
        reach: Reach,
        beliefs: Beliefs,
    ) -> None:
        super().__init__(world, faults, court)
        self._reach = reach
        self._beliefs = beliefs
        self._begin()

    def _begin(self) -> None:
        """Set up whatever the checker keeps itself."""
