"""What bob knows of alice, as the tests of the tracker tell it."""

from collections.abc import Callable

from meshnode.core.facts import (
    Fact,
)
from meshnode.core.lifecycle import ProviderState
from meshnode.core.providers import Providers
from meshnode.core.suspicion import Verdict
from protocols.messages import Presence, PresenceUpdate, PriceUpdate, Role
from simulations.clock import START_NS
from tests.cast import ALICE, CAROL, NS_PER_S, id_of, key_of, presence, quote

PRICES = PriceUpdate((quote(),))
HERE = presence(assets=7)
LEAVING = presence(state=Presence.LEAVING)
CONSUMES = presence(Role.CONSUMER, interval_s=60)
GOES = presence(Role.CONSUMER, Presence.LEAVING, interval_s=60)

ACTIVE, SUSPECT, OFFLINE, LEFT, UNREACHABLE, FLAPPING, SKEWED = ProviderState


def wall(now: float) -> int:
    return START_NS + round(now * NS_PER_S)


class Bob:
    """What bob knows of alice and others."""

    def __init__(self) -> None:
        self.providers = Providers()

    def hears(
        self,
        now: float,
        payload: PriceUpdate | PresenceUpdate = HERE,
        *,
        by: bytes = key_of(ALICE),
        late_s: float = 0,
    ) -> list[Fact]:
        return self.providers.heard(by, payload, wall(now - late_s), now, wall(now))

    def sweeps(self, now: float, *, isolated: bool = False) -> list[Fact]:
        self.providers.expire(now)
        return self.providers.doubts.sweep(now, wall(now), isolated=isolated)

    def loses_connection(self, now: float) -> list[Fact]:
        return self.providers.doubts.connection_lost(id_of(ALICE), now)

    def is_refused(self, now: float) -> list[Fact]:
        return self.providers.doubts.dial_refused(id_of(ALICE), now)

    def is_told(
        self, now: float, verdict: Verdict, *, by: str = id_of(CAROL), seen: float | None = None
    ) -> list[Fact]:
        seen_ns = 0 if seen is None else wall(seen)
        return self.providers.doubts.asked(by, id_of(ALICE), verdict, seen_ns, now)

    @property
    def state(self) -> ProviderState:
        return self.providers.records()[key_of(ALICE)].state


Loss = Callable[[Bob, float], list[Fact]]


def by_silence(bob: Bob, now: float) -> list[Fact]:
    return [*bob.sweeps(now), *bob.sweeps(now)][1:]


def by_connection(bob: Bob, now: float) -> list[Fact]:
    return [*bob.loses_connection(now), *bob.is_refused(now), *bob.is_told(now, Verdict.GONE)][1:]
