"""One row of a recording: `timestamp,asset,price,bid,ask,volume` as text, read exactly."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Inexact, localcontext

_REQUIRED = ("timestamp", "asset", "price")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS_MAX = 60
_CHARS_SHOWN_MAX = 40


class RowError(ValueError):
    """A line that is not what its header promises."""


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded price. `recorded_ns` is Unix time; `half_width` is half of ask - bid."""

    recorded_ns: int
    asset: str
    price: Decimal
    half_width: Decimal | None

    @property
    def date(self) -> str:
        """The UTC day of the recording, such as `2021-01-08`."""
        return (_EPOCH + timedelta(microseconds=self.recorded_ns // 1000)).date().isoformat()


class Columns:
    """Where a file keeps what, by its header line; columns it has besides are left alone.

    Raises RowError for a header without the columns that every recording has.
    """

    def __init__(self, header: str) -> None:
        names = [name.strip() for name in _cells(header)]
        missing = [name for name in _REQUIRED if name not in names]
        if missing:
            raise RowError(f"the header names no column {', '.join(missing)}")
        self._places = {name: place for place, name in enumerate(names)}

    def row(self, line: str) -> Row:
        """The row in a line. Raises RowError.

        Names and prices are taken as they are, NaN too: whoever publishes them checks them.
        """
        cells = _cells(line)
        if len(cells) != len(self._places):
            raise RowError(f"{len(cells)} cells where the header has {len(self._places)}")
        price = _decimal(self._cell(cells, "price"), "price")
        return Row(
            _unix_ns(self._cell(cells, "timestamp")),
            self._cell(cells, "asset"),
            price,
            _half_width(self._cell(cells, "bid"), self._cell(cells, "ask")),
        )

    def _cell(self, cells: list[str], name: str) -> str:
        place = self._places.get(name)
        return "" if place is None else cells[place].strip()


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error as error:
        raise RowError(f"not comma-separated values: {error}") from error


def _unix_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowError(f"timestamp {_shown(text)} is not ISO 8601") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _decimal(text: str, column: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise RowError(f"{column} {_shown(text)} is not a decimal number") from None


def _half_width(bid_text: str, ask_text: str) -> Decimal | None:
    if not bid_text or not ask_text:
        return None
    bid, ask = _decimal(bid_text, "bid"), _decimal(ask_text, "ask")
    with localcontext(prec=_DIGITS_MAX) as context:
        context.traps[Inexact] = True
        try:
            return (ask - bid) * Decimal("0.5")
        except ArithmeticError:
            raise RowError("ask - bid cannot be computed exactly") from None


def _shown(text: str) -> str:
    return ascii(text[:_CHARS_SHOWN_MAX])
