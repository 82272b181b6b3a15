"""Bodies and envelopes as bytes: one message, one encoding; everything else is Malformed."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, cast

from protocols.errors import Malformed
from protocols.fields import array, check_key_order, integer, text, text_map
from protocols.ids import KEY_BYTES, is_network
from protocols.limits import (
    ADDR_BYTES_MAX,
    ADDRS_MAX,
    BODY_DEPTH_MAX,
    CONFIDENCE_MAX,
    ENVELOPE_BYTES_MAX,
    EXPONENT_MAX,
    EXPONENT_MIN,
    MANTISSA_MAX,
    PROVIDER_INTERVAL_MS_MAX,
    PROVIDER_INTERVAL_MS_MIN,
    QUOTES_MAX,
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
    Value,
)
from protocols.packing import pack, unpack
from protocols.quotes import ASSETS, Quote, Row, is_asset

SIGNATURE_BYTES = 64
_BODY_FIELDS = 7
_PAYLOAD_DEPTH = 2
_QUOTE_FIELDS = 7
_ASSET_OF = itemgetter(0)
_PRESENCE_FIELDS = 8
_EXTRA_MAX = 8
_CONSUMER_INTERVAL_MS_MAX = 2**63 - 1
_INT64_MIN = -(2**63)


def encode_body(message: Message) -> bytes:
    """The one encoding of a message. Raises Malformed for what `decode_body` would refuse."""
    return encode(message)[0]


def encode(message: Message) -> tuple[bytes, Message]:
    """The one encoding of a message, and the message as `decode_body` would give it back.

    Raises Malformed for what `decode_body` would refuse.
    """
    kind, payload = _payload_tree(message.payload)
    tree = (
        kind,
        message.network,
        message.author,
        message.epoch,
        message.seq,
        message.issued_ns,
        payload,
    )
    read = _message_of(tree)
    body = pack(tree)
    _check_size(body)
    return body, read


def decode_body(body: bytes) -> Message:
    """The message in a body; every type, limit and the canonical form are checked.

    Raises Malformed, and nothing else, whatever the bytes are.
    """
    _check_size(body)
    tree = unpack(body, "body", str_bytes_max=ADDR_BYTES_MAX)
    message = _message_of(tree)
    if pack(tree) != body:
        raise Malformed("body: not in canonical form")
    return message


def pack_envelope(body: bytes, signature: bytes) -> bytes:
    """A body and its signature (64 bytes) as one envelope. Raises Malformed over 128 KiB."""
    if len(signature) != SIGNATURE_BYTES:
        raise Malformed(f"signature: {len(signature)} bytes instead of {SIGNATURE_BYTES}")
    raw = pack((body, signature))
    _check_size(raw)
    return raw


def unpack_envelope(raw: bytes) -> tuple[bytes, bytes]:
    """The body, not yet decoded, and the signature of an envelope. Raises Malformed only."""
    _check_size(raw)
    tree = unpack(raw, "envelope", str_bytes_max=0)
    if type(tree) is not tuple or len(tree) != 2:
        raise Malformed("envelope: not an array of body and signature")
    body, signature = tree
    if type(body) is not bytes:
        raise Malformed("envelope: the body is not binary")
    if type(signature) is not bytes:
        raise Malformed("envelope: the signature is not binary")
    if pack_envelope(body, signature) != raw:
        raise Malformed("envelope: not in canonical form")
    return body, signature


def _check_size(data: bytes) -> None:
    if len(data) > ENVELOPE_BYTES_MAX:
        raise Malformed(f"{len(data)} bytes; at most {ENVELOPE_BYTES_MAX} are allowed")


# --- from the value tree to the message: the same checks for what comes in and what goes out --


def _message_of(tree: object) -> Message:
    fields = array(tree, "body", _BODY_FIELDS)
    kind = integer(fields[0], "kind", 1)
    network = fields[1]
    if type(network) is not str or not is_network(network):
        raise Malformed("network: not a network's name")
    author = fields[2]
    if type(author) is not bytes or len(author) != KEY_BYTES:
        raise Malformed(f"author: not {KEY_BYTES} bytes")
    return Message(
        network,
        author,
        epoch=integer(fields[3], "epoch"),
        seq=integer(fields[4], "seq", 1),
        issued_ns=integer(fields[5], "issued_ns"),
        payload=_payload_of(kind, fields[6]),
    )


def _payload_of(kind: int, tree: object) -> Payload:
    match kind:
        case Kind.PRICES:
            (quotes,) = array(tree, "payload", 1)
            return PriceUpdate(_rows_of(quotes))
        case Kind.PRESENCE:
            return _presence_of(array(tree, "payload", _PRESENCE_FIELDS))
        case _:
            if type(tree) is not tuple:
                raise Malformed("payload: not an array")
            _check_value(tree, _PAYLOAD_DEPTH)
            return Reserved(kind, cast(tuple[Value, ...], tree))


def _rows_of(tree: object) -> tuple[Row, ...]:
    if type(tree) is not tuple or not 1 <= len(tree) <= QUOTES_MAX:
        raise Malformed(f"quotes: not an array of 1 to {QUOTES_MAX}")
    if not _are_quotes(tree):
        for number, item in enumerate(tree):
            _check_quote(item, f"quote {number}")
    if len(set(map(_ASSET_OF, tree))) != len(tree):
        raise Malformed("quotes: an asset appears twice")
    return tree


def _are_quotes(items: tuple[Any, ...]) -> bool:
    """Whether all of them surely pass `_check_quote`; it decides, and says what is wrong.

    Written out, with hardly a call, the limits as locals, and the names looked at together: a
    thousand of these pass for every update.
    """
    mantissa_max, exponent_min, exponent_max = MANTISSA_MAX, EXPONENT_MIN, EXPONENT_MAX
    observed_max, confidence_max, sources_max = UINT64_MAX, CONFIDENCE_MAX, SOURCES_MAX
    try:
        for item in items:
            _, mantissa, exponent, observed_ns, confidence, sources, tags = item
            if not (
                (type(item) is tuple or type(item) is Quote)
                and type(mantissa) is int
                and type(exponent) is int
                and type(observed_ns) is int
                and type(confidence) is int
                and type(sources) is int
                and 1 <= mantissa <= mantissa_max
                and exponent_min <= exponent <= exponent_max
                and 0 <= observed_ns <= observed_max
                and 0 <= confidence <= confidence_max
                and 0 <= sources <= sources_max
                and (mantissa % 10 or confidence % 10 or exponent == exponent_max)
            ):
                return False
            if tags is not None:
                text_map(tags, "tags", TAGS_MAX, TAG_BYTES_MAX)
        text = "\n".join(map(_ASSET_OF, items))
    except (TypeError, ValueError, Malformed):
        return False
    # A name with a line's end in it would pass for two.
    return ASSETS.fullmatch(text) is not None and text.count("\n") == len(items) - 1


def _check_quote(item: Any, what: str) -> None:
    """Raises Malformed, naming `what` and the field that is wrong."""
    if type(item) not in (tuple, Quote) or len(item) != _QUOTE_FIELDS:
        raise Malformed(f"{what}: not an array of {_QUOTE_FIELDS}")
    asset, mantissa, exponent, observed_ns, confidence, sources, tags = item
    if type(asset) is not str or not is_asset(asset):
        raise Malformed(f"{what}: asset: not an asset's name")
    integer(mantissa, f"{what}: mantissa", 1, MANTISSA_MAX)
    integer(exponent, f"{what}: exponent", EXPONENT_MIN, EXPONENT_MAX)
    integer(observed_ns, f"{what}: observed_ns")
    integer(confidence, f"{what}: confidence", 0, CONFIDENCE_MAX)
    integer(sources, f"{what}: sources", 0, SOURCES_MAX)
    if not mantissa % 10 and not confidence % 10 and exponent < EXPONENT_MAX:
        left = "a factor of ten is left that belongs into the exponent"
        raise Malformed(f"{what}: mantissa: {left}")
    if tags is not None:
        text_map(tags, f"{what}: tags", TAGS_MAX, TAG_BYTES_MAX)


def _presence_of(fields: tuple[Any, ...]) -> PresenceUpdate:
    role_number, state_number, interval, ttl, addrs, agent, assets, extra = fields
    role = Role(integer(role_number, "role", 0, 1))
    state = Presence(integer(state_number, "state", 1, 2))
    interval_ms = (
        integer(
            interval,
            "interval_ms",
            PROVIDER_INTERVAL_MS_MIN,
            PROVIDER_INTERVAL_MS_MAX,
        )
        if role is Role.PROVIDER
        else integer(interval, "interval_ms", 1, _CONSUMER_INTERVAL_MS_MAX)
    )
    if type(addrs) is not tuple or len(addrs) > ADDRS_MAX:
        raise Malformed(f"addrs: not an array of at most {ADDRS_MAX}")
    for addr in addrs:
        parts = text(addr, "addrs", ADDR_BYTES_MAX).split("/")
        if parts[0] or len(parts) < 2 or "p2p" in parts:
            raise Malformed("addrs: not a multiaddr without /p2p")
    if extra is not None:
        text_map(extra, "extra", _EXTRA_MAX)
    return PresenceUpdate(
        role,
        state,
        interval_ms,
        ttl_ms=integer(ttl, "ttl_ms"),
        addrs=addrs,
        agent=text(agent, "agent"),
        assets=integer(assets, "assets"),
        extra=extra,
    )


def _check_value(value: object, depth: int) -> None:
    """Check a value of a payload that is not understood; `depth` counts from the body's array."""
    kind = type(value)
    if kind is int:
        integer(value, "payload", _INT64_MIN)
    elif kind is str:
        text(value, "payload")
    elif kind is tuple or kind is dict:
        if depth > BODY_DEPTH_MAX:
            raise Malformed(f"payload: the body nests more than {BODY_DEPTH_MAX} deep")
        items = cast(tuple[object, ...], value)
        if isinstance(value, dict):
            for key in value:
                text(key, "payload")
            check_key_order(value, "payload")
            items = tuple(value.values())
        for item in items:
            _check_value(item, depth + 1)
    elif value is not None and kind is not bool and kind is not bytes:
        raise Malformed(f"payload: holds a {kind.__name__}")


# --- from the message to the value tree -------------------------------------------------------


def _payload_tree(payload: Payload) -> tuple[int, tuple[object, ...]]:
    match payload:
        case PriceUpdate(rows):
            return int(Kind.PRICES), (tuple(map(_in_order, rows)),)
        case PresenceUpdate():
            return int(Kind.PRESENCE), (
                int(payload.role),
                int(payload.state),
                payload.interval_ms,
                payload.ttl_ms,
                payload.addrs,
                payload.agent,
                payload.assets,
                _map_tree(payload.extra),
            )
        case Reserved(kind, fields):
            if kind in (Kind.PRICES, Kind.PRESENCE):
                raise Malformed(f"kind: {kind} is not reserved")
            return kind, tuple(_value_tree(field, _PAYLOAD_DEPTH + 1) for field in fields)


def _in_order(row: Row) -> Row:
    tags = row[-1]
    if tags is None or (len(tags) == 1 and type(tags) is dict):  # in order, whatever is in it
        return row
    return (*row[:-1], _map_tree(tags))


def _map_tree(mapping: Mapping[str, str] | None) -> dict[str, str] | None:
    return {key: mapping[key] for key in _sorted_keys(mapping)} if mapping else None


def _value_tree(value: Value, depth: int) -> object:
    """The value with its maps in order. Too deep a branch is left as it is: the checks find it."""
    if depth > BODY_DEPTH_MAX:
        return value
    if isinstance(value, Mapping):
        tree = {key: _value_tree(value[key], depth + 1) for key in _sorted_keys(value)}
        return tree or None
    if isinstance(value, tuple):
        return tuple(_value_tree(item, depth + 1) for item in value)
    return value


def _sorted_keys(mapping: Mapping[str, Any]) -> list[str]:
    if not all(isinstance(key, str) for key in mapping):
        raise Malformed("a map's keys are strings")
    return sorted(mapping)
