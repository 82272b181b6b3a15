"""How old is it, and what does that make it? Ages in seconds, instants in Unix nanoseconds."""

from meshnode.core.records import StoredQuote
from protocols.status import DataFreshness

STALE_AFTER_S = 3_600
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


def age_s(stored: StoredQuote, now_ns: int) -> int:
    """Whole seconds since a price was seen upstream; never negative.

    The earliest of the three instants counts: no clock that is ahead makes a price younger than
    the time for which we have held it.
    """
    seen_ns = min(stored.quote.observed_ns, stored.issued_ns, stored.received_ns)
    return max(0, (now_ns - seen_ns) // 10**9)


def price_state(stored: StoredQuote, now_ns: int, *, provider_active: bool) -> str:
    """`cached` where its provider is gone, `stale` where it is old all the same, else `fresh`."""
    if not provider_active:
        return "cached"
    return "stale" if age_s(stored, now_ns) > STALE_AFTER_S else "fresh"


def data_freshness(newest_ns: int | None, now_ns: int) -> DataFreshness:
    """How long ago the newest price was said, in the words of the status reply."""
    if newest_ns is None:
        return DataFreshness("none", None, "no data yet")
    age = max(0, (now_ns - newest_ns) // 10**9)
    if age < _MINUTE_S:
        return DataFreshness("just_now", age, "just now")
    if age < _HOUR_S:
        return DataFreshness("minutes_ago", age, _ago(age // _MINUTE_S, "minute"))
    if age < _DAY_S:
        return DataFreshness("hours_ago", age, _ago(age // _HOUR_S, "hour"))
    return DataFreshness("stale", age, _ago(age // _DAY_S, "day"))


def _ago(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'} ago"
