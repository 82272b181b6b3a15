"""Who is there: what makes suspect, what confirms, what is no accusation; bounds; the outage."""

from tests.mutation.mutation import Mutation

DOUBTS = "meshnode/core/doubts.py"
PROVIDERS = "meshnode/core/providers.py"
SUSPICION = "meshnode/core/suspicion.py"
LIVES = "meshnode/core/lives.py"
TABLE = "meshnode/core/provider_table.py"
CONSUMERS = "meshnode/core/consumers.py"
FLAPPING = "meshnode/core/flapping.py"
LAG = "meshnode/core/lag.py"
SKEW = "meshnode/core/skew.py"
ADMISSION = "meshnode/core/admission.py"
PARTITION = "meshnode/core/partition.py"
CONNECTIONS = "meshnode/services/connections.py"
PRESENCE = "meshnode/services/presence.py"

_PROVIDERS = "tests/core/test_providers.py"
_SUSPECTS = "tests/core/test_suspects.py"
_ABSENCES = "tests/core/test_absences.py"
_TABLE = "tests/core/test_provider_table.py"
_CONSUMERS = "tests/core/test_consumers.py"
_SKEWED = "tests/core/test_skew.py"
_PRESENCE = "tests/services/test_tracker.py"
_IN_TOUCH = "tests/services/test_in_touch.py"
_LOOK_BACK = (
    "tests/services/test_discovery.py::test_who_looks_back_at_once_is_not_suspected_for_going"
)

SUSPECTS = (
    Mutation(
        "one that agrees is needed before twelve intervals",
        SUSPICION,
        "if unheard_intervals >= OFFLINE_IF_AGREED_INTERVALS and agreed:",
        "if unheard_intervals >= OFFLINE_IF_AGREED_INTERVALS:",
        (f"{_SUSPECTS}::test_without_one_that_agrees_it_takes_twelve_intervals",),
    ),
    Mutation(
        "a refusal without a broken connection proves nothing",
        SUSPICION,
        "if not (self.broken and self.refused):",
        "if not self.broken:",
        (f"{_SUSPECTS}::test_a_connection_that_breaks_suspects_at_once_and_no_more",),
    ),
    Mutation(
        "one that reaches a suspect keeps it",
        SUSPICION,
        "unknowing = bool(self.verdicts) and _UNKNOWING.issuperset(self.verdicts.values())",
        "unknowing = True",
        (f"{_SUSPECTS}::test_one_that_reaches_it_keeps_it_from_being_lost",),
    ),
    Mutation(
        "one that heard a later word does not keep a suspect for good",
        SUSPICION,
        "_UNKNOWING = frozenset({Verdict.UNKNOWN, Verdict.HEARD})",
        "_UNKNOWING = frozenset({Verdict.UNKNOWN})",
        (f"{_SUSPECTS}::test_one_that_heard_a_later_word_keeps_it_until_the_next_is_due",),
    ),
    Mutation(
        "a later word that a peer heard counts",
        DOUBTS,
        "unheard = min(silent, (now - suspicion.heard_at) / record.interval_s)",
        "unheard = silent",
        (
            f"{_SUSPECTS}::test_one_that_heard_a_later_word_keeps_it_until_the_next_is_due",
            f"{_SUSPECTS}::test_one_that_agrees_but_heard_it_later_counts_from_then",
        ),
    ),
    Mutation(
        "nobody keeps a suspect alive for ever by saying that it hears it",
        SUSPICION,
        "if silent_intervals >= OFFLINE_AFTER_INTERVALS:",
        "if unheard_intervals >= OFFLINE_AFTER_INTERVALS:",
        (f"{_SUSPECTS}::test_who_lies_of_later_words_keeps_it_for_twelve_intervals_and_no_longer",),
    ),
    Mutation(
        "verdicts are bounded",
        SUSPICION,
        "if peer not in verdicts and len(verdicts) >= VERDICTS_MAX:",
        "if False:",
        ("tests/core/test_suspicion.py::test_verdicts_are_bounded",),
    ),
    Mutation(
        "who knows nothing makes room",
        SUSPICION,
        "            del verdicts[unknowing]\n",
        "            return\n",
        ("tests/core/test_suspicion.py::test_who_knows_nothing_makes_room_for_who_knows_more",),
    ),
    Mutation(
        "who looks back is not suspected for going",
        "meshnode/services/connections.py",
        "        if not (wanted or looked_back):\n",
        "        if not wanted:\n",
        (_LOOK_BACK,),
    ),
    Mutation(
        "only who was looked at looks back",
        "meshnode/services/connections.py",
        "glanced and now - looked_at < LOOK_BACK_S",
        "glanced",
        (
            "tests/services/test_connections.py"
            "::test_who_comes_and_breaks_off_is_suspected_however_soon",
        ),
    ),
    Mutation(
        "who stays does not only look",
        "meshnode/services/connections.py",
        "glanced = lasted_s < GLANCE_S and not",
        "glanced = not",
        (_LOOK_BACK,),
    ),
    Mutation(
        "who answered a ping did not only look",
        "meshnode/services/connections.py",
        "glanced = lasted_s < GLANCE_S and not self._pings.has_answered(peer)",
        "glanced = lasted_s < GLANCE_S",
        (_LOOK_BACK,),
    ),
    Mutation(
        "a short interval makes nobody easier to accuse",
        SUSPICION,
        "return min(max(INTERVAL_S, announced_ms / 1000), INTERVAL_MAX_S)",
        "return min(announced_ms / 1000, INTERVAL_MAX_S)",
        (f"{_SUSPECTS}::test_a_short_interval_makes_nobody_easier_to_accuse",),
    ),
    Mutation(
        "what was said before the break refutes nothing",
        PROVIDERS,
        "if suspicion is not None and suspicion.broken and earliest_at <= suspicion.since:",
        "if False:",
        (f"{_SUSPECTS}::test_what_was_said_before_the_connection_broke_refutes_nothing",),
    ),
    Mutation(
        "the usual way is no proof that it was said after the break",
        PROVIDERS,
        "earliest_at = record.suspicion, said_at - max(0.0, record.lag_s)",
        "earliest_at = record.suspicion, said_at",
        (f"{_SUSPECTS}::test_a_usual_way_of_a_second_does_not_make_a_word_later_than_the_break",),
    ),
    Mutation(
        "a late word does not keep the dead alive",
        PROVIDERS,
        "if said_at <= record.said_at or not is_fresh:",
        "if said_at <= record.said_at:",
        (f"{_SUSPECTS}::test_age_counts_from_issue_a_late_word_does_not_keep_the_dead_alive",),
    ),
)

ABSENCES = (
    Mutation(
        "an isolated node confirms nothing",
        DOUBTS,
        "if suspicion is None or self._is_isolated:",
        "if suspicion is None:",
        (f"{_ABSENCES}::test_an_isolated_node_accuses_nobody",),
    ),
    Mutation(
        "an isolated node asks about nobody",
        DOUBTS,
        "        if self._is_isolated:\n            return []\n        asked_about",
        "        asked_about",
        (f"{_ABSENCES}::test_an_isolated_node_accuses_nobody",),
    ),
    Mutation(
        "a pause re-arms every deadline",
        DOUBTS,
        "self._listening_since = max(self._listening_since, now - waived_s)",
        "pass",
        (f"{_ABSENCES}::test_who_did_not_run_itself_accuses_nobody_before_two_fresh_intervals",),
    ),
    Mutation(
        "what was said before a pause counts no more",
        DOUBTS,
        "                record.suspicion.verdicts.clear()  # nor is what was said of it then\n",
        "                pass\n",
        (f"{_ABSENCES}::test_a_pause_also_spares_those_already_suspect",),
    ),
    Mutation(
        "connections that broke while we stood still accuse nobody",
        DOUBTS,
        "or now < self._spared_until:",
        "or False:",
        (f"{_ABSENCES}::test_connections_that_broke_while_we_stood_still_accuse_nobody",),
    ),
    Mutation(
        "a provider from before a restart is given time",
        PROVIDERS,
        "        self.doubts.listen_from(now)\n",
        "",
        (f"{_ABSENCES}::test_a_provider_from_before_a_restart_is_known_and_returns",),
    ),
    Mutation(
        "who is refused for its time speaks",
        DOUBTS,
        "if refusals_of is not None and refusals_of.is_recent(now_ns):",
        "if False:",
        (f"{_ABSENCES}::test_who_is_refused_for_its_time_is_skewed_and_not_gone",),
    ),
    Mutation(
        "one refusal is no skew",
        SKEW,
        "return self.last_ns - self.first_ns >= SKEW_RECHECK_NS",
        "return True",
        (f"{_SKEWED}::test_one_refusal_may_be_a_message_held_up_two_apart_are_a_clock",),
    ),
    Mutation(
        "hearsay of a skew ages",
        DOUBTS,
        "if record is None or now - seen_at >= SKEWED_S or self._is_isolated:",
        "if record is None:",
        (f"{_ABSENCES}::test_hearsay_does_not_grow_younger_by_going_round",),
    ),
    Mutation(
        "hearsay of a skew needs our own suspicion",
        DOUBTS,
        "        if record.suspicion is None and not record.is_hearsay:\n            return []\n"
        "        if self._silent_intervals(record, now) < SUSPECT_AFTER_INTERVALS:\n"
        "            return []\n",
        "",
        (f"{_ABSENCES}::test_whom_others_refuse_for_its_time_does_not_reach_us_and_is_skewed_too",),
    ),
    Mutation(
        "flapping is held twice as long each time, within a bound",
        FLAPPING,
        "self._hold_s = min(2 * hold_s, HOLD_MAX_S)",
        "self._hold_s = 2 * hold_s",
        (f"{_ABSENCES}::test_who_flaps_again_is_held_twice_as_long_up_to_ten_minutes",),
    ),
    Mutation(
        "our own words go out whatever our clock",
        ADMISSION,
        "if mistimed and envelope is not self._sealed:",
        "if mistimed:",
        (f"{_SKEWED}::test_what_we_say_ourselves_goes_out_whatever_our_clock",),
    ),
)

RETURNS = (
    Mutation(
        "two messages bring back",
        PROVIDERS,
        "if record.returns < RETURN_MESSAGES:",
        "if False:",
        (f"{_PROVIDERS}::test_a_provider_is_lost_once_and_returns_by_its_second_message",),
    ),
    Mutation(
        "two messages far apart do not",
        PROVIDERS,
        "record.returns = record.returns + 1 if record.returns and follows else 1",
        "record.returns += 1",
        (f"{_PROVIDERS}::test_two_messages_far_apart_bring_nobody_back",),
    ),
    Mutation(
        "what was said before the loss brings nobody back",
        PROVIDERS,
        "if is_late or not is_fresh or issued_ns <= record.issued_ns:",
        "if not is_fresh or issued_ns <= record.issued_ns:",
        (f"{_PROVIDERS}::test_what_was_said_before_the_loss_and_comes_late_brings_nobody_back",),
    ),
    Mutation(
        "what was said before leaving brings nobody back",
        PROVIDERS,
        "if is_late or not is_fresh or issued_ns <= record.issued_ns:",
        "if is_late or not is_fresh:",
        (f"{_PROVIDERS}::test_prices_overtaken_by_the_word_of_leaving_bring_nobody_back",),
    ),
    Mutation(
        "nobody was seen in the future",
        PROVIDERS,
        "said_ns = min(issued_ns, now_ns)",
        "said_ns = issued_ns",
        (f"{_PROVIDERS}::test_the_last_sign_of_life_is_when_it_was_given_not_when_it_arrived",),
    ),
    Mutation(
        "a lag is clamped",
        LAG,
        "return min(max(lag_s + (arrival_s - lag_s) * LEARN_PART, -LAG_MAX_S), LAG_MAX_S)",
        "return lag_s + (arrival_s - lag_s) * LEARN_PART",
        ("tests/core/test_lag.py::test_a_lag_is_clamped",),
    ),
    Mutation(
        "what was held up teaches no lag",
        LAG,
        "if abs(arrival_s) > LEARNABLE_S:",
        "if False:",
        ("tests/core/test_lag.py::test_what_was_held_up_teaches_nothing",),
    ),
)

BOUNDS = (
    Mutation(
        "providers are bounded",
        TABLE,
        "if len(self._by_peer) >= PROVIDERS_MAX:",
        "if False:",
        (f"{_TABLE}::test_the_one_heard_longest_ago_makes_room",),
    ),
    Mutation(
        "whoever has prices goes last",
        TABLE,
        "elif self._has_prices(record.key) or self._is_kept(record.key):",
        "elif self._is_kept(record.key):",
        (f"{_TABLE}::test_strangers_by_the_thousand_do_not_push_out_a_provider_with_prices",),
    ),
    Mutation(
        "whoever the operator named goes last",
        TABLE,
        "elif self._has_prices(record.key) or self._is_kept(record.key):",
        "elif self._has_prices(record.key):",
        (f"{_TABLE}::test_whoever_has_prices_or_is_named_goes_last",),
    ),
    Mutation(
        "who made room is live no more",
        TABLE,
        "        self._on_dropped(victim)\n",
        "",
        (f"{_TABLE}::test_the_one_heard_longest_ago_makes_room",),
    ),
    Mutation(
        "consumers are bounded",
        CONSUMERS,
        "if len(self._heard) > CONSUMERS_MAX:",
        "if False:",
        (f"{_CONSUMERS}::test_the_one_heard_longest_ago_makes_room",),
    ),
    Mutation(
        "a consumer's own interval does not make it immortal",
        CONSUMERS,
        "CONSUMER_INTERVALS * min(interval_s, INTERVAL_MAX_S)",
        "CONSUMER_INTERVALS * interval_s",
        (f"{_CONSUMERS}::test_nobody_is_present_for_ever",),
    ),
    Mutation(
        "the expiries of consumers are bounded",
        CONSUMERS,
        "if len(self._expiries) > 2 * len(self._heard) + 1:",
        "if False:",
        (f"{_CONSUMERS}::test_a_storm_of_identities_leaves_no_trace_behind",),
    ),
)

NODE = (
    Mutation(
        "who only asks does not show that we are in touch",
        CONNECTIONS,
        "        if self.is_node(peer):\n            self._presence.node_answered()\n",
        "        self._presence.node_answered()\n",
        (f"{_IN_TOUCH}::test_who_only_asks_does_not_show_that_we_are_in_touch",),
    ),
    Mutation(
        "a node that was never heard shows that we are in touch",
        CONNECTIONS,
        "        if self.is_node(peer):\n            self._presence.node_answered()\n",
        "        if self._presence.providers.knows(peer):\n"
        "            self._presence.node_answered()\n",
        (f"{_IN_TOUCH}::test_a_node_that_was_never_heard_shows_that_we_are_in_touch",),
    ),
    Mutation(
        "old words do not show that we are in touch",
        PRESENCE,
        "elif now_ns - issued_ns < IN_TOUCH_NS:",
        "else:",
        (f"{_PRESENCE}::test_words_that_were_held_up_do_not_end_isolation",),
    ),
    Mutation(
        "our own words do not show that we are in touch",
        PRESENCE,
        "elif now_ns - issued_ns < IN_TOUCH_NS:",
        "if now_ns - issued_ns < IN_TOUCH_NS:",
        (f"{_PRESENCE}::test_our_own_words_do_not_end_isolation",),
    ),
    Mutation(
        "while something presses the beat is quick",
        "meshnode/services/beat.py",
        "pause_s = QUIET_BEAT_S if is_quiet else BEAT_S",
        "pause_s = QUIET_BEAT_S",
        ("tests/services/test_beat.py::test_one_of_whom_something_presses_has_all_look_sooner",),
    ),
    Mutation(
        "a late timer is a pause of our own",
        "meshnode/services/beat.py",
        "if (late_s := trio.current_time() - due_at) > PAUSED_AFTER_S:",
        "if (late_s := 0.0) > PAUSED_AFTER_S:",
        (f"{_PRESENCE}::test_a_node_that_stood_still_accuses_nobody",),
    ),
    Mutation(
        "a split needs consumers that fell silent",
        PARTITION,
        "return heard <= expected - 1 and",
        "return",
        ("tests/core/test_partition.py::test_providers_alone_may_all_have_died",),
    ),
)

MUTATIONS = (*SUSPECTS, *ABSENCES, *RETURNS, *BOUNDS, *NODE)
