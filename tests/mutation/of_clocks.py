"""Our own clock: by whom it is corrected, and when that is noticed."""

from tests.mutation.mutation import Mutation

OWN_CLOCK = "meshnode/core/own_clock.py"
CLOCK_CHECK = "meshnode/services/clock_check.py"

_OWN_CLOCK = "tests/core/test_own_clock.py"
_CLOCK = "tests/services/test_clock_check.py"

MUTATIONS = (
    Mutation(
        "those who are heard in time keep our clock",
        OWN_CLOCK,
        "told = sorted((*aheads_ns, *heard))",
        "told = sorted(aheads_ns)",
        (f"{_OWN_CLOCK}::test_those_who_are_heard_in_time_keep_what_we_judge_by",),
    ),
    Mutation(
        "who is heard out of time says nothing of our clock",
        OWN_CLOCK,
        "if abs(age_ns) > DIFFERS_MAX_NS:",
        "if False:",
        (f"{_OWN_CLOCK}::test_who_is_heard_out_of_time_does_not",),
    ),
    Mutation(
        "after a machine slept few of those who were heard count",
        OWN_CLOCK,
        "list(self._in_time.items())[-KEPT_OVER_A_STEP:]",
        "list(self._in_time.items())",
        (f"{_OWN_CLOCK}::test_after_a_machine_slept_they_do_not_outvote_the_peers",),
    ),
    Mutation(
        "after a step some of those who were heard count",
        OWN_CLOCK,
        "KEPT_OVER_A_STEP = 2",
        "KEPT_OVER_A_STEP = -100",
        (f"{_OWN_CLOCK}::test_after_a_step_two_of_them_count_as_if_they_had_spoken_then",),
    ),
    Mutation(
        "two of many are no camp",
        OWN_CLOCK,
        "if not is_large or size <= others_last - others_first:",
        "if size <= others_last - others_first:",
        (f"{_OWN_CLOCK}::test_two_of_many_are_no_camp",),
    ),
    Mutation(
        "a node believes those it hears more than wrong peers",
        "meshnode/node.py",
        "if isinstance(verdict, Accepted) and sender != self.own_key:",
        "if False:",
        (
            "tests/node/test_detection.py::test_a_node_believes_those_it_hears_more_than_wrong_peers",
        ),
    ),
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
        "        if self._own_clock.confirm(recent, now):\n",
        "        if self._own_clock.measured(recent, now):\n",
        (f"{_CLOCK}::test_what_was_told_a_while_ago_is_asked_anew_before_anything_is_changed",),
    ),
    Mutation(
        "half against half does not correct our clock",
        OWN_CLOCK,
        "if not is_large or size <= others_last - others_first:",
        "if not is_large:",
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
        "            self._correct(self._ahead_ns + step_ns)",
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
        "self._own_clock.read(trio.current_time(), self._wall_clock.now_ns())",
        "self._own_clock.corrected_ns(self._wall_clock.now_ns())",
        (f"{_CLOCK}::test_a_clock_that_is_set_wrong_is_noticed_at_once_and_judged_corrected",),
    ),
)
