"""Hypothesis strategies for everything valid on the wire."""

from typing import Any

from hypothesis import strategies as st

from protocols.limits import (
    ADDRS_MAX,
    CONFIDENCE_MAX,
    EXPONENT_MAX,
    EXPONENT_MIN,
    MANTISSA_MAX,
    SOURCES_MAX,
    TAG_BYTES_MAX,
    TAGS_MAX,
    UINT64_MAX,
)
from protocols.messages import (
    Kind,
    Message,
    Payload,
    Presence,
    PresenceUpdate,
    PriceUpdate,
    Reserved,
    Role,
)
from protocols.quotes import Quote, normalised

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]


def texts(bytes_max: int = 64) -> st.SearchStrategy[str]:
    return st.text(PRINTABLE, max_size=bytes_max)


def edged(least: int, most: int) -> st.SearchStrategy[int]:
    """Integers within bounds, often on them and where msgpack changes its form."""
    edges = [0, 1, 127, 128, 255, 256, 2**16, 2**32, 2**63, -1, -32, -33, least, most]
    return st.one_of(
        st.integers(least, most), st.sampled_from([n for n in edges if least <= n <= most])
    )


uint64s = edged(0, UINT64_MAX)
networks = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
keys = st.binary(min_size=32, max_size=32)
assets = st.from_regex(r"[A-Z0-9][A-Z0-9._/-]{0,31}", fullmatch=True)


def text_maps(length_max: int, bytes_max: int) -> st.SearchStrategy[dict[str, str] | None]:
    maps = st.dictionaries(texts(bytes_max), texts(bytes_max), min_size=1, max_size=length_max)
    return st.none() | maps


@st.composite
def quotes(draw: st.DrawFn, asset: str | None = None) -> Quote:
    mantissa, exponent, confidence = normalised(
        draw(edged(1, MANTISSA_MAX)),
        draw(edged(EXPONENT_MIN, EXPONENT_MAX)),
        draw(edged(0, CONFIDENCE_MAX)),
    )
    return Quote(
        asset or draw(assets),
        mantissa,
        exponent,
        draw(uint64s),
        confidence,
        draw(edged(0, SOURCES_MAX)),
        draw(text_maps(TAGS_MAX, TAG_BYTES_MAX)),
    )


@st.composite
def price_updates(draw: st.DrawFn, quotes_max: int = 12) -> PriceUpdate:
    names = draw(st.lists(assets, min_size=1, max_size=quotes_max, unique=True))
    return PriceUpdate(tuple(draw(quotes(name)) for name in names))


@st.composite
def presence_updates(draw: st.DrawFn) -> PresenceUpdate:
    role = draw(st.sampled_from(Role))
    interval_ms = edged(1000, 10_000) if role is Role.PROVIDER else edged(1, 2**63 - 1)
    part = st.text([char for char in PRINTABLE if char != "/"], max_size=40)
    parts = part.filter(lambda text: text != "p2p")
    addr = st.lists(parts, min_size=1, max_size=6).map(lambda names: "/" + "/".join(names))
    return PresenceUpdate(
        role,
        draw(st.sampled_from(Presence)),
        draw(interval_ms),
        draw(uint64s),
        tuple(draw(st.lists(addr, max_size=ADDRS_MAX))),
        draw(texts()),
        draw(uint64s),
        draw(text_maps(8, 64)),
    )


def reserved_values(levels: int) -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(), st.booleans(), edged(-(2**63), UINT64_MAX), texts(), st.binary(max_size=300)
    )
    if not levels:
        return leaves
    inner = reserved_values(levels - 1)
    arrays = st.lists(inner, max_size=4).map(tuple)
    maps = st.dictionaries(texts(), inner, min_size=1, max_size=4)
    return st.one_of(leaves, arrays, maps)


@st.composite
def reserved(draw: st.DrawFn) -> Reserved:
    fields = draw(st.lists(reserved_values(3), max_size=5))
    return Reserved(draw(edged(Kind.PRESENCE + 1, UINT64_MAX)), tuple(fields))


payloads: st.SearchStrategy[Payload] = st.one_of(price_updates(), presence_updates(), reserved())


@st.composite
def messages(draw: st.DrawFn, payload: st.SearchStrategy[Payload] = payloads) -> Message:
    return Message(
        draw(networks),
        draw(keys),
        draw(uint64s),
        draw(edged(1, UINT64_MAX)),
        draw(uint64s),
        draw(payload),
    )
