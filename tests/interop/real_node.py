"""The node as it is delivered, in this process: real sockets, real files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from meshnode.config import NodeConfig
from meshnode.core.facts import Fact, NodeReady, PeerMisbehaved
from meshnode.node import run_node


class RunningNode:
    """A node's observer, and where it is reached."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    @property
    def ready(self) -> NodeReady:
        """The fact of its readiness."""
        (ready,) = (fact for fact in self.facts if isinstance(fact, NodeReady))
        return ready

    @property
    def addr(self) -> str:
        """Its address with its id."""
        return self.ready.addrs[0]

    @property
    def misbehaved(self) -> list[Fact]:
        """What its guards held against peers."""
        return [fact for fact in self.facts if isinstance(fact, PeerMisbehaved)]

    def observe(self, fact: Fact) -> None:
        """Remember a fact."""
        self.facts.append(fact)


@asynccontextmanager
async def real_node(data_dir: Path, *sources: str) -> AsyncIterator[RunningNode]:
    """A node on loopback: a provider where it has sources, else a consumer."""
    config = NodeConfig(
        role="provider" if sources else "consumer",
        listen=("/ip4/127.0.0.1/tcp/0",),
        data_dir=data_dir,
        sources=sources,
    )
    node, stop = RunningNode(), trio.Event()
    async with trio.open_nursery() as nursery:
        with trio.fail_after(10):
            await nursery.start(partial(run_node, config, observer=node, stop=stop))
        try:
            yield node
        finally:
            stop.set()
