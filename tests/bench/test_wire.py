"""The protocol alone: encoding, decoding, judging, signing."""

import time
from collections.abc import Callable

import pytest
from nacl.signing import SigningKey

from meshnode.core.admission import Admission
from meshnode.core.names import Names
from meshnode.core.verdicts import Accepted
from protocols.envelope import Envelope, open_envelope, seal
from protocols.ids import Topic
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote
from tests.bench.figures import show

pytestmark = pytest.mark.bench

NOW_NS = 1_790_000_000 * 10**9
KEY = SigningKey(bytes(32))
AUTHOR = bytes(KEY.verify_key)


def sealed(quotes: int, seq: int) -> Envelope:
    """An update of so many quotes."""
    update = PriceUpdate(
        tuple(
            Quote(f"A{number}-USD", 3_943_248 + 10 * number + 1, -2, NOW_NS, 0, 1, None)
            for number in range(quotes)
        )
    )
    return seal(Message("main", AUTHOR, 1_790_000_000, seq, NOW_NS, update), KEY)


def per_second(work: Callable[[int], object], rounds: int) -> float:
    """How often it can be done in a second."""
    started = time.perf_counter()
    for number in range(rounds):
        work(number)
    return rounds / (time.perf_counter() - started)


@pytest.mark.parametrize("quotes", [1, 100, 1000])
def test_wire(quotes: int) -> None:
    rounds = 20_000 // (quotes + 19)
    sealing = per_second(lambda number: sealed(quotes, number + 1), rounds)
    raws = [sealed(quotes, number + 1).raw for number in range(rounds)]
    opening = per_second(lambda number: open_envelope(raws[number]), rounds)
    envelopes = [open_envelope(raw) for raw in raws]
    verifying = per_second(lambda number: envelopes[number].is_authentic(), rounds)
    admission = Admission(
        "main",
        allowlist=None,
        names=Names(is_kept=lambda _: False),
        find_held=lambda _: None,
    )

    def judge(number: int) -> None:
        verdict = admission.judge(Topic.PRICES, AUTHOR, raws[number], NOW_NS)
        assert isinstance(verdict, Accepted)

    judging = per_second(judge, rounds)
    show(
        f"an update of {quotes} quotes ({len(raws[0])} bytes)",
        sealed_quotes_per_s=sealing * quotes,
        decoded_quotes_per_s=opening * quotes,
        judged_quotes_per_s=judging * quotes,
        judging_of_verifying_alone=verifying / judging,
    )
