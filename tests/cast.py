"""Who acts in the stories, and what they say."""

from decimal import Decimal

import trio
from nacl.signing import SigningKey

from meshnode.core.facts import Fact
from protocols.envelope import Envelope, seal
from protocols.ids import peer_id
from protocols.messages import Message, Payload, Presence, PresenceUpdate, PriceUpdate, Role
from protocols.quotes import Quote, quote_of
from simulations.clock import START_NS

NS_PER_S = 10**9
EPOCH = START_NS // NS_PER_S - 600

ALICE, BOB, CAROL, MALLORY = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3, 4))


def key_of(who: SigningKey) -> bytes:
    return bytes(who.verify_key)


def id_of(who: SigningKey) -> str:
    return peer_id(key_of(who))


def quote(asset: str = "BTC-USD", price: str = "100", *, observed_ns: int = START_NS) -> Quote:
    return quote_of(asset, Decimal(price), observed_ns=observed_ns)


def presence(
    role: Role = Role.PROVIDER,
    state: Presence = Presence.ACTIVE,
    *,
    interval_s: float = 5,
    assets: int = 1,
) -> PresenceUpdate:
    interval_ms = int(interval_s * 1000)
    return PresenceUpdate(role, state, interval_ms, interval_ms, (), "meshnode/0", assets)


def said(
    *quotes: Quote,
    by: SigningKey = ALICE,
    seq: int = 1,
    epoch: int = EPOCH,
    issued_ns: int = START_NS,
    network: str = "main",
    payload: Payload | None = None,
) -> Envelope:
    """What somebody said, sealed: these quotes, or another payload."""
    told = payload or PriceUpdate(quotes or (quote(),))
    return seal(Message(network, key_of(by), epoch, seq, issued_ns, told), by)


class Witness:
    """An Observer that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self._changed = trio.Event()

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._changed.set()

    def of(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def wait_for(self, kind: type[Fact], count: int = 1) -> Fact:
        """The fact number `count` of a kind; the caller's deadline."""
        while len(found := self.of(kind)) < count:
            self._changed = trio.Event()
            await self._changed.wait()
        return found[count - 1]
