"""Times of the query protocols: RFC 3339, in UTC, down to the nanosecond."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from protocols.errors import Malformed, ProtocolError
from protocols.limits import UINT64_MAX

_NS_PER_S = 10**9
# A time is checked where a record is made, checked where it is read, and read: thrice at least.
_READ_MAX = 1024
_SECONDS_KEPT_MAX = 64  # neighbours ask each other for the time again and again
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z"
)


def rfc3339(ns: int) -> str:
    """Unix nanoseconds (a uint64) as text such as `2026-01-31T08:15:00.25Z`.

    The fraction is as short as it can be without losing anything. Raises ProtocolError for a time
    outside of uint64.
    """
    if not 0 <= ns <= UINT64_MAX:
        raise ProtocolError(f"{ns} ns is not within the times of this protocol")
    seconds, fraction = divmod(ns, _NS_PER_S)
    text = _whole_seconds(seconds)
    return f"{text}.{fraction:09}".rstrip("0") + "Z" if fraction else f"{text}Z"


@lru_cache(_SECONDS_KEPT_MAX)
def _whole_seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(_READ_MAX)
def ns_from_rfc3339(text: str) -> int:
    """Unix nanoseconds of a time in UTC that ends in `Z`. Raises Malformed."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Malformed("not a time in RFC 3339 and UTC")
    ns = _seconds_of(match[1]) * _NS_PER_S + int((match[2] or "").ljust(9, "0"))
    if not 0 <= ns <= UINT64_MAX:
        raise Malformed("a time outside of the times of this protocol")
    return ns


@lru_cache(_SECONDS_KEPT_MAX)
def _seconds_of(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed(f"not a time: {error}") from error
    return (moment - _EPOCH) // timedelta(seconds=1)
