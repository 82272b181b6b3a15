"""Prices are exact: integers on the wire, Decimal at the edges."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.limits import EXPONENT_MAX, EXPONENT_MIN, MANTISSA_MAX
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote, is_asset, normalised, plain, quote_of
from tests.protocols.strategies import assets, quotes


@given(quotes())
def test_a_quote_survives_the_way_over_decimal(quote: Quote) -> None:
    again = quote_of(
        quote.asset,
        quote.price,
        observed_ns=quote.observed_ns,
        half_width=quote.half_width,
        sources=quote.sources,
        tags=quote.tags,
    )
    assert again == quote


@given(
    st.integers(1, MANTISSA_MAX), st.integers(EXPONENT_MIN, EXPONENT_MAX), st.integers(0, 10**15)
)
def test_normalising_keeps_the_value_and_is_done_once(
    mantissa: int, exponent: int, confidence: int
) -> None:
    once = normalised(mantissa, exponent, confidence)
    assert normalised(*once) == once
    scale = 10 ** (once[1] - exponent)
    assert (once[0] * scale, once[2] * scale) == (mantissa, confidence)
    assert once[0] % 10 or once[2] % 10 or once[1] == EXPONENT_MAX


@pytest.mark.parametrize(
    ("price", "half_width", "expected"),
    [
        ("39432.48", None, (3943248, -2, 0)),
        ("39432.480", None, (3943248, -2, 0)),
        ("100", None, (1, 2, 0)),
        ("1E+18", None, (1, 18, 0)),
        ("1E+19", None, (10, 18, 0)),
        ("1E-18", None, (1, -18, 0)),
        ("9223372036854775807", None, (2**63 - 1, 0, 0)),
        ("9223372036854775807E+18", None, (2**63 - 1, 18, 0)),
        ("10", "0.5", (100, -1, 5)),
        ("10", "20", (1, 1, 2)),
        ("10", "0", (1, 1, 0)),
        ("1.50", "0.10", (15, -1, 1)),
    ],
)
def test_a_price_has_one_encoding(
    price: str, half_width: str | None, expected: tuple[int, int, int]
) -> None:
    quote = quote_of(
        "A", Decimal(price), observed_ns=1, half_width=Decimal(half_width) if half_width else None
    )
    assert (quote.mantissa, quote.exponent, quote.confidence) == expected


@pytest.mark.parametrize(
    "price",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "0",
        "-0",
        "-1",
        "1E-19",
        "1.5E-18",
        "1E+37",
        "9223372036854775808",
        "1E+999999",
        "1E-999999",
        "0.1234567890123456789",
    ],
)
def test_what_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(ProtocolError):
        quote_of("A", Decimal(price), observed_ns=1)


@pytest.mark.parametrize("half_width", ["NaN", "Infinity", "-1", "1E-19", "1E+999999"])
def test_what_is_no_half_width_is_refused(half_width: str) -> None:
    with pytest.raises(ProtocolError):
        quote_of("A", Decimal(1), observed_ns=1, half_width=Decimal(half_width))


def test_an_unknown_half_width_is_none() -> None:
    quote = quote_of("A", Decimal("1.5"), observed_ns=1)
    assert quote.half_width is None
    assert quote._replace(confidence=3).half_width == Decimal("0.3")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+3", "1000"),
        ("1.500", "1.5"),
        ("100", "100"),
        ("0.00", "0"),
        ("1E-18", "0." + "0" * 17 + "1"),
    ],
)
def test_a_plain_decimal_has_no_exponent(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@given(assets)
def test_assets(name: str) -> None:
    assert is_asset(name)
    assert not is_asset(name + "\n")
    assert not is_asset("\n" + name)
    assert not is_asset(name + "é")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "-A",
        ".A",
        "/A",
        "_A",
        "A B",
        "A" * 33,
        "A\r\n",
        "A\x1b[0m",
        "A\u202eB",
        "../A",
        "<script>",
        "\u0410",
        "A\u0660",
        "A\x00",
    ],
)
def test_what_is_no_asset(name: str) -> None:
    assert not is_asset(name)


def test_a_message_knows_its_topic_from_its_payload() -> None:
    said = Message("main", bytes(32), 1, 2, 3, PriceUpdate(()))
    assert said.topic.on(said.network) == "/meshprice/main/prices/1"
    assert said.name == (bytes(32), said.topic, 1, 2)
