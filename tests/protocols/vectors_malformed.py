"""Vectors of rule 1: what is no message, broken in one place each."""

from collections.abc import Iterator
from typing import Any

from tests.protocols.vector_parts import (
    ALICE,
    EPOCH,
    NOW_NS,
    Numbered,
    Raw,
    Recipe,
    Times,
    Vector,
    bare,
    body,
    pack,
    presence,
    quote,
    vector,
)

EXT = Raw(b"\xd4\x01\x00")
FLOAT = Raw(bytes.fromhex("cb3ff0000000000000"))
NAN = Raw(bytes.fromhex("cb7ff8000000000000"))
UNSORTED = {"b": "1", "a": "2"}
TWICE = Raw(b"\x82" + pack("a") + pack("1") + pack("a") + pack("2"))
BODY = body()
SIGNATURE = ALICE.sign(BODY)
ENVELOPE = pack([BODY, SIGNATURE])


def malformed() -> Iterator[Vector]:
    """Every vector of rule 1."""
    yield from _envelopes()
    for name, fields in _body_fields():
        yield vector(f"body: {name}", "malformed", body(**fields))
    for name, quotes in _quotes():
        yield vector(f"quotes: {name}", "malformed", body([quotes]))
    for name, fields in _quote_fields():
        yield vector(f"quote: {name}", "malformed", body([[quote(**fields)]]))
    for name, fields in _presence_fields():
        said = body(presence(**fields), kind=2)
        yield vector(f"presence: {name}", "malformed", said, topic="presence")
    for name, payload in _reserved():
        said = body(payload, kind=7)
        yield vector(f"reserved: {name}", "malformed", said, topic="presence")
    yield vector("quotes: 1001", "malformed", many_quotes(1001))
    yield vector("envelope: 131073 bytes", "malformed", filled(131_073), topic="presence")


def many_quotes(count: int) -> Recipe:
    """A body of so many quotes (over 255), of assets A0001 to A and the count."""
    first, rest = body([[]]).split(b"\x91\x90")
    assert not rest
    packed = pack(quote(asset="A----"))
    before, after = packed.split(b"----")
    array = b"\xdc" + count.to_bytes(2, "big")
    return Recipe((first + b"\x91" + array, Numbered(1, count, before, after)))


def filled(envelope_bytes: int) -> Recipe:
    """A reserved body whose envelope has so many bytes (over 65,700)."""
    start = body([], kind=7)[:-1] + b"\x91"
    # Around the zeros: two headers of bin 32, the start, and the signature's bin of 66 bytes.
    zeros = envelope_bytes - 1 - 5 - len(start) - 5 - 66
    return Recipe((start + b"\xc6" + zeros.to_bytes(4, "big"), Times(zeros, b"\0")))


def _envelopes() -> Iterator[Vector]:
    yield bare("envelope: no bytes", b"")
    yield bare("envelope: text", b"BTC-USD 39432.48")
    yield bare("envelope: a reserved msgpack byte", b"\xc1")
    yield bare("envelope: cut short", ENVELOPE[:-1])
    yield bare("envelope: one byte more", ENVELOPE + b"\0")
    yield bare("envelope: nil", b"\xc0")
    yield bare("envelope: a map", b"\x81" + pack(BODY) + pack(SIGNATURE))
    yield bare("envelope: of one", pack([BODY]))
    yield bare("envelope: of three", pack([BODY, SIGNATURE, None]))
    yield bare("envelope: the body as an array", b"\x92" + BODY + pack(SIGNATURE))
    yield bare("envelope: the body as a string", pack([Raw(b"\xd9\x01a"), SIGNATURE]))
    yield bare("envelope: a signature of 63 bytes", pack([BODY, SIGNATURE[:-1]]))
    yield bare("envelope: a signature of 65 bytes", pack([BODY, SIGNATURE + b"\0"]))
    yield bare("envelope: a long array header", b"\xdc\x00\x02" + ENVELOPE[1:])
    length = len(BODY).to_bytes(2, "big")
    yield bare("envelope: a long bin header", b"\x92\xc5" + length + BODY + pack(SIGNATURE))
    yield bare("envelope: 2^32-1 elements announced", b"\xdd\xff\xff\xff\xff")
    yield bare("envelope: a bin of 4 GiB announced", b"\x92\xc6\xff\xff\xff\xff")
    yield vector("body: no bytes", "malformed", b"")
    yield vector("body: one byte more", "malformed", BODY + b"\0")
    yield vector("body: cut short", "malformed", BODY[:-1])
    yield vector("body: of six", "malformed", pack([1, "main", ALICE.key, EPOCH, 1, NOW_NS]))
    of_eight = pack([1, "main", ALICE.key, EPOCH, 1, NOW_NS, [[quote()]], None])
    yield vector("body: of eight", "malformed", of_eight)
    yield vector("body: a long array header", "malformed", b"\xdc\x00\x07" + BODY[1:])
    yield vector("body: nests 10,000 deep", "malformed", Recipe((Times(10_000, b"\x91"), b"\xc0")))


def _body_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "kind 0", {"kind": 0}
    yield "kind true", {"kind": True}
    yield "kind as a string", {"kind": "1"}
    yield "kind in two bytes", {"kind": Raw(b"\xcc\x01")}
    yield "kind in the int family", {"kind": Raw(b"\xd0\x01")}
    yield "no network", {"network": ""}
    yield "network in capitals", {"network": "Main"}
    yield "network of 33 bytes", {"network": "m" * 33}
    yield "network with a newline", {"network": "main\n"}
    yield "network as bin", {"network": b"main"}
    yield "network in a long header", {"network": Raw(b"\xd9\x04main")}
    yield "author of 31 bytes", {"author": ALICE.key[:31]}
    yield "author of 33 bytes", {"author": ALICE.key + b"\0"}
    yield "author as a string", {"author": "a" * 32}
    yield "epoch -1", {"epoch": -1}
    yield "epoch as a float", {"epoch": FLOAT}
    yield "epoch in the int family", {"epoch": Raw(b"\xd3" + EPOCH.to_bytes(8, "big"))}
    yield "epoch in nine bytes", {"epoch": Raw(b"\xcf" + EPOCH.to_bytes(8, "big"))}
    yield "seq 0", {"seq": 0}
    yield "seq nil", {"seq": None}
    yield "issued_ns -1", {"issued_ns": -1}
    yield "issued_ns as a float", {"issued_ns": Raw(bytes.fromhex("cb43b8866f8f6c2000"))}
    yield "payload nil", {"payload": Raw(b"\xc0")}
    yield "payload of a price update empty", {"payload": []}
    yield "payload of a price update of two", {"payload": [[quote()], None]}
    yield "payload a map", {"payload": {"quotes": "1"}}


def _quotes() -> Iterator[tuple[str, Any]]:
    yield "none", []
    yield "nil", None
    yield "one asset twice", [quote(), quote(mantissa=3943249)]
    yield "a quote of six", [quote()[:-1]]
    yield "a quote of eight", [[*quote(), None]]
    yield "a quote as a map", [{"asset": "BTC-USD"}]


def _quote_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "no asset", {"asset": ""}
    yield "asset of 33 bytes", {"asset": "A" * 33}
    yield "asset in small letters", {"asset": "btc-usd"}
    yield "asset begins with a dot", {"asset": ".BTC"}
    yield "asset with a newline", {"asset": "BTC-USD\n"}
    yield "asset with markup", {"asset": "<SCRIPT>"}
    yield "asset beyond ASCII", {"asset": "BTC-\u20ac"}
    yield "asset as bin", {"asset": b"BTC-USD"}
    yield "mantissa 0", {"mantissa": 0}
    yield "mantissa -1", {"mantissa": -1}
    yield "mantissa 2^63", {"mantissa": 2**63}
    yield "mantissa as a float", {"mantissa": FLOAT}
    yield "mantissa NaN", {"mantissa": NAN}
    yield "mantissa true", {"mantissa": True}
    yield "mantissa in a long form", {"mantissa": Raw(b"\xcd\x00\x07")}
    yield "exponent -19", {"exponent": -19}
    yield "exponent 19", {"exponent": 19}
    yield "exponent in a long form", {"exponent": Raw(b"\xd0\xfe")}
    yield "observed_ns -1", {"observed_ns": -1}
    yield "observed_ns nil", {"observed_ns": None}
    yield "confidence -1", {"confidence": -1}
    yield "confidence 2^63", {"confidence": 2**63}
    yield "confidence nil", {"confidence": None}
    yield "sources -1", {"sources": -1}
    yield "sources 256", {"sources": 256}
    yield "a factor of ten left, no confidence", {"mantissa": 3943240}
    yield "a factor of ten left in both", {"mantissa": 3943240, "confidence": 10}
    yield "a factor of ten left at exponent 17", {"mantissa": 10, "exponent": 17}
    yield "tags empty", {"tags": {}}
    yield "tags as an array", {"tags": ["chain", "bitcoin"]}
    yield "9 tags", {"tags": {f"key-{number}": "" for number in range(9)}}
    yield "tag's key of 33 bytes", {"tags": {"k" * 33: "v"}}
    yield "tag's value of 33 bytes", {"tags": {"k": "v" * 33}}
    yield "tag's value a number", {"tags": {"k": 1}}
    yield "tag's key as bin", {"tags": {b"k": "v"}}
    yield "tag's value with a control character", {"tags": {"k": "\x1b[31m"}}
    yield "tag's value beyond ASCII", {"tags": {"k": "\u202e"}}
    yield "tags out of order", {"tags": UNSORTED}
    yield "tags: a longer key before its prefix", {"tags": {"aa": "1", "a": "2"}}
    yield "tags: one key twice", {"tags": TWICE}
    yield "tags as ext", {"tags": EXT}


def _presence_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "role 2", {"role": 2}
    yield "state 0", {"state": 0}
    yield "state 3", {"state": 3}
    yield "a provider's interval of 999 ms", {"interval_ms": 999}
    yield "a provider's interval of 10001 ms", {"interval_ms": 10_001}
    yield "a consumer's interval of 0", {"role": 0, "interval_ms": 0}
    yield "a consumer's interval of 2^63", {"role": 0, "interval_ms": 2**63}
    yield "ttl_ms -1", {"ttl_ms": -1}
    yield "11 addrs", {"addrs": [f"/ip4/192.0.2.{number}/tcp/4201" for number in range(11)]}
    yield "addr of 257 bytes", {"addrs": ["/dns4/" + "a" * 251]}
    yield "addr with /p2p", {"addrs": ["/ip4/192.0.2.7/tcp/4201/p2p/12D3KooW"]}
    yield "addr without its slash", {"addrs": ["192.0.2.7:4201"]}
    yield "addr with a newline", {"addrs": ["/ip4/192.0.2.7/tcp/4201\n"]}
    yield "addrs nil", {"addrs": None}
    yield "agent of 65 bytes", {"agent": "a" * 65}
    yield "agent beyond ASCII", {"agent": "m\u00e9shnode"}
    yield "agent with a control character", {"agent": "mesh\x7f"}
    yield "assets -1", {"assets": -1}
    yield "extra empty", {"extra": {}}
    yield "extra of 9", {"extra": {f"key-{number}": "" for number in range(9)}}
    yield "extra's value of 65 bytes", {"extra": {"k": "v" * 65}}
    yield "extra out of order", {"extra": UNSORTED}


def _reserved() -> Iterator[tuple[str, Any]]:
    yield "payload nil", Raw(b"\xc0")
    yield "payload a map", {"a": "1"}
    yield "nests 6 deep", [[[[[]]]]]
    yield "a float", [FLOAT]
    yield "ext", [EXT]
    yield "a timestamp", [Raw(b"\xd6\xff\x00\x00\x00\x01")]
    yield "an empty map", [{}]
    yield "a map out of order", [UNSORTED]
    yield "a map with one key twice", [TWICE]
    yield "a map with a number for a key", [{1: "a"}]
    yield "a map with a bin for a key", [{b"a": "a"}]
    yield "a string of 65 bytes", ["a" * 65]
    yield "a string with a newline", ["a\n"]
    yield "a string that is not UTF-8", [Raw(b"\xa1\xff")]
    yield "a positive number in the int family", [Raw(b"\xd0\x01")]
