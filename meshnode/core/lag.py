"""How old a message is: from its issue, corrected by what its author's clock lags behind ours.

The lag is learned from in-order first arrivals, so it holds the usual way here as well. It is
learned slowly and clamped: a relay that delays a message must not keep the dead alive.
"""

LAG_MAX_S = 5.0
LEARN_PART = 1 / 16
# Beyond it an arrival says that the message was late, not what time its author has.
LEARNABLE_S = 8.0


def learned(lag_s: float, arrival_s: float) -> float:
    """The lag after one more in-order arrival, `arrival_s` after its issue by both clocks."""
    if abs(arrival_s) > LEARNABLE_S:
        return lag_s
    return min(max(lag_s + (arrival_s - lag_s) * LEARN_PART, -LAG_MAX_S), LAG_MAX_S)


def age_s(arrival_s: float, lag_s: float) -> float:
    """How long ago, by our clock, a message was said; never less than zero."""
    return max(0.0, arrival_s - lag_s)
