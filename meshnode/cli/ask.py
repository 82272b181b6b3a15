"""`meshnode status`, `prices` and `watch`: ask any node over the peer protocol."""

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial

import trio

from meshnode.cli.proofs import Proof, verify
from meshnode.cli.render import (
    console_on,
    event_line,
    prices_table,
    proofs_table,
    status_page,
)
from meshnode.cli.target import resolve_target
from meshnode.errors import ConfigError, PeerUnreachable, StreamBroken
from meshnode.ports import Mesh
from meshnode.services import ask
from protocols.queries import PriceAnswer, WatchRequest
from protocols.quotes import is_asset
from protocols.status import StatusReply


def status_command(target: str, *, as_json: bool) -> int:
    """Print a node's status. Raises MeshnodeError, ProtocolError for an unlawful answer."""
    status = trio.run(_status, resolve_target(target))
    if as_json:
        print(json.dumps(status.to_map(), indent=2))
    else:
        console_on(sys.stdout).print(status_page(status))
    return 0


def prices_command(target: str, assets: Sequence[str], *, proofs: bool, as_json: bool) -> int:
    """Print prices, or with `proofs` the envelopes behind them; 1 if one of those is forged."""
    _check_assets(assets)
    addrs = resolve_target(target)
    if proofs:
        found = trio.run(_proofs, addrs, assets)
        if as_json:
            print(json.dumps({"envelopes": [proof.to_map() for proof in found]}, indent=2))
        else:
            console_on(sys.stdout).print(proofs_table(found))
        return 0 if all(proof.verified for proof in found) else 1
    prices = trio.run(_prices, addrs, assets)
    if as_json:
        document = {asset: answer.to_map() for asset, answer in sorted(prices.items())}
        print(json.dumps({"prices": document}, indent=2))
    else:
        console_on(sys.stdout).print(prices_table(prices, assets))
    return 0


def watch_command(
    target: str,
    assets: Sequence[str] | None,
    events: Sequence[str] | None,
    *,
    seconds: int | None,
    as_json: bool,
) -> int:
    """Print events as they come, for `seconds` or until the node ends it: that raises."""
    _check_assets(assets or ())
    request = WatchRequest(
        assets=None if assets is None else tuple(assets),
        events=None if events is None else tuple(events),
    )
    trio.run(partial(_watch, resolve_target(target), request, seconds=seconds, as_json=as_json))
    return 0


async def _status(addrs: Sequence[str]) -> StatusReply:
    async with _session(addrs) as (mesh, peer):
        return await ask.status(mesh, peer, keys=None)


async def _prices(addrs: Sequence[str], assets: Sequence[str]) -> Mapping[str, PriceAnswer]:
    async with _session(addrs) as (mesh, peer):
        return await ask.prices(mesh, peer, assets or None)


async def _proofs(addrs: Sequence[str], assets: Sequence[str]) -> list[Proof]:
    async with (
        _session(addrs) as (mesh, peer),
        aclosing(ask.envelopes(mesh, peer, assets or None)) as envelopes,
    ):
        return [verify(raw) async for raw in envelopes]


async def _watch(
    addrs: Sequence[str], request: WatchRequest, *, seconds: int | None, as_json: bool
) -> None:
    async with _session(addrs) as (mesh, peer):
        with trio.move_on_after(float("inf") if seconds is None else seconds) as scope:
            # A node that leaves may be gone before it has ended its streams one by one.
            with suppress(StreamBroken):
                async with aclosing(ask.watch(mesh, peer, request)) as events:
                    async for event in events:
                        line = json.dumps(event.to_map()) if as_json else event_line(event)
                        print(line, flush=True)
        if not scope.cancelled_caught:
            raise PeerUnreachable("the peer ended the watch; it may have stopped")


@asynccontextmanager
async def _session(addrs: Sequence[str]) -> AsyncIterator[tuple[Mesh, str]]:
    # libp2p takes seconds to load: not before the command line is known to be good. And before
    # the logs: its import resets the handlers of its logger.
    from meshnode.adapters.libp2p.host import open_client
    from meshnode.adapters.logs import open_logs

    # What goes wrong comes as an exception, and is told once.
    with open_logs(sys.stderr, log_level="critical") as logs:
        async with open_client(logs) as mesh:
            yield mesh, await _connect(mesh, addrs)


async def _connect(mesh: Mesh, addrs: Sequence[str]) -> str:
    """The peer behind the first address that answers. Raises PeerUnreachable of the last one."""
    *others, last = addrs
    for addr in others:
        try:
            return await mesh.connect(addr)
        except PeerUnreachable:
            continue
    return await mesh.connect(last)


def _check_assets(assets: Sequence[str]) -> None:
    for asset in assets:
        if not is_asset(asset):
            hint = f"; did you mean {asset.upper()}?" if is_asset(asset.upper()) else ""
            raise ConfigError(f'"{asset}" is no asset\'s name, such as BTC-USD{hint}')
