"""Our own clock: by whom it is corrected, and when that is noticed."""

from tests.mutation.mutation import Mutation

OWN_CLOCK = "meshnode/core/own_clock.py"
CLOCK_CHECK = "meshnode/services/clock_check.py"

_OWN_CLOCK = "tests/core/test_own_clock.py"
_CLOCK = "tests/services/test_clock_check.py"

MUTATIONS = (
    Mutation(
        "a clock that was set is checked at once",
        CLOCK_CHECK,
        "if self._own_clock.was_set() or now >= self._due_at:",
        "if now >= self._due_at:",
        (f"{_CLOCK}::test_a_clock_that_is_set_wrong_is_noticed_at_once_and_judged_corrected",),
    ),
    Mutation(
        "two peers do not correct our clock",
        OWN_CLOCK,
        "if len(aheads_ns) < PEERS_MIN:",
        "if not aheads_ns:",
        (f"{_OWN_CLOCK}::test_two_peers_teach_nothing",),
    ),
    Mutation(
        "peers are asked anew before our clock is called wrong",
        CLOCK_CHECK,
        "or self._own_clock.is_confirmed(recent):",
        "or len(recent) >= PEERS_MIN:",
        (f"{_CLOCK}::test_what_was_told_a_while_ago_is_asked_anew_before_anything_is_changed",),
    ),
    Mutation(
        "half against half does not correct our clock",
        OWN_CLOCK,
        "return ahead_ns if 2 * _agreeing(aheads_ns, ahead_ns) > len(aheads_ns) else None",
        "return ahead_ns",
        (f"{_OWN_CLOCK}::test_as_many_as_agree_against_as_many_teach_nothing",),
    ),
    Mutation(
        "a small difference is no correction",
        OWN_CLOCK,
        "self._ahead_ns = ahead_ns if abs(ahead_ns) > DIFFERS_MAX_NS else 0",
        "self._ahead_ns = ahead_ns",
        (f"{_OWN_CLOCK}::test_two_seconds_are_no_matter",),
    ),
    Mutation(
        "a correction takes part in a step",
        OWN_CLOCK,
        "            self._correct(self._ahead_ns + round(step_s * 1e9))",
        "            pass",
        (f"{_OWN_CLOCK}::test_a_correction_takes_part_when_the_clock_is_set",),
    ),
    Mutation(
        "a right clock that goes on after a sleep is believed",
        OWN_CLOCK,
        "        if self._ahead_ns:\n",
        "        if True:\n",
        (f"{_OWN_CLOCK}::test_a_clock_that_was_right_is_believed_until_peers_tell",),
    ),
    Mutation(
        "a clock that is set is noticed when it is judged by",
        CLOCK_CHECK,
        "        self._own_clock.read(trio.current_time(), now_ns)\n",
        "",
        (f"{_CLOCK}::test_a_clock_that_is_set_wrong_is_noticed_at_once_and_judged_corrected",),
    ),
)
