"""One row, read exactly or refused by name."""

from decimal import Decimal

import pytest

from meshnode.adapters.sources.recording import Columns, Row, RowError

HEADER = "timestamp,asset,price,bid,ask,volume\n"
AT_NS = 1_610_064_000_278_000_000  # 2021-01-08T00:00:00.278Z


def test_a_trade_is_read_from_its_text() -> None:
    row = Columns(HEADER).row("2021-01-08T00:00:00.278Z,BTCUSDT,39432.48,,,0.000263\n")
    assert row == Row(AT_NS, "BTCUSDT", Decimal("39432.48"), None)
    assert row.date == "2021-01-08"


def test_half_of_ask_minus_bid_is_exact() -> None:
    row = Columns(HEADER).row("2021-01-08T00:00:00.278Z,USDJPY,86.6915,86.655,86.728,\n")
    assert row.half_width == Decimal("0.0365")
    precise = f"0.{'1' * 40}2"
    row = Columns(HEADER).row(f"2021-01-08T00:00:00.278Z,USDJPY,1,0.{'1' * 41},{precise},\n")
    assert row.half_width == Decimal("0.5E-41"), "beyond the 28 digits of the usual context"


@pytest.mark.parametrize("stamp", ["2021-01-08T01:00:00.278+01:00", "2021-01-08 00:00:00.278"])
def test_times_are_utc_unless_they_say_otherwise(stamp: str) -> None:
    assert Columns(HEADER).row(f"{stamp},A,1,,,").recorded_ns == AT_NS


def test_columns_go_by_name_in_any_order_and_among_others() -> None:
    row = Columns("price, asset ,exchange,timestamp\r\n").row(
        "1.5,A,x,2021-01-08T00:00:00.278Z\r\n"
    )
    assert row == Row(AT_NS, "A", Decimal("1.5"), None)


@pytest.mark.parametrize("header", ["", "\n", "timestamp,price\n", "PNG\x00\x01", '"'])
def test_a_header_without_the_columns_is_refused(header: str) -> None:
    with pytest.raises(RowError, match="asset"):
        Columns(header)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2021-01-08T00:00:00Z,A,1", "3 cells where the header has 6"),
        ("2021-01-08T00:00:00Z,A,1,,,,", "7 cells"),
        ("yesterday,A,1,,,", "timestamp 'yesterday' is not ISO 8601"),
        (",A,1,,,", "timestamp ''"),
        ("2021-01-08T00:00:00Z,A,12x,,,", "price '12x' is not a decimal number"),
        ("2021-01-08T00:00:00Z,A,,,,", "price ''"),
        ("2021-01-08T00:00:00Z,A,1,x,2,", "bid 'x'"),
        ("2021-01-08T00:00:00Z,A,1,1,sNaN,", "ask - bid"),
        ("2021-01-08T00:00:00Z,A,1,1e-50,1e50,", "ask - bid"),
        ("2021-01-08T00:00:00Z,A,\x1b[31m,,,", r"price '\\x1b\[31m'"),
        ("2021-01-08T00:00:00Z,A," + "x" * 200_000, "not comma-separated values"),
    ],
)
def test_a_bad_row_says_what_is_wrong(line: str, problem: str) -> None:
    with pytest.raises(RowError, match=problem):
        Columns(HEADER).row(line)
