"""Watching processes over the peer protocol, as any other program could."""

import math
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import trio

from meshnode.adapters.node_process import NodeProcess
from meshnode.adapters.system import SystemClock
from meshnode.errors import PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Mesh
from meshnode.services import ask
from protocols.queries import WatchEvent, WatchRequest
from protocols.timestamps import ns_from_rfc3339
from simulations.account import NS_PER_S, Account, state_after
from simulations.world_node import WorldNode

# The first heartbeat ends the present state: from then on nothing is missed.
EVENTS = ("provider", "outage", "price", "heartbeat")
AGAIN_AFTER_S = 3.5  # a node answers five requests of one peer in 15 s


class Watching:
    """Takes down what nodes say; one client asks all of them. `names` are nodes' by their ids."""

    def __init__(self, mesh: Mesh, account: Account) -> None:
        self.names: dict[str, str] = {}
        self._mesh = mesh
        self._account = account

    async def follow(
        self, node: WorldNode, process: NodeProcess, addr: str, ready: trio.Event
    ) -> None:
        """Watch a node until its process ends; `ready` is set once it has begun to tell.

        Raises MeshnodeError for what is no peer's doing.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, node, addr, ready)
            await process.wait_ended()
            nursery.cancel_scope.cancel()

    async def _watch(self, node: WorldNode, addr: str, ready: trio.Event) -> None:
        while True:
            try:
                peer = await self._mesh.connect(addr)
                # Without a limit to its silence: one that stands still goes on telling afterwards,
                # and what it says then must not be missed.
                watched = ask.watch(
                    self._mesh, peer, WatchRequest(events=EVENTS), silence_max_s=math.inf
                )
                if not ready.is_set():
                    self._account.started(trio.current_time(), node)
                async with aclosing(watched) as events:
                    async for event in events:
                        self._take(node.name, event)
                        if event.event == "heartbeat":
                            ready.set()
            except (PeerUnreachable, StreamBroken, QueryRefused):
                pass  # it was killed, or stands still, or is busy
            await trio.sleep(AGAIN_AFTER_S)

    def _take(self, node: str, event: WatchEvent) -> None:
        fields = event.fields
        match event.event:
            case "provider":
                provider = self.names.get(str(fields["provider_id"]))
                is_present = fields["change"] == "present"
                state = str(fields["state"]) if is_present else state_after(fields)
                if provider is not None and state is not None:
                    self._account.saw(_at_s(event.time), node, provider, state)
            case "outage":
                self._account.outage(_at_s(event.time), node, active=bool(fields["active"]))
            case "price":
                self._take_prices(node, fields["prices"])

    def _take_prices(self, node: str, answers: Mapping[str, Mapping[str, Any]]) -> None:
        for answer in answers.values():
            provider = self.names.get(str(answer["provider_id"]))
            observed = answer["observed"]
            if provider is not None and observed is not None:
                self._account.price(_at_s(str(observed)), node, provider)


def _at_s(text: str) -> float:
    """A time of a node's on trio's clock: all have this machine's. Raises Malformed."""
    return trio.current_time() - (SystemClock().now_ns() - ns_from_rfc3339(text)) / NS_PER_S
