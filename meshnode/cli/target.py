"""Whom to ask: a multiaddr, or a node of this machine by its data directory."""

import json
from pathlib import Path
from typing import Any

from meshnode.core.multiaddrs import parse_addr
from meshnode.errors import ConfigError, PeerUnreachable

NODE_FILE = "node.json"
_MULTIADDR_STARTS = ("/ip4/", "/ip6/", "/dns/", "/dns4/", "/dns6/")


def resolve_target(text: str) -> tuple[str, ...]:
    """The addresses to try, in this order, each ending in `/p2p/ID`.

    Raises ConfigError for what is neither an address nor a directory, and PeerUnreachable for a
    directory without a running node.
    """
    if text.startswith(_MULTIADDR_STARTS):
        return (_checked(text, text),)
    path = Path(text).expanduser()
    if not path.exists():
        raise ConfigError(
            f'"{text}" is neither a multiaddr nor a directory here; '
            "write /ip4/HOST/tcp/PORT/p2p/ID, or a node's data directory"
        )
    file = path / NODE_FILE if path.is_dir() else path
    addrs = _addrs_in(file)
    # We are on the same machine, where loopback always works.
    return tuple(sorted(addrs, key=lambda addr: not addr.startswith(("/ip4/127.", "/ip6/::1/"))))


def _addrs_in(file: Path) -> list[str]:
    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PeerUnreachable(
            f"no node runs in {file.parent}: it has no {NODE_FILE}; start one with "
            f"meshnode run --data-dir {file.parent}"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as a node's {NODE_FILE}: {error}") from error
    addrs = document.get("addrs") if isinstance(document, dict) else None
    if not isinstance(addrs, list) or not all(isinstance(addr, str) for addr in addrs):
        raise ConfigError(f"{file} is no node's {NODE_FILE}: it has no list addrs")
    if not addrs:
        raise PeerUnreachable(f"the node of {file} listens nowhere, so it cannot be asked")
    return [_checked(addr, f"{file}: {addr}") for addr in addrs]


def _checked(addr: str, place: str) -> str:
    try:
        peer_id = parse_addr(addr).peer_id
    except ValueError as error:
        raise ConfigError(f'"{place}" {error}') from None
    if peer_id is None:
        raise ConfigError(f'"{place}" has no /p2p/<id>; run "meshnode id" on that node to get it')
    return addr
