"""What an upstream says is checked before it is believed."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Protocol

from protocols.errors import ProtocolError
from protocols.limits import TAG_BYTES_MAX, TAGS_MAX
from protocols.quotes import Quote, is_asset, quote_of

OBSERVED_AHEAD_MAX_NS = 10 * 10**9


class Refusal(Enum):
    """Why an observation is not published."""

    BAD_ASSET = "bad_asset"
    BAD_TAGS = "bad_tags"
    NOT_POSITIVE = "not_positive"  # NaN, infinity, zero, negative
    BAD_HALF_WIDTH = "bad_half_width"  # NaN, infinity, negative: bid above ask
    TOO_MANY_DIGITS = "too_many_digits"
    BAD_TIME = "bad_time"  # before 1970
    FUTURE = "future"
    OLDER = "older"  # than what is known of the asset


@dataclass(frozen=True, slots=True)
class Refused:
    """An observation that must not be published."""

    reason: Refusal


class Observed(Protocol):
    """What is checked; `ports.Observation` is one. `observed_ns` is Unix time."""

    @property
    def asset(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def price(self) -> Decimal: ...  # noqa: D102
    @property
    def observed_ns(self) -> int: ...  # noqa: D102
    @property
    def half_width(self) -> Decimal | None: ...  # noqa: D102
    @property
    def tags(self) -> tuple[tuple[str, str], ...]: ...  # noqa: D102


def check(observed: Observed, now_ns: int, previous: Quote | None) -> Quote | Refused:
    """The quote of an observation, exactly, or why there is none; it never raises.

    `previous` is the newest known quote of the same asset, `now_ns` Unix time by our clock.
    Nothing is rounded: a price with more digits than a quote can hold is refused.
    """
    if not is_asset(observed.asset):
        return Refused(Refusal.BAD_ASSET)
    if not _tags_fit(observed.tags):
        return Refused(Refusal.BAD_TAGS)
    if not observed.price.is_finite() or observed.price <= 0:
        return Refused(Refusal.NOT_POSITIVE)
    half_width = observed.half_width
    if half_width is not None and (not half_width.is_finite() or half_width < 0):
        return Refused(Refusal.BAD_HALF_WIDTH)
    if observed.observed_ns < 0:
        return Refused(Refusal.BAD_TIME)
    horizon_ns = now_ns + OBSERVED_AHEAD_MAX_NS
    if observed.observed_ns > horizon_ns:
        return Refused(Refusal.FUTURE)
    # A previous time beyond the horizon was believed before our clock was set back: it binds no
    # more, or an hour's correction would silence the asset for an hour.
    if previous is not None and observed.observed_ns < previous.observed_ns <= horizon_ns:
        return Refused(Refusal.OLDER)
    try:
        return quote_of(
            observed.asset,
            observed.price,
            observed_ns=observed.observed_ns,
            half_width=half_width,
            tags=dict(observed.tags) or None,
        )
    except ProtocolError:
        return Refused(Refusal.TOO_MANY_DIGITS)


def _tags_fit(tags: tuple[tuple[str, str], ...]) -> bool:
    names = {name for name, _ in tags}
    return (
        len(tags) <= TAGS_MAX
        and len(names) == len(tags)
        and all(_fits(text) for tag in tags for text in tag)
    )


def _fits(text: str) -> bool:
    return 0 < len(text) <= TAG_BYTES_MAX and text.isascii() and text.isprintable()
