"""What a node stands on: the outside world, real by default, another in a simulation."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from meshnode.adapters.datadir import open_data_dir
from meshnode.adapters.sources.spec import parse_source
from meshnode.adapters.system import SystemClock
from meshnode.config import NodeConfig
from meshnode.core.backoff import Rng
from meshnode.ports import Judge, Mesh, Observer, Source, Store, WallClock
from protocols.envelope import Envelope, open_envelope

BYTES_PER_MIB = 1024 * 1024
NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Home:
    """What is a node's own: its key, and where it tells other programs that it runs."""

    key_seed: bytes
    database: Path | None
    announce: "Announce"


class Announce(Protocol):
    """Tells other programs on this machine that the node is ready."""

    def __call__(self, *, addrs: Sequence[str], started_ns: int) -> None:
        """Say where it listens, and since when (Unix nanoseconds)."""
        ...


class OpenMesh(Protocol):
    """Opens our place in the network."""

    def __call__(
        self, config: NodeConfig, *, key_seed: bytes, judge: Judge, observer: Observer
    ) -> AbstractAsyncContextManager[Mesh]:
        """A mesh that gossips, and listens once it is told to."""
        ...


@dataclass(frozen=True, slots=True)
class Platform:
    """One factory for each thing that a simulation replaces."""

    wall_clock: WallClock
    rng: Rng
    open_home: Callable[[NodeConfig], AbstractAsyncContextManager[Home]]
    open_store: Callable[[NodeConfig, Home, Observer], AbstractAsyncContextManager[Store]]
    open_mesh: OpenMesh
    make_sources: Callable[[NodeConfig], Sequence[Source]]
    open_envelope: Callable[[bytes], Envelope] = open_envelope


def real_platform() -> Platform:
    """The machine we run on: its disk, its network, its clock."""
    wall_clock = SystemClock()
    rng = random.Random()

    def make_sources(config: NodeConfig) -> Sequence[Source]:
        return [parse_source(spec, rng=rng, wall_clock=wall_clock) for spec in config.sources]

    return Platform(wall_clock, rng, _open_home, _open_store, _open_mesh, make_sources)


@asynccontextmanager
async def _open_home(config: NodeConfig) -> AsyncIterator[Home]:
    with open_data_dir(config.data_dir) as data_dir:
        yield Home(bytes(data_dir.identity.key), data_dir.database_path, data_dir.write_node_file)


@asynccontextmanager
async def _open_store(config: NodeConfig, home: Home, observer: Observer) -> AsyncIterator[Store]:
    # Imported here, like libp2p below: whoever only simulates needs neither.
    from meshnode.adapters.storage.portal import open_portal
    from meshnode.adapters.storage.sqlite import open_sqlite_store

    assert home.database is not None, "a real home is a directory"
    async with (
        open_portal() as portal,
        open_sqlite_store(
            home.database,
            portal=portal,
            observer=observer,
            history_bytes_max=config.retention_mib * BYTES_PER_MIB,
            history_kept_ns=config.retention_days * NS_PER_DAY,
        ) as store,
    ):
        yield store


@asynccontextmanager
async def _open_mesh(
    config: NodeConfig, *, key_seed: bytes, judge: Judge, observer: Observer
) -> AsyncIterator[Mesh]:
    from meshnode.adapters.libp2p.host import open_mesh
    from meshnode.adapters.libp2p.settings import MeshSettings

    settings = MeshSettings(
        network=config.network,
        listen=config.listen,
        announce=config.announce,
        peers_max=config.peers_max,
    )
    async with open_mesh(settings, key_seed=key_seed, judge=judge, observer=observer) as mesh:
        yield mesh
