"""How much history is kept, in whichever store."""

from typing import Final

HISTORY_KEPT_NS: Final = 7 * 86_400 * 10**9
HISTORY_BYTES_MAX: Final = 1024**3
HISTORY_ROWS_MAX: Final = 10_000  # in one answer
