"""Bob's services over a model of the network: the real ones, with the parts laid open."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from nacl.signing import SigningKey

from meshnode.adapters.storage.memory import MemoryStore
from meshnode.core.acquaintances import Acquaintances
from meshnode.core.address_book import AddressBook
from meshnode.core.admission import Admission
from meshnode.core.book import Book
from meshnode.core.dial_rules import DialRules
from meshnode.core.facts import QueryAnswered
from meshnode.core.links import LinkRecord
from meshnode.core.names import Names
from meshnode.core.outage import OutageClock
from meshnode.core.outbox import Outbox
from meshnode.core.own_clock import OwnClock
from meshnode.core.providers import Providers
from meshnode.core.ratelimit import QueryLimiter
from meshnode.core.verdicts import Accepted, Verdict
from meshnode.errors import StoreUnavailable
from meshnode.ports import Batch, Mesh, Stream
from meshnode.services.answer import Answer
from meshnode.services.catchup import CatchUp
from meshnode.services.feed import Feed
from meshnode.services.frames import Frames
from meshnode.services.intake import Intake
from meshnode.services.persist import Persist
from meshnode.services.presence import Presence
from meshnode.services.remember import Remember
from meshnode.services.status import Status
from meshnode.services.topology import Topology
from meshnode.services.watch import Watch
from protocols.envelope import Envelope
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL, WATCH_PROTOCOL, Topic
from protocols.limits import PRICES_PAGE_BYTES_MAX
from protocols.messages import Role
from protocols.packing import unpack
from simulations.clock import VirtualClock
from simulations.model_mesh import ModelMesh, open_model_mesh
from simulations.model_network import ModelNetwork, open_network
from tests.cast import BOB, Witness, key_of

PATIENCE_S = 600.0  # of whoever waits for bob, in virtual time
DELAY_S = 1 / 128  # of a link; whole slots of virtual time, so that what is heard is exact


class FailingStore(MemoryStore):
    """A store that fails on command, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.error: str | None = None
        self.takes_s = 0.0
        self.attempts = 0

    def begin_anew(self) -> None:
        """As when the file was damaged: what it held is gone."""
        MemoryStore.__init__(self)
        self.generation += 1

    async def commit(self, batch: Batch) -> None:
        self.attempts += 1
        await trio.sleep(self.takes_s)
        if self.error is not None:
            raise StoreUnavailable(self.error)
        await super().commit(batch)


@dataclass
class Bench:
    """Everything of a node but its loops; a test starts those that it is about."""

    mesh: ModelMesh
    network: ModelNetwork
    admission: Admission
    witness: Witness = field(default_factory=Witness)
    clock: VirtualClock = field(default_factory=VirtualClock)
    store: FailingStore = field(default_factory=FailingStore)
    feed: Feed = field(default_factory=Feed)
    outbox: Outbox = field(default_factory=Outbox)
    providers: Providers = field(default_factory=Providers)
    own_clock: OwnClock = field(default_factory=OwnClock)
    limiter: QueryLimiter = field(default_factory=QueryLimiter)
    links: list[LinkRecord] = field(default_factory=list)
    book: Book = field(default_factory=lambda: Book(authors_max=10))

    def __post_init__(self) -> None:
        now, now_ns = trio.current_time(), self.clock.now_ns()
        self.presence = Presence(
            self.providers,
            OutageClock(now_ns, now, now_ns),
            self.witness,
            self.feed,
            self.clock,
            own_id=self.mesh.peer_id,
            skewed=self.admission.skewed,
            any_skewed=self.admission.any_skewed,
        )
        self.persist = Persist(
            self.store,
            self.outbox,
            self.book,
            self.witness,
            self.clock,
            random.Random(1),
            flush_interval_s=0.2,
        )
        self.acquaintances = Acquaintances()
        self.addresses = AddressBook(
            DialRules(self.mesh.peer_id, self.mesh.addrs()), random.Random(4)
        )
        self.topology = Topology(
            self.mesh,
            self.addresses,
            self.presence,
            self.own_clock,
            self.witness,
            self.clock,
            network="main",
        )
        self.remember = Remember(
            self.acquaintances,
            self.addresses,
            self.presence,
            self.outbox,
            self.store,
            self.clock,
            own_id=self.mesh.peer_id,
        )
        self.intake = Intake(
            self.mesh.gossip,
            self.book,
            self.outbox,
            self.feed,
            self.presence,
            self.remember,
            self.clock,
        )
        self.status = Status(
            self.mesh,
            self.book,
            self.presence,
            self.persist,
            self.topology,
            self.clock,
            network="main",
            agent="meshnode/0",
            role=Role.CONSUMER,
            is_open=True,
            links=lambda: (*self.links, self.persist.link),
            is_node=self.providers.knows,
            evidence=self.admission.evidence,
            own_clock=self.own_clock,
            skewed=self.admission.skewed,
            refused=lambda: {**self.mesh.refused(), **self.addresses.statistics()},
        )
        self.catch_up = CatchUp(
            self.mesh,
            self.admission.judge_held,
            self.intake,
            self.witness,
            self.clock,
            self.presence.wait_returned,
        )
        self.answer = Answer(
            self.status, self.book, self.presence, self.limiter, self.witness, self.clock
        )
        self.watch = Watch(
            self.feed,
            self.status,
            self.book,
            self.presence,
            self.limiter,
            self.witness,
            self.clock,
        )
        self.mesh.serve(STATUS_PROTOCOL, self.answer.status)
        self.mesh.serve(PRICES_PROTOCOL, self.answer.prices)
        self.mesh.serve(WATCH_PROTOCOL, self.watch.serve)

    def hears(self, envelope: Envelope, *, live: bool = True) -> Verdict:
        """What gossip does with a message, up to where it is served."""
        message = envelope.message
        if not live:
            return self.admission.judge_held(envelope.raw, self.clock.now_ns())
        verdict = self.admission.judge(
            message.topic, message.author, envelope.raw, self.clock.now_ns()
        )
        if isinstance(verdict, Accepted):
            self.intake.take(verdict.envelope)
        return verdict

    def prices(self) -> dict[str, str]:
        """What the book would serve."""
        best = (self.book.best(asset, self.providers.active()) for asset in self.book.assets())
        return {one.quote.asset: str(one.quote.price) for one in best if one}


def _judges_nothing(topic: Topic, sender: bytes, data: bytes) -> Verdict:
    raise AssertionError("a bench hears by `hears`")


@asynccontextmanager
async def open_bench(
    *, allow: Iterable[SigningKey] = (), delay_s: float = DELAY_S
) -> AsyncIterator[Bench]:
    """Bob listens, and answers whoever connects over links that take `delay_s`."""
    allowlist = frozenset(map(key_of, allow)) or None
    async with (
        open_network(delay_s=delay_s, on_one_machine=True) as network,
        open_model_mesh(
            network, key_seed=bytes(BOB), judge=_judges_nothing, observer=Witness()
        ) as mesh,
    ):
        book = Book(authors_max=10)
        names = Names(is_kept=book.holds)
        admission = Admission(
            "main", allowlist=allowlist, names=names, find_held=lambda _name: None
        )
        await mesh.listen()
        yield Bench(mesh, network, admission, book=book)


@asynccontextmanager
async def client(bench: Bench, number: int = 100) -> AsyncIterator[tuple[Mesh, str]]:
    """Somebody who asks, connected to Bob; each number is another one."""
    seed = number.to_bytes(32, "big")
    async with open_model_mesh(
        bench.network, key_seed=seed, judge=None, observer=bench.witness
    ) as mesh:
        yield mesh, await mesh.connect(bench.mesh.addrs()[0])


@asynccontextmanager
async def asking(bench: Bench, protocol: str) -> AsyncIterator[tuple[Stream, Frames]]:
    """A raw stream to Bob, and frames over it, for what no honest client says."""
    with trio.fail_after(PATIENCE_S):
        async with client(bench) as (mesh, peer):
            stream = await mesh.open_stream(peer, protocol)
            yield stream, Frames(stream, PRICES_PAGE_BYTES_MAX)
            await stream.reset()


def map_in(frame: bytes | None) -> dict[str, Any]:
    assert frame is not None
    tree = unpack(frame, "reply", str_bytes_max=1024)
    assert isinstance(tree, dict)
    return tree


def answered(witness: Witness) -> list[str | None]:
    return [fact.error for fact in witness.facts if isinstance(fact, QueryAnswered)]
