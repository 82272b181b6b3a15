"""Sweeps pass over providers whose turn has not come, and beats over what is not due.

What brings the next look forward.
"""

from tests.mutation.mutation import Mutation

DOUBTS = "meshnode/core/doubts.py"
ISOLATION = "meshnode/core/isolation.py"
PROVIDERS = "meshnode/core/providers.py"

_SWEEPS = "tests/core/test_sweeps.py"
_ISOLATION = "tests/core/test_isolation.py"
_LOOKS = "tests/services/test_looks.py"

MUTATIONS = (
    Mutation(
        "who is new is looked at in time",
        PROVIDERS,
        "            self._table.heard(record)\n            self.doubts.attend(record)\n",
        "            self._table.heard(record)\n",
        (_SWEEPS,),
    ),
    Mutation(
        "who is remembered is looked at in time",
        PROVIDERS,
        "        self.doubts.listen_from(now)\n        self.doubts.attend(record)\n",
        "        self.doubts.listen_from(now)\n",
        (f"{_SWEEPS}::test_who_is_remembered_is_looked_at",),
    ),
    Mutation(
        "who broke off is looked at at once",
        DOUBTS,
        "        self.attend(record)\n",
        "",
        (f"{_SWEEPS}::test_who_broke_off_is_looked_at_at_once",),
    ),
    Mutation(
        "who is heard puts off the look at nobody else",
        DOUBTS,
        "self.look_at = min(self.look_at, self._matters_at(record))",
        "self.look_at = self._matters_at(record)",
        (f"{_SWEEPS}::test_who_speaks_puts_off_the_look_at_nobody_else",),
    ),
    Mutation(
        "who is refused for its time is looked at at once",
        DOUBTS,
        "if now < self.look_at and not refused:",
        "if now < self.look_at:",
        (_SWEEPS,),
    ),
    Mutation(
        "an outage is looked at when it may be explained otherwise",
        "meshnode/services/presence.py",
        "return min(self._explain_at, self.providers.expires_at)",
        "return self.providers.expires_at",
        ("tests/services/test_tracker.py", "tests/node/test_detection.py"),
    ),
    Mutation(
        "that an outage becomes a long one is not to wait",
        "meshnode/services/presence.py",
        "self.providers.doubts.look_at, self._extends_at",
        "self.providers.doubts.look_at",
        (f"{_LOOKS}::test_that_an_outage_becomes_a_long_one_is_not_to_wait",),
    ),
    Mutation(
        "who may be silent is looked at in time",
        "meshnode/services/presence.py",
        "self.isolation.begins_at, self.providers.doubts.look_at, self._extends_at",
        "self.isolation.begins_at, self._extends_at",
        (f"{_LOOKS}::test_a_sweep_tells_when_time_alone_may_change_something",),
    ),
    Mutation(
        "a long silence is one though nobody looked",
        ISOLATION,
        "return Relief(None) if silent_s >= ISOLATED_AFTER_S else None",
        "return None",
        (f"{_ISOLATION}::test_a_long_silence_is_one_though_nobody_looked",),
    ),
    Mutation(
        "after a pause of our own an answer is waited for",
        ISOLATION,
        "            self.begins_at = self._answered_at + ISOLATED_AFTER_S\n",
        "            pass\n",
        (f"{_ISOLATION}::test_after_a_pause_of_our_own_an_answer_is_waited_for",),
    ),
    Mutation(
        "a pause ends no isolation",
        ISOLATION,
        "        if not self.is_isolated:\n",
        "        if True:\n",
        (f"{_ISOLATION}::test_a_pause_ends_no_isolation",),
    ),
    Mutation(
        "isolation is looked for in time",
        "meshnode/services/presence.py",
        "self.isolation.begins_at, self.providers.doubts.look_at, self._extends_at",
        "self.providers.doubts.look_at, self._extends_at",
        (f"{_LOOKS}::test_while_nobody_falls_silent_isolation_is_what_may_begin",),
    ),
    Mutation(
        "who is refused for its time is looked at once a second",
        "meshnode/services/presence.py",
        "return now if refused else self._presses_at()",
        "return self._presses_at()",
        (f"{_LOOKS}::test_while_somebody_is_refused_for_its_time_time_may_change_it",),
    ),
    Mutation(
        "who is refused for its time is seen by a sweep that has nothing else to do",
        "meshnode/services/presence.py",
        "return is_isolated == self._was_isolated and not self._any_skewed()",
        "return is_isolated == self._was_isolated",
        (f"{_LOOKS}::test_while_somebody_is_refused_for_its_time_time_may_change_it",),
    ),
    Mutation(
        "that we are isolated no more is seen by a sweep that has nothing else to do",
        "meshnode/services/presence.py",
        "return is_isolated == self._was_isolated and not self._any_skewed()",
        "return not self._any_skewed()",
        (f"{_LOOKS}::test_a_sweep_in_vain_sees_what_has_happened_since_the_last",),
    ),
    Mutation(
        "a consumer is forgotten in time",
        "meshnode/services/presence.py",
        "return min(self._explain_at, self.providers.expires_at)",
        "return self._explain_at",
        (f"{_LOOKS}::test_a_consumer_that_says_no_more_is_forgotten_in_time",),
    ),
    Mutation(
        "who watches is told within a second",
        "meshnode/services/monitor.py",
        "            return trio.current_time()\n",
        "            pass\n",
        (f"{_LOOKS}::test_while_somebody_watches_the_monitor_wants_to_look_again",),
    ),
    Mutation(
        "neighbours that wait are asked within a second",
        "meshnode/services/topology.py",
        "return self._next_at  # now,",
        "return math.inf  # now,",
        (
            f"{_LOOKS}::test_while_neighbours_wait_for_others_to_be_asked_topology_wants_to_look_again",
        ),
    ),
    Mutation(
        "our clock is checked when it is due",
        "meshnode/services/clock_check.py",
        "if self._own_clock.was_set() or now >= self._due_at:",
        "if self._own_clock.was_set():",
        (
            "tests/services/test_clock_check.py::test_a_clock_that_was_wrong_from_the_start_is_noticed",
        ),
    ),
    Mutation(
        "while company is short it is looked for every second",
        "meshnode/services/discovery.py",
        "return trio.current_time() if in_need else math.inf",
        "return math.inf",
        (
            "tests/services/test_discovery.py::test_nodes_that_were_heard_of_are_dialled_until_there_are_enough",
        ),
    ),
)
