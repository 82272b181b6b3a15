"""A world of processes: real `meshnode run` on loopback, under a scenario's hands.

None of them outlives it, whatever happens.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import trio

from meshnode.adapters.node_process import NodeProcess, start_node
from meshnode.config import ENV_PREFIX
from meshnode.core.facts import Fact
from meshnode.errors import ConfigError, MeshnodeError
from meshnode.ports import Mesh
from simulations.account import Account
from simulations.processes.ports import Ports
from simulations.processes.recording import Recording
from simulations.processes.watching import Watching
from simulations.stores import FaultyStore
from simulations.world import Network, World
from simulations.world_node import Part, WorldNode, key_seed

LEAVES_WITHIN_S = 10.0
CAPABLE = "freeze, provider-loss and restart"

Tell = Callable[[str], None]


class ProcessWorld:
    """Nodes by name, each a process with a directory and a port that it keeps over a restart.

    `seed` decides their keys, as in a simulated world. What they say goes into `account`.
    """

    def __init__(
        self,
        directory: Path,
        nursery: trio.Nursery,
        mesh: Mesh,
        account: Account,
        *,
        seed: int,
        tell: Tell,
        settings: Mapping[str, str],
    ) -> None:
        self.by_name: dict[str, WorldNode] = {}
        self._directory = directory
        self._nursery = nursery
        self._account = account
        self._watching = Watching(mesh, account)
        self._seed = seed
        self._tell = tell
        self._environ = _environment(os.environ, settings)
        self._ports = Ports()
        self._processes: dict[WorldNode, NodeProcess] = {}
        self._started: list[NodeProcess] = []
        self._ready: dict[WorldNode, trio.Event] = {}
        self._frozen: set[WorldNode] = set()
        self._recordings: dict[WorldNode, Recording] = {}

    # --- what a stage asks for --------------------------------------------------------------

    def node(self, name: str) -> WorldNode:
        """A node by its name, whether it was ever started or not."""
        if name not in self.by_name:
            node = WorldNode(name, key_seed(self._seed, name), "", _deaf, FaultyStore())
            node.place = f"/ip4/127.0.0.1/tcp/{self._ports.take()}"
            home = self.data_dir(node)
            home.mkdir(mode=0o700, parents=True)
            (home / "key").touch(0o600)
            (home / "key").write_text(node.seed.hex() + "\n", encoding="ascii")
            self.by_name[name] = node
            self._watching.names[node.peer_id] = name
        return self.by_name[name]

    async def start_as(self, node: WorldNode, part: Part | None = None) -> WorldNode:
        """Start a node's process; `settle` waits until it is ready. Raises MeshnodeError."""
        assert not node.is_running, f"{node.name} runs already"
        node.begin(part or node.part)
        log = self._directory / f"{node.name}-{node.starts}.log"
        process = await start_node(
            node.name,
            self._arguments(node),
            log=log,
            environ=self._environ,
            own_session=True,
        )
        self._started.append(process)
        self._processes[node] = process
        node.started_at, node.ended_at = trio.current_time(), None
        ready = self._ready[node] = trio.Event()
        self._nursery.start_soon(self._follow, node, process, ready)
        return node

    async def stop(self, node: WorldNode) -> None:
        """Let a node leave by SIGTERM. Raises MeshnodeError if it fails to, or takes long."""
        process = self._processes[node]
        await self._ready[node].wait()
        self._gone(node)
        process.is_killed = True  # it ends because we said so
        began_at = trio.current_time()
        process.ask_to_end()
        with trio.move_on_after(LEAVES_WITHIN_S):
            await process.wait_ended()
        if process.is_running:
            raise process.failure(f"did not leave within {LEAVES_WITHIN_S:.0f} s")
        if process.exit_code != 0:
            raise process.failure(f"left with exit code {process.exit_code}")
        self._tell(f"{node.name} left in {trio.current_time() - began_at:.1f} s")

    async def kill(self, node: WorldNode) -> None:
        """SIGKILL: it says nothing and writes nothing more."""
        self._gone(node)
        await self._processes[node].kill()

    def freeze(self, node: WorldNode) -> None:
        """SIGSTOP."""
        self._frozen.add(node)
        self._processes[node].freeze()

    def thaw(self, node: WorldNode) -> None:
        """SIGCONT."""
        if node in self._frozen:
            self._frozen.discard(node)
            self._processes[node].thaw()

    async def settle(self) -> None:
        """Wait until everybody who was started is ready, and watched; the frozen are not."""
        for node, ready in tuple(self._ready.items()):
            if node.is_running and node not in self._frozen:
                await ready.wait()

    def source_changed(self, node: WorldNode) -> None:
        """Write what a provider reads anew; one that never ran reads it when it starts."""
        if node in self._recordings:
            self._recordings[node].write(node.trouble)

    def simulated(self, what: str) -> World[Network]:
        """Processes are no simulation. Raises ConfigError."""
        raise ConfigError(not_with_processes(what))

    # --- what tests ask for -----------------------------------------------------------------

    def data_dir(self, node: WorldNode) -> Path:
        """Where a node's key and database are."""
        return self._directory / node.name

    def process_of(self, node: WorldNode) -> NodeProcess:
        """A node's process, the present or the last one."""
        return self._processes[node]

    async def end(self) -> None:
        """Kill whoever is still there."""
        for process in self._started:
            if process.is_running:
                await process.kill()
            await process.wait_ended()

    # --- their lives ------------------------------------------------------------------------

    async def _follow(self, node: WorldNode, process: NodeProcess, ready: trio.Event) -> None:
        """See a process become ready, then take down what it says until it ends."""
        try:
            said = await process.wait_ready()
            self._tell(f"{node.name} is ready after {said.took_s:.1f} s")
            await self._watching.follow(node, process, said.addrs[0], ready)
        except MeshnodeError:
            if not process.is_killed:
                raise
        finally:
            ready.set()  # nobody waits for one that was killed as it started
        if not process.is_killed:
            raise process.failure(f"ended by itself, with exit code {process.exit_code}")

    def _gone(self, node: WorldNode) -> None:
        self.thaw(node)
        node.started_at, node.ended_at = None, trio.current_time()
        self._account.ended(node.ended_at, node.name)

    def _arguments(self, node: WorldNode) -> list[str]:
        arguments = ["--listen", node.place, "--data-dir", str(self.data_dir(node))]
        for addr in node.part.connect:
            arguments += ["--connect", addr]
        for peer in node.part.allow:
            arguments += ["--allow", peer]
        if node.is_provider:
            if node not in self._recordings:
                self._recordings[node] = Recording(
                    self._directory / f"{node.name}.csv",
                    seed=int.from_bytes(node.seed[:4]),
                    update_every_s=node.part.update_every_s,
                )
            self.source_changed(node)
            arguments += ["--role", "provider", "--source", self._recordings[node].spec]
        return arguments


def not_with_processes(what: str) -> str:
    """What to say of a scenario that wants something that processes do not have."""
    return (
        f"real processes have no {what}: --stack processes runs scenarios that only start, kill,"
        f" leave, freeze and trouble upstreams, such as {CAPABLE}; choose --stack model"
    )


@asynccontextmanager
async def open_process_world(
    account: Account,
    *,
    seed: int = 0,
    tell: Tell = lambda _line: None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[ProcessWorld]:
    """A world without nodes yet; no process of it is left when it is left, and no file.

    `settings` are for every node, by the keys of its configuration.
    Where it ends by an error of the nodes, their logs are kept, and the error says where.
    """
    # Only here: the library takes seconds to load.
    from meshnode.adapters.libp2p.host import open_client

    directory = Path(tempfile.mkdtemp(prefix="meshnode-processes-"))
    is_kept = False
    try:
        async with open_client(_Unheard()) as mesh, trio.open_nursery() as nursery:
            world = ProcessWorld(
                directory, nursery, mesh, account, seed=seed, tell=tell, settings=settings
            )
            try:
                yield world
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await world.end()
    except* MeshnodeError:
        is_kept = True
        tell(f"the nodes' files and logs: {directory}")
        raise
    finally:
        if not is_kept:
            shutil.rmtree(directory, ignore_errors=True)


def _environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The user's, with these settings instead of those that are meant for the user's own node."""
    kept = {name: text for name, text in environ.items() if not name.startswith(ENV_PREFIX)}
    return kept | {f"{ENV_PREFIX}{key.upper()}": text for key, text in settings.items()}


def _deaf(_fact: Fact) -> None:
    """A process tells its facts to its log."""


class _Unheard:
    def observe(self, fact: Fact) -> None:
        """What befalls the client that asks is nobody's concern."""
