"""The node: its parts wired together and nested so that each is there while it is needed."""

from collections.abc import Sequence

import trio
from nacl.signing import SigningKey

from meshnode.config import NodeConfig
from meshnode.core.acquaintances import Acquaintances
from meshnode.core.address_book import AddressBook
from meshnode.core.admission import Admission
from meshnode.core.author_budget import AuthorBudget
from meshnode.core.book import AUTHORS_MAX, AUTHORS_OPEN_MAX, Book
from meshnode.core.dial_rules import DialRules
from meshnode.core.facts import NodeLeaving, NodeReady, StoreRestored
from meshnode.core.links import LinkRecord
from meshnode.core.names import Names
from meshnode.core.outage import OutageClock
from meshnode.core.outbox import Outbox
from meshnode.core.own_clock import OwnClock
from meshnode.core.providers import Providers
from meshnode.core.publication import Publication
from meshnode.core.ratelimit import QueryLimiter
from meshnode.core.records import EnvelopeKey, KnownAddr, Restored
from meshnode.core.verdicts import Accepted, Verdict
from meshnode.platform import Home, Platform, real_platform
from meshnode.ports import Mesh, Observer, Service, Store, TaskStatus
from meshnode.services.announce import Announcer
from meshnode.services.answer import Answer
from meshnode.services.beat import Beat
from meshnode.services.catchup import CatchUp
from meshnode.services.clock_check import ClockCheck, JudgingClock
from meshnode.services.connections import Connections
from meshnode.services.feed import Feed
from meshnode.services.inquiry import Inquiry
from meshnode.services.intake import Intake
from meshnode.services.lan import LanSearch
from meshnode.services.monitor import Monitor
from meshnode.services.persist import Persist
from meshnode.services.poll import Poll
from meshnode.services.presence import Presence
from meshnode.services.publish import Publisher
from meshnode.services.remember import Remember, recall_all
from meshnode.services.status import Status
from meshnode.services.topology import Topology
from meshnode.services.watch import Watch
from meshnode.version import AGENT
from protocols.ids import (
    PRICES_PROTOCOL,
    STATUS_PROTOCOL,
    WATCH_PROTOCOL,
    Topic,
    key_from_peer_id,
)
from protocols.messages import Name, Role

# Of what a shutdown may take:
LEAVE_S = 2.0  # for saying so to the peers
# Of that: who is connected to us may hear it from others only, and is not to see the connection
# break before.
FAREWELL_S = 0.5
DRAIN_S = 4.0  # for the last commit


async def run_node(
    config: NodeConfig,
    *,
    observer: Observer,
    stop: trio.Event,
    platform: Platform | None = None,
    task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node until `stop` is set, then leave the network in order.

    Raises MeshnodeError where it cannot start: a data directory in use, a configuration that does
    not fit this machine, a database that cannot be opened.
    """
    platform = platform or real_platform()
    async with (
        platform.open_home(config) as home,
        platform.open_store(config, home, observer) as store,
    ):
        node = await _restore(config, home, store, observer, platform)
        async with platform.open_mesh(
            config, key_seed=home.key_seed, judge=node.judge, observer=observer
        ) as mesh:
            await node.run(mesh, stop, task_status)


class _Node:
    """One node's parts; those that need the mesh are made when it is there."""

    def __init__(
        self,
        config: NodeConfig,
        home: Home,
        store: Store,
        observer: Observer,
        platform: Platform,
        *,
        epoch: int,
    ) -> None:
        self.config = config
        self.home = home
        self.store = store
        self.observer = observer
        self.platform = platform
        self.epoch = epoch
        self.key = SigningKey(home.key_seed)
        self.role = Role[config.role.upper()]
        own_key = self.own_key = bytes(self.key.verify_key)
        allowed = frozenset(map(key_from_peer_id, config.allow))
        self.is_open = not allowed
        allowlist = allowed | {own_key} if allowed else None
        self.book = Book(authors_max=AUTHORS_OPEN_MAX if self.is_open else AUTHORS_MAX)
        self.outbox = Outbox()
        self.names = Names(
            is_kept=self.book.holds,
            on_forgotten=self.outbox.forget,
            allowlist=allowlist or frozenset({own_key}),
        )
        self.admission = Admission(
            config.network,
            allowlist=allowlist,
            names=self.names,
            find_held=self._find_held,
            budget=AuthorBudget() if self.is_open else None,
            open_envelope=platform.open_envelope,
        )
        self.own_clock = OwnClock()
        self.judging_clock = JudgingClock(platform.wall_clock, self.own_clock)
        self.providers = Providers(has_prices=self.book.holds, is_kept=allowed.__contains__)
        self.acquaintances = Acquaintances(allowlist or ())
        self.held_addrs: Sequence[KnownAddr] = ()
        self.last_sign_ns: int | None = None
        self.feed = Feed()

    def judge(self, topic: Topic, sender: bytes, data: bytes) -> Verdict:
        """The verdict on a gossip message, by our clock as corrected by our peers'."""
        now_ns = self.judging_clock.now_ns()
        verdict = self.admission.judge(topic, sender, data, now_ns)
        if isinstance(verdict, Accepted) and sender != self.own_key:
            self.judging_clock.accepted(verdict.envelope.message, now_ns)
        return verdict

    def restore(self, held: Restored) -> None:
        """Take up what the last run left."""
        now_ns = self.platform.wall_clock.now_ns()
        self.book.restore(held)
        for mark in held.marks:
            if not self.names.restore(mark, now_ns):
                self.outbox.forget(mark.author)
        last_said: dict[bytes, int] = {}
        for stored in held.latest:
            said_ns = min(stored.issued_ns, stored.received_ns)
            last_said[stored.author] = max(said_ns, last_said.get(stored.author, 0))
        for author, said_ns in last_said.items():
            self.acquaintances.heard(author, said_ns)
        self.acquaintances.restore(held.nodes)
        recall_all(self.acquaintances, self.providers, now_ns)
        self.held_addrs, self.last_sign_ns = held.addrs, held.last_sign_ns

    async def run(self, mesh: Mesh, stop: trio.Event, task_status: TaskStatus[None]) -> None:
        """Serve and gossip until `stop`; then say so, write down what is left, and end."""
        config, observer, rng = self.config, self.observer, self.platform.rng
        wall_clock = self.platform.wall_clock
        now, now_ns = trio.current_time(), wall_clock.now_ns()
        outage = OutageClock(self._out_since_ns(now_ns), now, now_ns)
        presence = Presence(
            self.providers,
            outage,
            observer,
            self.feed,
            self.judging_clock,
            own_id=mesh.peer_id,
            skewed=self.admission.skewed,
            any_skewed=self.admission.any_skewed,
        )
        persist = Persist(
            self.store,
            self.outbox,
            self.book,
            observer,
            wall_clock,
            rng,
            flush_interval_s=config.flush_interval_ms / 1000,
        )
        addresses = AddressBook(DialRules(mesh.peer_id, ()), rng, config.connect)
        remember = Remember(
            self.acquaintances,
            addresses,
            presence,
            self.outbox,
            self.store,
            wall_clock,
            own_id=mesh.peer_id,
        )
        topology = Topology(
            mesh,
            addresses,
            presence,
            self.own_clock,
            observer,
            wall_clock,
            network=config.network,
            seeds=config.connect,
        )
        intake = Intake(
            mesh.gossip, self.book, self.outbox, self.feed, presence, remember, wall_clock
        )
        publisher = Publisher(
            Publication(
                window_s=config.publish_window_ms / 1000, heartbeat_s=float(config.heartbeat_s)
            ),
            mesh.gossip,
            wall_clock,
            key=self.key,
            network=config.network,
            epoch=self.epoch,
            vouch=self.admission.vouch,
        )
        poll = Poll(self.platform.make_sources(config), publisher, observer, wall_clock, rng)
        catch_up = CatchUp(
            mesh,
            self.admission.judge_held,
            intake,
            observer,
            self.judging_clock,
            presence.wait_returned,
        )
        connections = Connections(
            mesh,
            config.connect,
            addresses,
            presence,
            topology,
            catch_up,
            observer,
            wall_clock,
            rng,
            peers_min=config.peers_min,
            peers_aim=config.peers_aim,
            peers_max=config.peers_max,
        )
        inquiry = Inquiry(
            mesh,
            presence,
            rng,
            is_node=connections.is_node,
            peers_of=topology.peers_of,
            redial=connections.redial,
        )
        clock_check = ClockCheck(
            mesh, self.own_clock, observer, wall_clock, is_node=connections.is_node
        )
        lan_search = LanSearch(
            self.platform.open_lan, mesh, addresses, observer, is_wanted=config.mdns
        )
        announcer = Announcer(
            publisher,
            topology.size,
            rng,
            role=self.role,
            agent=AGENT,
            told=topology.size_told,
            heard_since=self.providers.consumers_heard_since,
            addrs=lambda: tuple(addr.partition("/p2p/")[0] for addr in mesh.addrs()),
            assets=lambda: publisher.assets,
            wait_back_in_touch=presence.wait_back_in_touch,
        )

        def links() -> tuple[LinkRecord, ...]:
            return (*connections.links(), *poll.links(), persist.link)

        status = Status(
            mesh,
            self.book,
            presence,
            persist,
            topology,
            wall_clock,
            network=config.network,
            agent=AGENT,
            role=self.role,
            is_open=self.is_open,
            links=links,
            is_node=connections.is_node,
            evidence=self.admission.evidence,
            own_clock=self.own_clock,
            skewed=self.admission.skewed,
            refused=lambda: {**mesh.refused(), **addresses.statistics()},
        )
        limiter = QueryLimiter()
        answer = Answer(status, self.book, presence, limiter, observer, wall_clock)
        watch = Watch(self.feed, status, self.book, presence, limiter, observer, wall_clock)
        monitor = Monitor(presence, status, self.feed, self.admission.evidence, observer)
        beat = Beat(
            (monitor.look, topology.look, clock_check.look, connections.look, persist.look),
            presence.paused,
            rng,
        )
        mesh.serve(STATUS_PROTOCOL, answer.status)
        mesh.serve(PRICES_PROTOCOL, answer.prices)
        mesh.serve(WATCH_PROTOCOL, watch.serve)
        async with trio.open_nursery() as drain:
            await drain.start(persist.run)
            async with trio.open_nursery() as work:
                before_peers: tuple[Service, ...] = (intake, catch_up, beat)
                for service in before_peers:
                    await work.start(service.run)
                await mesh.listen()
                addresses.judge_by(DialRules(mesh.peer_id, mesh.addrs()))
                addresses.restore(self.held_addrs)
                with_peers: tuple[Service, ...] = (
                    connections,
                    topology,
                    lan_search,
                    inquiry,
                    clock_check,
                    announcer,
                    publisher,
                    poll,
                )
                for service in with_peers:
                    await work.start(service.run)
                self._tell_ready(mesh)
                task_status.started()
                await stop.wait()
                observer.observe(NodeLeaving("asked to stop"))
                with trio.move_on_after(LEAVE_S):
                    await announcer.leave()
                    await mesh.gossip.flush()
                    await trio.sleep(FAREWELL_S)
                work.cancel_scope.cancel()
            remember.keep(everything=True)
            drain.cancel_scope.cancel()
        with trio.move_on_after(DRAIN_S):
            await persist.drain()

    def _out_since_ns(self, now_ns: int) -> int:
        """The last sign of life of any provider, as far as an earlier run knew."""
        signs = (self.last_sign_ns, self.providers.last_sign_ns())
        return max((sign for sign in signs if sign is not None), default=now_ns)

    def _tell_ready(self, mesh: Mesh) -> None:
        addrs = mesh.addrs()
        self.home.announce(addrs=addrs, started_ns=self.platform.wall_clock.now_ns())
        self.observer.observe(NodeReady(mesh.peer_id, addrs))

    def _find_held(self, name: Name) -> bytes | None:
        return self.book.verify_proof(EnvelopeKey(name.author, name.epoch, name.seq))


async def _restore(
    config: NodeConfig, home: Home, store: Store, observer: Observer, platform: Platform
) -> _Node:
    started_at = trio.current_time()
    held = await store.load()
    epoch = await store.begin_epoch(platform.wall_clock.now_ns() // 10**9)
    node = _Node(config, home, store, observer, platform, epoch=epoch)
    node.restore(held)
    authors = len({mark.author for mark in held.marks})
    took_s = trio.current_time() - started_at
    observer.observe(StoreRestored(len(held.latest), authors, held.damaged, took_s))
    return node
