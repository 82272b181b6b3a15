"""Somebody who watches Bob."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import trio

from meshnode.ports import Mesh
from meshnode.services import ask
from protocols.queries import WatchRequest
from tests.services.bench import Bench, client


class Watcher:
    """Somebody who writes down what Bob tells."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, dict[str, Any]]] = []

    async def follow(self, mesh: Mesh, peer: str, request: WatchRequest | None = None) -> None:
        async with aclosing(ask.watch(mesh, peer, request)) as events:
            async for event in events:
                self.heard.append((trio.current_time(), event.to_map()))

    def of(self, *events: str) -> list[dict[str, Any]]:
        return [told for _, told in self.heard if told["event"] in events]

    def names(self) -> list[str]:
        return [told["event"] for _, told in self.heard]


@asynccontextmanager
async def watching(
    bench: Bench, request: WatchRequest | None = None, *, number: int = 1
) -> AsyncIterator[Watcher]:
    """Each number is another peer."""
    watcher = Watcher()
    async with client(bench, number) as (mesh, peer), trio.open_nursery() as nursery:
        nursery.start_soon(watcher.follow, mesh, peer, request)
        await trio.sleep(0.1)
        yield watcher
        nursery.cancel_scope.cancel()
