"""A quote: one asset's price as integers, and its exact conversion from and to Decimal."""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, Inexact
from functools import partial
from typing import NamedTuple, TypeAlias

from protocols.errors import ProtocolError
from protocols.limits import EXPONENT_MAX, EXPONENT_MIN, MANTISSA_MAX

_NAME = "[A-Z0-9][A-Z0-9._/-]{0,31}"
ASSET = re.compile(_NAME)  # the whole of a name
ASSETS = re.compile(rf"{_NAME}(?:\n{_NAME})*+")  # names on lines; possessive: it never goes back

RECORDED_TAG = "recorded"
SYNTHETIC_TAG = "synthetic"


# Far beyond what a quote holds: what a price is measured with before it is refused. The usual
# context rounds to 28 digits.
_DIGITS_MAX = 64
_EXACT = Context(prec=2 * _DIGITS_MAX + 2, traps=[Inexact])


class Quote(NamedTuple):
    """A price on the wire: `mantissa` x 10^`exponent`, never a float.

    `observed_ns` is Unix time at which the upstream saw the price; `confidence` the half width
    in units of 10^`exponent`, 0 for unknown; `sources` how many upstreams stand behind it;
    `tags` at most 8 short strings by name, or None.
    """

    asset: str
    mantissa: int
    exponent: int
    observed_ns: int
    confidence: int
    sources: int
    tags: Mapping[str, str] | None

    @property
    def price(self) -> Decimal:
        """The price, exactly."""
        return Decimal(self.mantissa).scaleb(self.exponent)

    @property
    def half_width(self) -> Decimal | None:
        """The half width of the price's confidence interval, or None where it is unknown."""
        return Decimal(self.confidence).scaleb(self.exponent) if self.confidence else None


# A quote's fields in their order, as they come off the wire: an array, not yet looked at by name.
Row: TypeAlias = tuple[str, int, int, int, int, int, Mapping[str, str] | None]

# A row's quote; twice as fast as `Quote._make`.
as_quote: Callable[[Row], Quote] = partial(tuple.__new__, Quote)


def is_asset(name: str) -> bool:
    """Whether the whole string may name an asset."""
    return ASSET.fullmatch(name) is not None


def normalised(mantissa: int, exponent: int, confidence: int = 0) -> tuple[int, int, int]:
    """The one encoding of a price and its half width: no common factor of ten is left.

    Raises ProtocolError where the price is not positive or no encoding within the limits exists.
    """
    if mantissa <= 0 or confidence < 0:
        raise ProtocolError("a price is positive and a confidence is not negative")
    while mantissa % 10 == 0 and confidence % 10 == 0 and exponent < EXPONENT_MAX:
        mantissa, confidence, exponent = mantissa // 10, confidence // 10, exponent + 1
    while exponent > EXPONENT_MAX and mantissa <= MANTISSA_MAX:
        mantissa, confidence, exponent = mantissa * 10, confidence * 10, exponent - 1
    if max(mantissa, confidence) > MANTISSA_MAX or exponent < EXPONENT_MIN:
        raise ProtocolError("the price needs more digits than a quote can hold")
    return mantissa, exponent, confidence


def quote_of(
    asset: str,
    price: Decimal,
    *,
    observed_ns: int,
    half_width: Decimal | None = None,
    sources: int = 1,
    tags: Mapping[str, str] | None = None,
) -> Quote:
    """The quote of a decimal price, exactly.

    Raises ProtocolError for what no quote can hold: NaN, infinity, zero, a negative price, more
    digits than fit. (An asset's name and the other fields are checked when it is encoded.)
    """
    if not price.is_finite() or (half_width is not None and not half_width.is_finite()):
        raise ProtocolError(f"{price} is not a price")
    mantissa, exponent = _parts(price)
    confidence, width_exponent = _parts(half_width) if half_width else (0, exponent)
    unit = min(exponent, width_exponent)
    mantissa, exponent, confidence = normalised(
        mantissa * 10 ** (exponent - unit),
        unit,
        confidence * 10 ** (width_exponent - unit),
    )
    return Quote(asset, mantissa, exponent, observed_ns, confidence, sources, tags)


def plain(number: Decimal) -> str:
    """A decimal without scientific notation and without trailing zeros, such as `39432.48`."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _parts(number: Decimal) -> tuple[int, int]:
    """A finite number as mantissa and exponent, exactly; ProtocolError beyond all that fits."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "finite numbers only"
    if exponent < -_DIGITS_MAX or number.adjusted() > _DIGITS_MAX:
        raise ProtocolError(f"{number} needs more digits than a quote can hold")
    return int(_EXACT.scaleb(number, -exponent)), exponent
