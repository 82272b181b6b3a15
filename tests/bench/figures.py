"""How benchmarks print what they measured."""

import statistics
from collections.abc import Sequence


def show(what: str, **figures: float | str) -> None:
    """One line a benchmark; numbers to three digits."""
    parts = [f"{name} {_text(value)}" for name, value in figures.items()]
    print(f"\n{what:<44} {'  '.join(parts)}", flush=True)


def median(samples: Sequence[float]) -> float:
    """The middle of the samples."""
    return statistics.median(samples)


def percentile(samples: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the samples lie."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
