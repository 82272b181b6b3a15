"""The upstream of a provider in a process of its own: a file that it replays round by round."""

import os
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from meshnode.adapters.sources.walk import DEFAULT_START_CENTS, START_CENTS
from simulations.stage import ASSETS
from simulations.upstreams import Trouble

HEADER = "timestamp,asset,price,bid,ask,volume"
RECORDED = datetime(2026, 1, 1, tzinfo=UTC)
LOOP_PAUSE_S = 1.0  # `replay:` waits so long between two rounds
STEP_PER_MILLE = 1


class Recording:
    """Two sets of prices that take turns, one every `update_every_s` seconds.

    The file is read anew for each round, so what is the matter with the upstream shows within
    one: while it is down the file is without rows, while it is frozen both sets are the same.
    """

    def __init__(self, file: Path, *, seed: int, update_every_s: float) -> None:
        self._file = file
        self._seed = seed
        self._update_every_s = max(update_every_s, LOOP_PAUSE_S)

    @property
    def spec(self) -> str:
        """As `--source` takes it."""
        return f"replay:{self._file}?loop=true"

    def write(self, trouble: Trouble) -> None:
        """Let the file be what the upstream tells from its next round on."""
        rows = [] if trouble.is_down else self._rows(trouble)
        temporary = self._file.with_suffix(".new")
        temporary.write_text("\n".join([HEADER, *rows]) + "\n", encoding="ascii")
        os.replace(temporary, self._file)

    def _rows(self, trouble: Trouble) -> list[str]:
        rng = random.Random(self._seed)
        rows = []
        for turn in range(2):
            for asset in ASSETS:
                cents = START_CENTS.get(asset, DEFAULT_START_CENTS)
                reach = max(1, cents * STEP_PER_MILLE // 1000)
                moved = 0 if trouble.is_frozen else turn * rng.choice((-reach, reach))
                price = Decimal(cents + moved).scaleb(-2) * trouble.factor
                rows.append(self._row(turn * self._update_every_s, asset, price))
        # The second set is in force until the next round begins, which is after a pause.
        last_asset, last_price = rows[-1].split(",")[1:3]
        until_s = 2 * self._update_every_s - LOOP_PAUSE_S
        return [*rows, self._row(until_s, last_asset, Decimal(last_price))]

    @staticmethod
    def _row(after_s: float, asset: str, price: Decimal) -> str:
        at = (RECORDED + timedelta(seconds=after_s)).isoformat()
        return f"{at},{asset},{price:f},,,"
