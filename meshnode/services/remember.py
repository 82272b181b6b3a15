"""Remember: who provides and where nodes are reached, from what is heard, kept over a restart."""

import trio

from meshnode.core.acquaintances import Acquaintances
from meshnode.core.address_book import AddressBook, Origin
from meshnode.core.outbox import Outbox
from meshnode.core.providers import Providers
from meshnode.ports import Store, WallClock
from meshnode.services.presence import Presence
from protocols.ids import peer_id
from protocols.messages import Presence as PresenceState
from protocols.messages import PresenceUpdate, PriceUpdate, Role

RECALLED_MAX = 1_000  # at the start: as many as presence tracks
# So many changes don't wait for the next commit, which a disk that hangs may put off for long: the
# outbox is bounded, and counts what it drops.
CHANGES_MAX = 1_000
# The outage clock of the next run is wrong by no more than this and a commit.
SIGN_STEP_NS = 10**9


class Remember:
    """Takes note of every message before presence judges it, and puts what changes to the outbox.

    A provider that presence has no record of any more, and that is known here, is brought back to
    it as one that was lost: its return is no discovery.
    """

    def __init__(
        self,
        acquaintances: Acquaintances,
        addresses: AddressBook,
        presence: Presence,
        outbox: Outbox,
        store: Store,
        wall_clock: WallClock,
        *,
        own_id: str,
    ) -> None:
        self._acquaintances = acquaintances
        self._addresses = addresses
        self._presence = presence
        self._outbox = outbox
        self._store = store
        self._generation = store.generation
        self._wall_clock = wall_clock
        self._own_id = own_id
        self._sign_kept_ns: int | None = None
        # What a message changes here is written with what it changes elsewhere.
        outbox.before_taken = self.keep

    def heard(self, author: bytes, payload: PriceUpdate | PresenceUpdate, issued_ns: int) -> None:
        """An accepted message, which presence hears next."""
        self._note(author, payload, issued_ns)
        if self._acquaintances.changes + self._addresses.changes >= CHANGES_MAX:
            self.keep()

    def _note(self, author: bytes, payload: PriceUpdate | PresenceUpdate, issued_ns: int) -> None:
        peer = peer_id(author)
        if peer == self._own_id:
            return
        if isinstance(payload, PresenceUpdate) and payload.state is PresenceState.ACTIVE:
            provides = payload.role is Role.PROVIDER
            self._addresses.told(peer, payload.addrs, Origin.AUTHOR, provides=provides)
        if isinstance(payload, PresenceUpdate) and payload.role is Role.CONSUMER:
            return
        now_ns = self._wall_clock.now_ns()
        recall(self._acquaintances, self._presence.providers, author, now_ns)
        self._acquaintances.heard(author, min(issued_ns, now_ns))

    def keep(self, *, everything: bool = False) -> None:
        """Put what changed to the outbox, at each commit at least; `everything` when we leave."""
        if everything or self._store.generation != self._generation:
            self._generation = self._store.generation
            self._acquaintances.change_everything()
            self._addresses.change_everything()
            self._sign_kept_ns = None
        nodes, nodes_gone = self._acquaintances.take_changes()
        addrs, addrs_gone = self._addresses.take_changes()
        sign_ns = self._sign_to_keep()
        if nodes or nodes_gone or addrs or addrs_gone or sign_ns is not None:
            self._outbox.put_others(nodes, nodes_gone, addrs, addrs_gone, sign_ns)

    def _sign_to_keep(self) -> int | None:
        """The last sign of life of any provider: in an outage, its beginning."""
        since_ns = self._presence.outage.since_ns
        sign_ns = since_ns if since_ns is not None else self._presence.providers.last_sign_ns()
        kept_ns = self._sign_kept_ns
        if sign_ns is None or (kept_ns is not None and abs(sign_ns - kept_ns) < SIGN_STEP_NS):
            return None
        self._sign_kept_ns = sign_ns
        return sign_ns


def recall(acquaintances: Acquaintances, providers: Providers, author: bytes, now_ns: int) -> None:
    """Bring a provider that is known from before back among those that presence tracks."""
    last_seen_ns = acquaintances.last_seen_ns(author)
    if last_seen_ns is not None and not providers.remembers(author):
        providers.remember(author, last_seen_ns, trio.current_time(), now_ns)


def recall_all(acquaintances: Acquaintances, providers: Providers, now_ns: int) -> None:
    """Bring back those heard last, at the start."""
    for node in reversed(acquaintances.newest(RECALLED_MAX)):
        recall(acquaintances, providers, node.author, now_ns)
