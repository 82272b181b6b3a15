"""Answers for people: tables and a page on a terminal, plain columns in a pipe.

Every text of a peer goes through `_cell`: escaped, and never read as markup.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshnode.cli.durations import NOTHING, duration
from meshnode.cli.proofs import Proof
from meshnode.cli.words import outage_sentence, provider_sentence
from meshnode.core.safe_text import one_line
from protocols.queries import PriceAnswer, WatchEvent
from protocols.status import (
    ConnectionStatus,
    DataFreshness,
    Outage,
    ProviderStatus,
    StatusReply,
)
from protocols.timestamps import ns_from_rfc3339

PIPE_COLUMNS = 1000  # nobody wraps there
SECONDS_BELOW = 120  # below that, minutes hide whether it goes on
_SHORT_ID_CHARS = 8
_FRACTION = re.compile(r"\.[0-9]+Z$")
_STYLES = {
    "fresh": "green",
    "active": "green",
    "connected": "green",
    "normal": "green",
    "emergency": "bold red",
    "offline": "red",
    "left": "red",
    "suspect": "yellow",
    "unreachable": "yellow",
    "flapping": "yellow",
    "skewed": "yellow",
    "error": "red",
}


def console_on(stream: TextIO) -> Console:
    """A console that wraps and colours on a terminal only, and takes no text for markup."""
    width = None if stream.isatty() else PIPE_COLUMNS
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def prices_table(prices: Mapping[str, PriceAnswer], asked: Sequence[str] = ()) -> RenderableType:
    """One row an asset, by name; what was asked for and is not known has an empty one."""
    table = _table("ASSET", "PRICE", "±", "AGE", "STATE", "PROVIDER", "TAGS", right=(1, 2, 3))
    for asset in sorted({*prices, *asked}):
        answer = prices.get(asset)
        if answer is None:
            table.add_row(_cell(asset), *[_cell(None)] * 3, _cell("unknown"))
            continue
        tags = " ".join(f"{key}={value}" for key, value in sorted((answer.tags or {}).items()))
        table.add_row(
            _cell(asset),
            _cell(answer.price),
            _cell(answer.confidence),
            _cell(duration(answer.age_s)),
            _cell(answer.state),
            _cell(short_id(answer.provider_id)),
            _cell(tags),
        )
    return table


def proofs_table(proofs: Iterable[Proof]) -> RenderableType:
    """One row an envelope."""
    table = _table("AUTHOR", "EPOCH", "SEQ", "ISSUED", "QUOTES", "VERIFIED", right=(1, 2, 4))
    for proof in proofs:
        table.add_row(
            _cell(proof.author),
            _cell(proof.epoch),
            _cell(proof.seq),
            _cell(_to_the_second(proof.issued)),
            _cell(proof.quotes),
            Text("true", "green") if proof.verified else Text("false", "bold red"),
        )
    return table


def status_page(status: StatusReply) -> RenderableType:
    """The whole status: what matters first, then providers, peers, and what is wrong."""
    parts: list[RenderableType] = [
        _sentence("node", status["node_id"], status["role"], status["agent"]),
        _sentence("network", status["network"], f"nodes: {_number(status, 'total_network_size')}"),
        _sentence("mode", status["mode"], f"up {duration(status['uptime_s'])}"),
        _sentence("prices", _newest(status["data_freshness"])),
    ]
    if outage := status["outage"]:
        since, lasted = f"since {_to_the_second(outage.since)}", _lasted(status, outage)
        parts.append(_sentence("outage", since, outage.cause, lasted))
    parts += [
        _sentence("warning", f"{warning.code}: {warning.message}")
        for warning in status["warnings"] or ()
    ]
    known: Sequence[ProviderStatus] = status["known_providers"] or status["active_providers"] or ()
    parts += [_sentence("providers", str(len(known))), *_provider_tables(known)]
    parts.append(_sentence("peers", f"{_number(status, 'connected_peers')} connected"))
    if peers := status["peers"]:
        table = _table("PEER", "RTT", "ADDRESSES")
        for peer in peers:
            rtt = None if peer.rtt_ms is None else f"{peer.rtt_ms} ms"
            table.add_row(_cell(peer.node_id), _cell(rtt), _cell(" ".join(peer.addrs)))
        parts.append(table)
    parts += _connection_tables(status["connections"] or ())
    if truncated := status["truncated"]:
        parts.append(_sentence("cut short", ", ".join(truncated)))
    return Group(*parts)


def event_line(event: WatchEvent) -> str:
    """An event of a watch on one line: when, what, and its fields by name; lists as their length.

    Prices stand as `BTC-USD=39432.48`, with their state unless they are fresh; what became of a
    provider or of an outage is said in words.
    """
    fields = event.to_map()
    parts = [_to_the_second(fields.pop("time")), fields.pop("event")]
    prices = fields.get("prices")
    if event.event == "price" and isinstance(prices, dict):
        parts += [_quoted(asset, answer) for asset, answer in fields.pop("prices").items()]
    match event.event:
        case "provider" if (sentence := provider_sentence(fields)) is not None:
            parts += [_field(fields.get("provider_id")), sentence]
            fields = {key: value for key, value in fields.items() if key == "missed"}
        case "outage":
            parts.append(outage_sentence(fields))
            fields = {key: value for key, value in fields.items() if key in ("since", "missed")}
    parts += [f"{key}={_field(value)}" for key, value in fields.items()]
    return one_line(" ".join(parts))


def short_id(peer_id: str | None) -> str:
    """The end of a peer id: all begin alike."""
    if peer_id is None or len(peer_id) <= _SHORT_ID_CHARS:
        return peer_id or NOTHING
    return f"…{peer_id[-_SHORT_ID_CHARS:]}"


def _provider_tables(providers: Sequence[ProviderStatus]) -> Iterable[RenderableType]:
    if not providers:
        return
    table = _table("PROVIDER", "STATE", "LAST SEEN", "HOPS", "ASSETS", right=(3, 4))
    for provider in providers:
        table.add_row(
            _cell(provider.provider_id),
            _cell(provider.state),
            _cell(_to_the_second(provider.last_seen)),
            _cell(provider.hop_count),
            _cell(provider.assets),
        )
    yield table


def _connection_tables(connections: Sequence[ConnectionStatus]) -> Iterable[RenderableType]:
    if not connections:
        return
    table = _table(
        "CONNECTION", "NAME", "STATE", "ATTEMPTS", "LAST SUCCESS", "LAST ERROR", right=(3,)
    )
    for connection in connections:
        table.add_row(
            _cell(connection.kind),
            _cell(connection.name),
            _cell(connection.state),
            _cell(connection.reconnect_attempts),
            _cell(_to_the_second(connection.last_success)),
            _cell(connection.last_error),
        )
    yield table


def _table(*headers: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, header in enumerate(headers):
        table.add_column(
            header, justify="right" if index in right else "left", overflow="fold", no_wrap=False
        )
    return table


def _sentence(title: str, *parts: str | None) -> Text:
    said = [_cell(part) for part in parts if part]
    return Text(f"{title:<10}", "bold") + Text(", ").join(said or [_cell(None)])


def _to_the_second(moment: str | None) -> str:
    return NOTHING if moment is None else _FRACTION.sub("Z", moment)


def _newest(freshness: DataFreshness | None) -> str | None:
    """How old the newest price is; while seconds matter, to the second."""
    if freshness is None:
        return None
    age_s = freshness.age_s
    return freshness.text if age_s is None or age_s >= SECONDS_BELOW else f"{age_s} s ago"


def _lasted(status: StatusReply, outage: Outage) -> str:
    """How long an outage has lasted; a node says minutes, and at which second it began."""
    minutes, said = status["offline_duration_minutes"], status["time"]
    if minutes is None:
        return f"{NOTHING} minutes"
    if said is not None and minutes * 60 < SECONDS_BELOW:
        seconds = (ns_from_rfc3339(said) - ns_from_rfc3339(outage.since)) // 10**9
        if 0 <= seconds < SECONDS_BELOW:  # its clock may have been set meanwhile
            return f"{seconds} s"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _number(status: StatusReply, key: str) -> str:
    return NOTHING if status[key] is None else str(status[key])


def _cell(value: object) -> Text:
    text = NOTHING if value is None else one_line(str(value))
    return Text(text, _STYLES.get(text, ""))


def _quoted(asset: str, answer: object) -> str:
    if not isinstance(answer, dict):
        return f"{asset}={_field(answer)}"
    state = answer.get("state")
    return f"{asset}={answer.get('price')}" + ("" if state == "fresh" else f" ({state})")


def _field(value: object) -> str:
    match value:
        case str():
            return value if value.isprintable() and " " not in value else json.dumps(value)
        case list() if all(isinstance(item, dict) and "code" in item for item in value):
            return ",".join(str(item["code"]) for item in value) or "none"
        case list():
            return str(len(value))
        case None:
            return NOTHING
        case _:
            return json.dumps(value)
