"""Where nodes may be reached: what was heard of it, what came of dialling it, and what is next.

Addresses are hearsay until they have worked. What never works is soon forgotten, what once worked
is kept longer, and the two cannot displace each other: a flood of made-up addresses costs us no
address that is good.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum
from sys import intern
from typing import NamedTuple

from meshnode.core.backoff import Backoff, Rng
from meshnode.core.dial_rules import DialRules, Refusal
from meshnode.core.records import KnownAddr
from protocols.ids import key_from_peer_id, peer_id

PEER_ADDRS_MAX = 3  # a peer; those of its own word displace hearsay, else the new are refused
UNPROVEN_MAX = 500  # the one heard first makes room
# Where all those places are taken, one newcomer of so many gets one, by chance: in a network of
# thousands some node says its address all the time, and neither work nor the disk is to be spent on
# each. Not so providers, whose loss a refused dial shows, nor who is found on the local network.
NEWCOMERS_A_PLACE = 8
PROVEN_MAX = 500  # the one that worked longest ago makes room
CHANGES_MAX = 5_000  # not told to the store yet; the oldest goes, for the next start to find out
UNPROVEN_FAILURES_MAX = 5  # then it is forgotten: about a minute
PROVEN_FAILURES_MAX = 1_000  # the same of what once worked: over an hour, or a day with peers
RETRY = Backoff(first_s=2.0, cap_s=60.0)
RETRY_WHILE_FEW_S = 5.0
RETRY_WHILE_BLIND_S = 15.0
RETRY_WHILE_MISSING_PER_NODE_S = 0.75


def retry_while_missing_s(heard: int) -> float:
    """How long an address that once worked waits at most while we look for who is missed.

    So many nodes look who hear each other: together they dial a place once or twice a second.
    """
    return max(RETRY_WHILE_FEW_S, RETRY_WHILE_MISSING_PER_NODE_S * heard)


class Origin(IntEnum):
    """Whose word an address is; the higher displaces the lower."""

    HEARSAY = 0  # another peer's list
    LAN = 1  # found on the local network
    AUTHOR = 2  # signed by the node itself


class Address(NamedTuple):
    """A node and where it may be reached, without `/p2p`."""

    peer_id: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}/p2p/{self.peer_id}"


@dataclass(slots=True)
class _Entry:
    origin: Origin
    last_success_ns: int | None = None
    failures: int = 0  # in a row, while others could be reached
    attempt: int = 0  # of the back-off
    tried_at: float | None = None  # when the last attempt or connection ended
    delay_s: float = 0.0
    stable: bool = False

    @property
    def is_vouched(self) -> bool:
        """Whether the node said it itself, or it worked."""
        return self.origin is Origin.AUTHOR or self.last_success_ns is not None


class AddressBook:
    """The addresses of other nodes. Times: seconds of the node's clock, Unix ns.

    `seeds` end in `/p2p/<id>`; who keeps them dialled is not this book, so it never chooses one.
    `dropped` counts what made room, `refused` what was not taken, by reason.
    """

    def __init__(self, rules: DialRules, rng: Rng, seeds: Iterable[str] = ()) -> None:
        self._rules = rules
        self._rng = rng
        self._seeds = frozenset(seeds)
        # By insertion: the oldest first, of the proven the one that worked longest ago.
        self._unproven: dict[Address, _Entry] = {}
        self._proven: dict[Address, _Entry] = {}
        self._places: dict[str, tuple[str, ...]] = {}  # of each peer
        # Of peers that say where they are, what they said last, if all of it stands here as theirs.
        self._said: dict[str, tuple[str, ...]] = {}
        self._changed: dict[Address, None] = {}
        self.dropped = 0
        self.refused: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def __contains__(self, address: Address) -> bool:
        return address in self._unproven or address in self._proven

    def judge_by(self, rules: DialRules) -> None:
        """From now on, by other rules: it is known by now where we listen."""
        self._rules = rules

    # --- what is heard ----------------------------------------------------------------------

    def told(
        self, peer: str, addrs: Sequence[str], origin: Origin, *, provides: bool = False
    ) -> None:
        """Somebody says where a peer is reached; more than three addresses are not read.

        `provides`: it says itself that it is a provider.
        """
        if origin is Origin.AUTHOR and self._said.get(peer) == addrs:
            return  # nodes say the same for hours, …
        known = self._places.get(peer, ())
        if origin is Origin.HEARSAY and all(map(known.__contains__, addrs[:PEER_ADDRS_MAX])):
            return  # … and so do neighbours
        if not known and addrs and not provides and origin is not Origin.LAN and self._pass_over():
            return
        peer = intern(peer)  # each came in a message of its own, and is held once
        places = []
        for addr in addrs[:PEER_ADDRS_MAX]:
            if addr in known:
                places.append(addr)  # judged when it came first
                continue
            match self._rules.judge(peer, addr):
                case Refusal() as refusal:
                    self.refused[refusal.value] += 1
                case place:
                    places.append(place)
        for place in places:
            address = Address(peer, place)
            entry = self._find(address) if known else None
            if entry is not None:
                if origin > entry.origin:
                    entry.origin = origin
                    self._note(address, entry)
            elif not known or self._make_room_of(peer, origin, keep=places):
                self._put(address, _Entry(origin))
        if origin is Origin.AUTHOR and 0 < len(places) == len(addrs):
            self._keep_said(peer, tuple(addrs), places)

    def restore(self, known: Iterable[KnownAddr]) -> None:
        """Take up what an earlier run kept; it is judged anew, for we may listen elsewhere."""
        taken: list[tuple[Address, KnownAddr]] = []
        of_peer: Counter[str] = Counter()
        for addr in sorted(known, key=lambda one: (one.last_success_ns or 0, one), reverse=True):
            peer = peer_id(addr.author)
            judged = self._rules.judge(peer, addr.addr)
            of_peer[peer] += 1
            if isinstance(judged, Refusal) or of_peer[peer] > PEER_ADDRS_MAX:
                self._change(Address(peer, addr.addr))  # the disk is to forget it as well
            else:
                taken.append((Address(peer, judged), addr))
        for address, addr in reversed(taken):  # what worked last stands last
            self._put(address, _Entry(Origin.AUTHOR, addr.last_success_ns, addr.failures))

    # --- what comes of it -------------------------------------------------------------------

    def worked(self, address: Address, now_ns: int) -> None:
        """A dial succeeded. An address that we were not told of, a seed's, is taken as well."""
        entry = self._take_out(address)
        if entry is None:
            if isinstance(self._rules.judge(*address), Refusal):
                return  # a seed's name, or a place that only the operator may name
            entry = _Entry(Origin.AUTHOR)
        entry.last_success_ns, entry.failures = now_ns, 0
        self._put(address, entry)

    def failed(self, address: Address, now: float, *, alone: bool) -> None:
        """A dial failed. One who reaches nobody blames no address: it may be his own fault."""
        entry = self._find(address)
        if entry is None:
            return
        self._wait(entry, now, 0.0)
        if alone:
            return
        entry.failures += 1
        self._note(address, entry)
        proven = entry.last_success_ns is not None
        if entry.failures >= (PROVEN_FAILURES_MAX if proven else UNPROVEN_FAILURES_MAX):
            self._take_out(address)

    def lost(self, peer: str, now: float, lasted_s: float) -> None:
        """A connection ended: it is not dialled again without a pause, nor soon if it flaps."""
        for address in self.of(peer):
            entry = self._find(address)
            assert entry is not None, "the index holds what the tables hold"
            entry.stable = lasted_s >= RETRY.stable_s
            self._wait(entry, now, lasted_s)

    def forget(self, peer: str) -> None:
        """A peer turned out to be none of ours."""
        for address in self.of(peer):
            self._take_out(address)

    # --- what is next -----------------------------------------------------------------------

    def of(self, peer: str) -> tuple[Address, ...]:
        """Where a peer may be reached; what worked or was told last stands last."""
        return tuple(Address(peer, place) for place in self._places.get(peer, ()))

    def is_vouched(self, address: Address) -> bool:
        """Whether a node said itself that it is reached there, or was: else it proves nothing."""
        entry = self._find(address)
        return entry is not None and entry.is_vouched

    def choose(
        self,
        besides: AbstractSet[str],
        now: float,
        *,
        wait_max_s: float = math.inf,
        proven_wait_max_s: float = math.inf,
    ) -> Address | None:
        """The address to dial next, if one is due: what worked first, what held, what failed least.

        Not of the peers in `besides`. After a failure no address waits longer than `wait_max_s`,
        and none that once worked longer than `proven_wait_max_s`.
        """
        proven_s = min(wait_max_s, proven_wait_max_s)
        for entries, longest_s in ((self._proven, proven_s), (self._unproven, wait_max_s)):
            best: tuple[int, bool, int] | None = None
            found: list[Address] = []
            for address, entry in entries.items():
                if (
                    address.peer_id in besides
                    or not _is_due(entry, now, longest_s)
                    or str(address) in self._seeds
                ):
                    continue
                rank = entry.failures, not entry.stable, entry.attempt
                if best is None or rank < best:
                    best, found = rank, []
                if rank == best:
                    found.append(address)
            if found:
                return found[int(self._rng.random() * len(found))]
        return None

    # --- what is kept -----------------------------------------------------------------------

    @property
    def changes(self) -> int:
        """How many wait to be taken."""
        return len(self._changed)

    def take_changes(self) -> tuple[list[KnownAddr], list[tuple[bytes, str]]]:
        """What changed since the last call: addresses to keep, and such as are gone.

        Hearsay is not kept: a restart would make it as good as a node's own word.
        """
        kept, gone = [], []
        for address in self._changed:
            author = key_from_peer_id(address.peer_id)
            entry = self._find(address)
            if entry is not None and entry.is_vouched:
                kept.append(KnownAddr(author, address.place, entry.last_success_ns, entry.failures))
            else:
                gone.append((author, address.place))
        self._changed.clear()
        return kept, gone

    def change_everything(self) -> None:
        """The store lost what it had: all is to be kept again."""
        for address, entry in (*self._unproven.items(), *self._proven.items()):
            self._note(address, entry)

    def statistics(self) -> Mapping[str, int]:
        """How many addresses were refused or dropped, by reason; `addr_no_room`: how many words."""
        return {**self.refused, "addr_dropped": self.dropped}

    # --- inside -----------------------------------------------------------------------------

    def _pass_over(self) -> bool:
        """Whether a newcomer is not taken, as all places are."""
        is_full = len(self._unproven) >= UNPROVEN_MAX
        if is_full and self._rng.random() * NEWCOMERS_A_PLACE >= 1:
            self.refused["addr_no_room"] += 1
            return True
        return False

    def _keep_said(self, peer: str, addrs: tuple[str, ...], places: Sequence[str]) -> None:
        held = self._places.get(peer, ())
        if all(place in held for place in places):  # none made room for the next
            self._said[peer] = addrs

    def _note(self, address: Address, entry: _Entry) -> None:
        if entry.is_vouched:
            self._change(address)

    def _change(self, address: Address) -> None:
        self._changed[address] = None
        if len(self._changed) > CHANGES_MAX:
            del self._changed[next(iter(self._changed))]

    def _find(self, address: Address) -> _Entry | None:
        return self._unproven.get(address) or self._proven.get(address)

    def _put(self, address: Address, entry: _Entry) -> None:
        proven = entry.last_success_ns is not None
        entries = self._proven if proven else self._unproven
        entries[address] = entry
        places = self._places.get(address.peer_id, ())
        if address.place not in places:
            self._places[address.peer_id] = (*places, address.place)
        self._note(address, entry)
        if len(entries) > (PROVEN_MAX if proven else UNPROVEN_MAX):
            self._take_out(next(iter(entries)))
            self.dropped += 1

    def _take_out(self, address: Address) -> _Entry | None:
        entry = self._unproven.pop(address, None) or self._proven.pop(address, None)
        if entry is not None:
            self._said.pop(address.peer_id, None)
            places = self._places.pop(address.peer_id)
            if len(places) > 1:
                self._places[address.peer_id] = tuple(p for p in places if p != address.place)
            self._note(address, entry)
        return entry

    def _make_room_of(self, peer: str, origin: Origin, keep: Sequence[str]) -> bool:
        """Whether a peer may have one more address, at the price of a worse one if need be."""
        known = self.of(peer)
        if len(known) < PEER_ADDRS_MAX:
            return True
        for address in known:
            entry = self._unproven.get(address)
            # Its own newer word replaces its own older one, hearsay never replaces anything.
            worse = entry is not None and origin > Origin.HEARSAY and entry.origin <= origin
            if worse and address.place not in keep:
                self._take_out(address)
                return True
        if origin is Origin.AUTHOR:
            # It moved: the place that worked longest ago is given up for one that it names.
            moved = [address for address in self._proven_of(known) if address.place not in keep]
            self._take_out(moved[0])
            return True
        self.refused["addr_too_many"] += 1
        return False

    def _proven_of(self, known: Iterable[Address]) -> list[Address]:
        """Those that worked, the longest ago first."""
        proven = [(entry.last_success_ns or 0, a) for a in known if (entry := self._proven.get(a))]
        return [address for _, address in sorted(proven)]

    def _wait(self, entry: _Entry, now: float, worked_s: float) -> None:
        entry.attempt = RETRY.next_attempt(entry.attempt, worked_s)
        entry.tried_at, entry.delay_s = now, RETRY.delay_s(entry.attempt, self._rng)


def _is_due(entry: _Entry, now: float, wait_max_s: float) -> bool:
    return entry.tried_at is None or now >= entry.tried_at + min(entry.delay_s, wait_max_s)
