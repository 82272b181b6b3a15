"""Every other form of the same message is refused, and none costs memory."""

import struct
import tracemalloc

import pytest

from protocols.codec import pack_envelope, unpack_envelope
from protocols.errors import Malformed
from protocols.limits import ENVELOPE_BYTES_MAX
from protocols.packing import unpack
from tests.protocols.bodies import ALICE, refused, taken

# --- canonical form, violation by violation ---------------------------------------------------

HEAD = b"\x97\x03\xa4main\xc4\x20" + ALICE + b"\x01\x01\x01"


def test_the_canonical_body_that_the_others_vary() -> None:
    taken(HEAD + b"\x91\x01")


@pytest.mark.parametrize(
    "payload",
    {
        "uint8 for a fixint": b"\x91\xcc\x01",
        "uint16 for a uint8": b"\x91\xcd\x00\xff",
        "uint32 for a uint16": b"\x91\xce\x00\x00\xff\xff",
        "uint64 for a uint32": b"\x91\xcf\x00\x00\x00\x00\xff\xff\xff\xff",
        "int8 for a positive": b"\x91\xd0\x01",
        "int16 for a uint8": b"\x91\xd1\x00\xff",
        "int64 for a uint32": b"\x91\xd3\x00\x00\x00\x00\xff\xff\xff\xff",
        "int8 for a negative fixint": b"\x91\xd0\xff",
        "int16 for an int8": b"\x91\xd1\xff\x80",
        "str8 for a fixstr": b"\x91\xd9\x01x",
        "str16 for a fixstr": b"\x91\xda\x00\x01x",
        "str32 for a fixstr": b"\x91\xdb\x00\x00\x00\x01x",
        "bin16 for a bin8": b"\x91\xc5\x00\x01x",
        "bin32 for a bin8": b"\x91\xc6\x00\x00\x00\x01x",
        "array16 for a fixarray": b"\xdc\x00\x01\x01",
        "array32 for a fixarray": b"\xdd\x00\x00\x00\x01\x01",
        "map16 for a fixmap": b"\x91\xde\x00\x01\xa1a\x01",
        "map32 for a fixmap": b"\x91\xdf\x00\x00\x00\x01\xa1a\x01",
        "a key twice": b"\x91\x82\xa1a\x01\xa1a\x01",
        "keys out of order": b"\x91\x82\xa1b\x01\xa1a\x01",
        "an empty map": b"\x91\x80",
        "float32": b"\x91\xca" + struct.pack(">f", 1.0),
        "float64": b"\x91\xcb" + struct.pack(">d", 1.0),
        "minus zero": b"\x91\xcb" + struct.pack(">d", -0.0),
        "ext of no length": b"\x91\xc7\x00\x05",
        "timestamp of no length": b"\x91\xc7\x00\xff",
        "fixext": b"\x91\xd4\x05x",
        "never used byte": b"\x91\xc1",
        "bad UTF-8": b"\x91\xa1\xff",
        "half a surrogate pair": b"\x91\xa3\xed\xa0\x80",
        "a trailing byte": b"\x91\x01\x00",
        "a missing byte": b"\x91",
    }.items(),
    ids=lambda item: item[0],
)
def test_another_form_is_refused(payload: tuple[str, bytes]) -> None:
    refused(HEAD + payload[1])


def test_the_head_of_a_body_has_one_form_too() -> None:
    refused(b"\xdc\x00\x07" + HEAD[1:] + b"\x91\x01", "canonical")
    refused(HEAD.replace(b"\x97\x03", b"\x97\xcc\x03") + b"\x91\x01", "canonical")
    refused(HEAD.replace(b"\xa4main", b"\xd9\x04main") + b"\x91\x01", "canonical")


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x80", b"\x90", b"\xa0", b"\x01", b"\x97"])
def test_what_is_no_body_at_all_is_refused(body: bytes) -> None:
    refused(body)


# --- attacks on memory and stack --------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    {
        "nested arrays": HEAD + b"\x91" * 10_000 + b"\x01",
        "nested maps": HEAD + b"\x81\xa1a" * 10_000 + b"\x01",
        "long array": HEAD + b"\xdd\x80\x00\x00\x00",
        "long map": HEAD + b"\xdf\x80\x00\x00\x00",
        "long string": HEAD + b"\x91\xdb\x80\x00\x00\x00",
        "long binary": HEAD + b"\x91\xc6\x80\x00\x00\x00",
        "long ext": HEAD + b"\x91\xc9\x80\x00\x00\x00\x01",
        "nested long arrays": HEAD + b"\xdc\xff\xff" * 1000 + b"\x90" * 100_000,
    }.items(),
    ids=lambda item: item[0],
)
def test_a_length_that_is_not_there_costs_no_memory(body: tuple[str, bytes]) -> None:
    tracemalloc.start()
    try:
        refused(body[1])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * 1024 * 1024


@pytest.mark.parametrize("ext", [b"\xd4\x05x", b"\xc7\x01\x05x", b"\xd6\xff" + bytes(4)])
def test_an_ext_never_comes_out(ext: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(ext, "what comes", str_bytes_max=64)


def test_a_body_over_the_limit_is_not_even_looked_at() -> None:
    refused(bytes(ENVELOPE_BYTES_MAX + 1), "at most 131072")


# --- the envelope's own form ------------------------------------------------------------------


def test_an_envelope_is_body_and_signature() -> None:
    assert unpack_envelope(pack_envelope(b"body", bytes(64))) == (b"body", bytes(64))


def test_an_envelope_ends_at_128_kib() -> None:
    overhead = len(pack_envelope(bytes(100_000), bytes(64))) - 100_000
    largest = pack_envelope(bytes(ENVELOPE_BYTES_MAX - overhead), bytes(64))
    assert len(largest) == ENVELOPE_BYTES_MAX
    unpack_envelope(largest)
    with pytest.raises(Malformed, match="at most 131072"):
        pack_envelope(bytes(ENVELOPE_BYTES_MAX - overhead + 1), bytes(64))
    with pytest.raises(Malformed, match="at most 131072"):
        unpack_envelope(largest + b"\0")


SIGNATURE = b"\xc4\x40" + bytes(64)


@pytest.mark.parametrize(
    "raw",
    {
        "nothing": b"",
        "one part": b"\x91\xc4\x01x",
        "three parts": b"\x93\xc4\x01x" + SIGNATURE + b"\xc0",
        "a map": b"\x81\xc4\x01x" + SIGNATURE,
        "body a string": b"\x92\xa1x" + SIGNATURE,
        "body no string": b"\x92\xc0" + SIGNATURE,
        "signature a string": b"\x92\xc4\x01x\xd9\x40" + bytes(64),
        "signature nil": b"\x92\xc4\x01x\xc0",
        "signature of 63": b"\x92\xc4\x01x\xc4\x3f" + bytes(63),
        "signature of 65": b"\x92\xc4\x01x\xc4\x41" + bytes(65),
        "bin16 body": b"\x92\xc5\x00\x01x" + SIGNATURE,
        "array16": b"\xdc\x00\x02\xc4\x01x" + SIGNATURE,
        "a trailing byte": b"\x92\xc4\x01x" + SIGNATURE + b"\0",
        "a missing byte": b"\x92\xc4\x01x" + SIGNATURE[:-1],
        "an ext": b"\x92\xc7\x00\x05" + SIGNATURE,
        "nested": b"\x92" * 10_000,
        "long": b"\xdd\x80\x00\x00\x00",
    }.items(),
    ids=lambda item: item[0],
)
def test_another_form_of_envelope_is_refused(raw: tuple[str, bytes]) -> None:
    with pytest.raises(Malformed):
        unpack_envelope(raw[1])
