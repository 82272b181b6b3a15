"""What is known of providers: without a rule, a run that the simulator's checkers watch fails."""

from tests.mutation.mutation import Mutation

ANNOUNCE = "meshnode/services/announce.py"
CONNECTIONS = "meshnode/services/connections.py"
DOUBTS = "meshnode/core/doubts.py"
ISOLATION = "meshnode/core/isolation.py"
OWN_CLOCK = "meshnode/core/own_clock.py"
PARTITION = "meshnode/core/partition.py"
PRESENCE = "meshnode/services/presence.py"
PROVIDERS = "meshnode/core/providers.py"
SKEW = "meshnode/core/skew.py"
SUSPICION = "meshnode/core/suspicion.py"

_RUNS = "tests/simulation/test_presence_scenarios.py"
_LOSSES = (f"{_RUNS}::test_losses_are_noticed_and_nobody_else_is_accused",)
_FAREWELLS = (f"{_RUNS}::test_farewells_are_known_at_once_and_never_suspicious",)
_FREEZES = (f"{_RUNS}::test_who_stands_still_is_judged_by_how_long",)
_SPLITS = (f"{_RUNS}::test_a_split_is_known_as_one_and_heals",)
_CLOCKS = (f"{_RUNS}::test_wrong_clocks_are_told_from_losses",)
_STARTS = (f"{_RUNS}::test_who_starts_has_prices_and_is_known",)
_AGAIN = "tests/node/test_stories.py::test_of_a_provider_that_starts_again_nobody_asks_what_it_said"
_WAITS = (
    "tests/services/test_announce.py"
    "::test_while_others_use_up_the_budget_a_consumer_waits_three_intervals_at_most"
)
_MET = "tests/services/test_connections.py::test_who_comes_while_a_provider_is_missed_is_told"
_TRIES_AGAIN = (
    "tests/services/test_discovery.py"
    "::test_who_misses_a_provider_soon_tries_again_whom_it_knew_and_many_take_turns"
)

MUTATIONS = (
    Mutation(
        "that we are back in touch waits until it is noticed",
        PRESENCE,
        "        await self._back_in_touch.wait()\n        self._back_in_touch = trio.Event()\n",
        "        self._back_in_touch = trio.Event()\n        await self._back_in_touch.wait()\n",
        (
            "tests/services/test_tracker.py"
            "::test_that_we_are_back_is_not_missed_by_who_is_busy_just_then",
        ),
    ),
    Mutation(
        "prices of a start are said again",
        ANNOUNCE,
        "            if number == 1:\n",
        "            if False:\n",
        (
            "tests/services/test_announce.py"
            "::test_prices_of_the_start_are_said_again_when_there_may_be_peers",
        ),
    ),
    Mutation(
        "prices of a provider that was away are asked for",
        "meshnode/services/presence.py",
        "                self._returned.set()\n",
        "                pass\n",
        (
            "tests/services/test_catchup.py"
            "::test_what_a_provider_said_while_it_was_away_is_asked_for_when_it_is_back",
        ),
    ),
    Mutation(
        "whom we first hear after a split does not hide it",
        PRESENCE,
        "self.providers.consumers_heard_again(since)",
        "self.providers.consumers_heard_since(since)",
        ("tests/services/test_tracker.py::test_whom_we_first_hear_after_a_split_does_not_hide_it",),
    ),
    Mutation(
        "newcomers are not missed among those who were known before a split",
        PRESENCE,
        "self.providers.consumers_known_at(since),",
        "self.providers.consumers_known_at(math.inf),",
        ("tests/services/test_tracker.py::test_where_those_speak_whom_we_knew_nothing_is_split",),
    ),
    Mutation(
        "of a provider that starts again nobody asks what it said",
        "meshnode/services/intake.py",
        "begins = message.seq <= FIRST_PRICES",
        "begins = False",
        (_AGAIN,),
    ),
    Mutation(
        "first words without prices are not enough",
        "meshnode/services/intake.py",
        "payload, begins = message.payload, False",
        "payload, begins = message.payload, message.seq <= FIRST_PRICES",
        (_AGAIN,),
    ),
    Mutation(
        "who was heard to start long ago may be missed",
        "meshnode/services/presence.py",
        "trio.current_time() - began_at < BEGAN_WITHIN_S",
        "True",
        (_AGAIN,),
    ),
    Mutation(
        "who misses a provider looks beyond its own side",
        "meshnode/services/discovery.py",
        "if open_places > -SEARCH_PLACES and (heard := self._heard()) is not None:",
        "if False:",
        (
            "tests/services/test_discovery.py"
            "::test_who_misses_a_provider_looks_for_nodes_that_it_does_not_hear",
        ),
    ),
    Mutation(
        "it looks for those that it does not hear",
        "meshnode/services/discovery.py",
        "self._choose(company, heard, ",
        "self._choose(company, frozenset(), ",
        (
            "tests/services/test_discovery.py"
            "::test_who_misses_a_provider_looks_for_nodes_that_it_does_not_hear",
        ),
    ),
    Mutation(
        "who misses a provider soon tries again",
        "meshnode/services/discovery.py",
        "heard, proven_wait_max_s=wait_s)",
        "heard)",
        (_TRIES_AGAIN,),
    ),
    Mutation(
        "many who miss a provider take turns",
        "meshnode/core/address_book.py",
        "return max(RETRY_WHILE_FEW_S, RETRY_WHILE_MISSING_PER_NODE_S * heard)",
        "return RETRY_WHILE_FEW_S",
        (_TRIES_AGAIN,),
    ),
    Mutation(
        "only what once worked is tried again sooner",
        "meshnode/core/address_book.py",
        "(self._unproven, wait_max_s))",
        "(self._unproven, proven_s))",
        (
            "tests/core/test_address_book.py"
            "::test_only_what_once_worked_may_be_tried_again_sooner_on_its_own",
        ),
    ),
    Mutation(
        "who misses a provider dials seeds as soon as others",
        CONNECTIONS,
        "if (heard := self._heard()) is not None:",
        "if False:",
        (
            "tests/services/test_connections.py"
            "::test_who_misses_a_provider_soon_dials_a_lost_seed_again",
        ),
    ),
    Mutation(
        "a provider that starts keeps to its interval",
        ANNOUNCE,
        "Role.PROVIDER: (2.0, 4.0, 4.0)",
        "Role.PROVIDER: (2.0, 8.0)",
        ("tests/services/test_announce.py::test_a_provider_speaks_every_five_seconds",),
    ),
    Mutation(
        "whom others may have missed says that it is there",
        CONNECTIONS,
        "            self._presence.node_connected()\n",
        "            pass\n",
        (_MET,),
    ),
    Mutation(
        "who misses nobody was not missed",
        PRESENCE,
        "if now >= self._met_at + MET_EVERY_S and self.providers.misses_any(now):",
        "if now >= self._met_at + MET_EVERY_S:",
        (_MET,),
    ),
    Mutation(
        "who comes and goes makes us speak only now and then",
        PRESENCE,
        "if now >= self._met_at + MET_EVERY_S and self.providers.misses_any(now):",
        "if self.providers.misses_any(now):",
        (_MET,),
    ),
    Mutation(
        "who only asks missed nobody",
        CONNECTIONS,
        "if self.is_node(peer) or self._addresses.of(peer):",
        "if True:",
        (_MET,),
    ),
    Mutation(
        "consumers of a large network wait their turn",
        ANNOUNCE,
        "if self._nodes() > BUDGET_WORDS or (",
        "if False and (",
        (
            "tests/services/test_announce.py"
            "::test_in_a_large_network_a_consumer_waits_its_turn_from_the_start",
        ),
    ),
    Mutation(
        "that a network is large a neighbour's word is enough",
        ANNOUNCE,
        " or (not has_spoken and self._told() > BUDGET_WORDS):",
        ":",
        (
            "tests/services/test_announce.py"
            "::test_that_a_network_is_large_a_neighbour_s_word_is_enough",
        ),
    ),
    Mutation(
        "who has spoken goes by what it knows itself",
        ANNOUNCE,
        "(not has_spoken and self._told() > BUDGET_WORDS)",
        "self._told() > BUDGET_WORDS",
        (
            "tests/services/test_announce.py"
            "::test_who_has_spoken_is_not_kept_from_it_by_a_neighbour_s_word",
        ),
    ),
    Mutation(
        "consumers wait while their budget is used up",
        ANNOUNCE,
        "if self._heard_since(now - BUDGET_WINDOW_S) < BUDGET_WORDS:",
        "if True:",
        (_WAITS,),
    ),
    Mutation(
        "nobody is kept from speaking for ever",
        ANNOUNCE,
        "if now - began_at >= WAIT_INTERVALS_MAX * interval_s:",
        "if False:",
        (_WAITS,),
    ),
    Mutation(
        "nothing is said after the farewell",
        "meshnode/services/publish.py",
        "            if self._has_said_last:\n",
        "            if False:\n",
        ("tests/services/test_announce.py::test_nothing_is_said_after_the_farewell",),
    ),
    Mutation(
        "who knows nothing yet has not answered",
        "meshnode/services/catchup.py",
        "        return told > 0\n",
        "        return True\n",
        ("tests/services/test_catchup.py::test_a_peer_that_knows_nothing_yet_is_asked_again",),
    ),
    Mutation(
        "simulated: an isolated node confirms nothing",
        DOUBTS,
        "if suspicion is None or self._is_isolated:",
        "if suspicion is None:",
        _SPLITS,
    ),
    Mutation(
        "simulated: who is isolated says so",
        PRESENCE,
        "        if self.isolation.check(now):\n",
        "        if False:\n",
        _SPLITS,
    ),
    Mutation(
        "simulated: while isolated, silence is not suspicious",
        DOUBTS,
        "if silent and isolated:",
        "if False:",
        _SPLITS,
    ),
    Mutation(
        "simulated: a split is told from the end of all providers",
        PARTITION,
        "        if known < KNOWN_MIN or elapsed_s < COUNTED_AFTER_S:\n",
        "        if True:\n",
        _SPLITS,
    ),
    Mutation(
        "simulated: a pause of our own re-arms the deadlines",
        DOUBTS,
        "self._listening_since = max(self._listening_since, now - waived_s)",
        "pass",
        _FREEZES,
    ),
    Mutation(
        "simulated: five seconds of silence are not suspicious",
        SUSPICION,
        "SUSPECT_AFTER_INTERVALS = 3.0\n",
        "SUSPECT_AFTER_INTERVALS = 1.2\n",
        _FREEZES,
    ),
    Mutation(
        "simulated: twenty seconds of silence are no loss",
        SUSPICION,
        "OFFLINE_IF_AGREED_INTERVALS = 6.0\n",
        "OFFLINE_IF_AGREED_INTERVALS = 3.5\n",
        _FREEZES,
    ),
    Mutation(
        "simulated: one that agrees hastens a loss",
        SUSPICION,
        "        agreed = _any(self.verdicts, Verdict.GONE)\n",
        "        agreed = False\n",
        _LOSSES,
    ),
    Mutation(
        "simulated: a refused dial after a broken connection tells at once",
        SUSPICION,
        "        self.refused = True\n",
        "        pass\n",
        _LOSSES,
    ),
    Mutation(
        "simulated: what is heard is a sign of life",
        PROVIDERS,
        "        record.said_at = max(record.said_at, said_at)\n",
        "        pass\n",
        _LOSSES,
    ),
    Mutation(
        "simulated: two messages bring a provider back",
        PROVIDERS,
        "RETURN_MESSAGES = 2 ",
        "RETURN_MESSAGES = 9 ",
        _LOSSES,
    ),
    Mutation(
        "simulated: who says that it leaves has left",
        PROVIDERS,
        " and payload.state is Presence.LEAVING:\n",
        " and False:\n",
        _FAREWELLS,
    ),
    Mutation(
        "simulated: our own clock is compared with our peers'",
        OWN_CLOCK,
        "abs(ahead_ns) > DIFFERS_MAX_NS",
        "False",
        _CLOCKS,
    ),
    Mutation(
        "simulated: who is refused for its time is called skewed",
        SKEW,
        "return self.last_ns - self.first_ns >= SKEW_RECHECK_NS",
        "return False",
        _CLOCKS,
    ),
    Mutation(
        "simulated: a clock half a second off is let alone",
        OWN_CLOCK,
        "DIFFERS_MAX_NS = 2 * 10**9\n",
        "DIFFERS_MAX_NS = 10**8\n",
        _CLOCKS,
    ),
    Mutation(
        "simulated: who joins asks a peer for what it holds",
        CONNECTIONS,
        "        self._catch_up.offer(peer)\n",
        "",
        _STARTS,
    ),
)
