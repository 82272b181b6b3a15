"""Writes protocols/vectors.json: `python -m tests.protocols.make_vectors`.

Deterministic: fixed keys, fixed times, Ed25519. SPEC.md describes the format.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.protocols.vector_parts import AUTHORS, SIGNING_CONTEXT
from tests.protocols.vectors_judged import judged, snapshot
from tests.protocols.vectors_malformed import malformed

VECTORS = Path(__file__).parents[2] / "protocols" / "vectors.json"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def vectors() -> dict[str, Any]:
    """The whole document."""
    return {
        "version": 1,
        "signing_context": SIGNING_CONTEXT.hex(),
        "authors": [
            {
                "name": author.name,
                "seed": author.seed.hex(),
                "key": author.key.hex(),
                "peer_id": _peer_id(author.key),
            }
            for author in AUTHORS
        ],
        "gossip": [item.to_json() for item in (*judged(), *malformed())],
        "snapshot": [item.to_json() for item in snapshot()],
        "framing": list(_framing()),
    }


def text(document: dict[str, Any]) -> str:
    """The document as it is in the file: one vector a line, so that a change shows as such."""
    lines = ["{"]
    for key, value in document.items():
        comma = "" if key == "framing" else ","
        if isinstance(value, list):
            items = ",\n".join("  " + json.dumps(item, ensure_ascii=True) for item in value)
            lines.append(f' "{key}": [\n{items}\n ]{comma}')
        else:
            lines.append(f' "{key}": {json.dumps(value)}{comma}')
    return "\n".join([*lines, "}", ""])


def _peer_id(key: bytes) -> str:
    number = int.from_bytes(bytes.fromhex("002408011220") + key, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "1" + digits  # for the one leading zero byte


def _framing() -> Iterator[dict[str, Any]]:
    for name, limit, stream, frames, error in (
        ("one frame", 4096, "0180", ["80"], None),
        ("an empty frame", 4096, "00", [""], None),
        ("two frames", 4096, "01c004a3616263", ["c0", "a3616263"], None),
        ("a length of two bytes", 4096, "8001" + "c0" * 128, ["c0" * 128], None),
        ("at the limit", 128, "8001" + "c0" * 128, ["c0" * 128], None),
        ("nothing", 4096, "", [], None),
        ("cut short in the body", 4096, "04c0", [], "incomplete"),
        ("cut short in the length", 4096, "80", [], "incomplete"),
        ("over the limit, body not there yet", 128, "8101", [], "too_large"),
        ("a good frame, then one over the limit", 128, "01c08101", ["c0"], "too_large"),
        ("4 GiB announced", 4096, "ffffffff0f", [], "too_large"),
        ("a length that could be shorter", 4096, "8100" + "c0", [], "malformed"),
        ("a length of six bytes", 4096, "808080808001", [], "malformed"),
    ):
        yield {"name": name, "limit": limit, "stream": stream, "frames": frames, "error": error}


if __name__ == "__main__":
    VECTORS.write_text(text(vectors()))
