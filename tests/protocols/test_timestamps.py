"""Times as text and back, to the nanosecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import Malformed, ProtocolError
from protocols.limits import UINT64_MAX
from protocols.timestamps import ns_from_rfc3339, rfc3339

NOW = "2026-01-31T08:15:00.25Z"


@given(st.integers(0, UINT64_MAX))
def test_a_time_keeps_its_nanoseconds(ns: int) -> None:
    assert ns_from_rfc3339(rfc3339(ns)) == ns


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_769_847_300_250_000_000, NOW),
        (UINT64_MAX, "2554-07-21T23:34:33.709551615Z"),
    ],
)
def test_times_as_text(ns: int, text: str) -> None:
    assert rfc3339(ns) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        NOW[:-1],
        NOW + "\n",
        NOW.replace("Z", "+00:00"),
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01 00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2600-01-01T00:00:00Z",
        "2026-01-01T00:00:00.0123456789Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2016-12-31T23:59:60Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Malformed):
        ns_from_rfc3339(text)


@pytest.mark.parametrize("ns", [-1, UINT64_MAX + 1])
def test_no_text_for_what_is_no_time(ns: int) -> None:
    with pytest.raises(ProtocolError):
        rfc3339(ns)
