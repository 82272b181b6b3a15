"""Checks of values that came out of msgpack: exact types, ranges, printable text."""

from typing import Any

from protocols.errors import Malformed
from protocols.limits import STRING_BYTES_MAX, UINT64_MAX


def array(value: object, what: str, length: int) -> tuple[Any, ...]:
    """The value, an array of this length. Raises Malformed."""
    if type(value) is not tuple or len(value) != length:
        raise Malformed(f"{what}: not an array of {length}")
    return value


def integer(value: object, what: str, least: int = 0, most: int = UINT64_MAX) -> int:
    """The value, an integer (no bool) within inclusive bounds. Raises Malformed."""
    if type(value) is not int or not least <= value <= most:
        raise Malformed(f"{what}: not an integer in {least}…{most}")
    return value


def text(value: object, what: str, bytes_max: int = STRING_BYTES_MAX) -> str:
    """The value, printable ASCII of at most so many bytes, safe in a terminal. Raises Malformed."""
    if type(value) is not str or len(value) > bytes_max:
        raise Malformed(f"{what}: not a string of at most {bytes_max} bytes")
    if not (value.isascii() and value.isprintable()):
        raise Malformed(f"{what}: not printable ASCII")
    return value


def text_map(
    value: object, what: str, length_max: int, bytes_max: int = STRING_BYTES_MAX
) -> dict[str, str]:
    """The value, a canonical map of strings to strings. Raises Malformed."""
    if type(value) is not dict or len(value) > length_max:
        raise Malformed(f"{what}: not a map of at most {length_max}")
    # One pass over keys and values alike, without a call for each: prices have many tags.
    for pair in value.items():
        for item in pair:
            if type(item) is not str or len(item) > bytes_max:
                raise Malformed(f"{what}: not strings of at most {bytes_max} bytes")
            if not (item.isascii() and item.isprintable()):
                raise Malformed(f"{what}: not printable ASCII")
    check_key_order(value, what)
    return value


def check_key_order(value: dict[str, Any], what: str) -> None:
    """Check that a map is not empty and its keys, all ASCII, ascend. Raises Malformed."""
    if not value:
        raise Malformed(f"{what}: an empty map instead of nil")
    if len(value) > 1 and list(value) != sorted(value):
        raise Malformed(f"{what}: keys are not in ascending order")
