"""Whom a node dials, whom it believes how far away, and what it remembers of others."""

from tests.mutation.mutation import Mutation

ADDRESS_BOOK = "meshnode/core/address_book.py"
DIAL_RULES = "meshnode/core/dial_rules.py"
HOPS = "meshnode/core/hops.py"
ROUNDS = "meshnode/core/rounds.py"
ACQUAINTANCES = "meshnode/core/acquaintances.py"
CONNECTIONS = "meshnode/services/connections.py"
DIALLING = "meshnode/services/dialling.py"
DISCOVERY = "meshnode/services/discovery.py"
REMEMBER = "meshnode/services/remember.py"
TOPOLOGY = "meshnode/services/topology.py"
ANSWER = "meshnode/services/answer.py"

_BOOK = "tests/core/test_address_book.py"
_FINDING = "tests/node/test_finding_each_other.py"
_KEPT = "tests/core/test_addresses_kept.py"
_RULES = "tests/core/test_dial_rules.py"
_HOPS = "tests/core/test_hops.py"
_ACQUAINTANCES = "tests/core/test_acquaintances.py"
_DISCOVERY = "tests/services/test_discovery.py"
_TOPOLOGY = "tests/services/test_topology.py"
_REMEMBER = "tests/services/test_remember.py"
_POISON = (
    f"{_DISCOVERY}::test_poisoned_addresses_are_never_dialled_and_no_place_more_than_once_a_second"
)
_REFUSES = f"{_RULES}::test_a_node_on_the_internet_refuses"

RULES = (
    Mutation(
        "an address that was given up is taken again on the same word",
        ADDRESS_BOOK,
        "            self._said.pop(address.peer_id, None)\n",
        "",
        (f"{_BOOK}::test_who_says_the_same_again_is_taken_again_where_it_was_given_up",),
    ),
    Mutation(
        "an address that made room at once is taken again on the same word",
        ADDRESS_BOOK,
        "        if all(place in held for place in places):",
        "        if True:",
        (f"{_BOOK}::test_of_what_made_room_at_once_the_same_word_brings_it_again",),
    ),
    Mutation(
        "a list of peers is believed for longer than distances are",
        TOPOLOGY,
        "PEERS_EXPIRY_ROUNDS = EXPIRY_ROUNDS + 1\n",
        "PEERS_EXPIRY_ROUNDS = EXPIRY_ROUNDS\n",
        (f"{_TOPOLOGY}::test_a_neighbour_that_answers_no_more_is_not_believed_for_long",),
    ),
    Mutation(
        "what was not asked about is not nothing",
        TOPOLOGY,
        '        if "peers" not in keys:\n',
        "        if False:\n",
        (f"{_TOPOLOGY}::test_who_its_peers_are_a_neighbour_is_asked_every_second_time",),
    ),
    Mutation(
        "loopback is not dialled on a stranger's word",
        DIAL_RULES,
        "case Refusal.LOOPBACK if self._loopback:",
        "case Refusal.LOOPBACK:",
        (_REFUSES, f"{_RULES}::test_where_we_listen_decides"),
    ),
    Mutation(
        "loopback within IPv6 is loopback",
        DIAL_RULES,
        "            ip = ip.ipv4_mapped\n",
        "            pass\n",
        (_REFUSES,),
    ),
    Mutation(
        "names are for seeds",
        DIAL_RULES,
        "        if place.transport[0] in _NAME_KINDS:\n            return Refusal.NAME\n",
        "        if place.transport[0] in _NAME_KINDS:\n            return place.spelt\n",
        (_REFUSES, _POISON),
    ),
    Mutation(
        "multicast is not dialled",
        DIAL_RULES,
        "    if ip.is_multicast:\n        return Refusal.MULTICAST\n",
        "",
        (_REFUSES, _POISON),
    ),
    Mutation(
        "link-local is not dialled",
        DIAL_RULES,
        "case Refusal.LINK_LOCAL if self._link_local and place.ip and place.ip.version == 4:",
        "case Refusal.LINK_LOCAL:",
        (_REFUSES, _POISON),
    ),
    Mutation(
        "private ranges are dialled from within only",
        DIAL_RULES,
        "case Refusal.PRIVATE if self._private:",
        "case Refusal.PRIVATE:",
        (_REFUSES, _POISON),
    ),
    Mutation(
        "transports that we don't speak are not dialled",
        DIAL_RULES,
        "        if not (self._speaks_tcp if is_tcp else place.transport in self._transports):",
        "        if False:",
        (_REFUSES,),
    ),
    Mutation(
        "nobody dials himself",
        DIAL_RULES,
        "return Refusal.OWN if place.spelt in self._own_places else place.spelt",
        "return place.spelt",
        (_REFUSES,),
    ),
)

BOOK = (
    Mutation(
        "where all places are taken few newcomers get one",
        ADDRESS_BOOK,
        "            return True\n        return False\n",
        "        return False\n",
        (f"{_BOOK}::test_where_all_places_are_taken_few_newcomers_get_one",),
    ),
    Mutation(
        "a provider always gets a place",
        REMEMBER,
        "provides = payload.role is Role.PROVIDER",
        "provides = False",
        (f"{_FINDING}::test_who_knows_too_many_addresses_redials_a_provider_all_the_same",),
    ),
    Mutation(
        "who is on the local network always gets a place",
        ADDRESS_BOOK,
        " and origin is not Origin.LAN and",
        " and",
        (f"{_BOOK}::test_a_provider_always_gets_a_place_and_so_does_who_is_on_the_local_network",),
    ),
    Mutation(
        "chance decides which newcomer gets a place",
        ADDRESS_BOOK,
        "if is_full and self._rng.random() * NEWCOMERS_A_PLACE >= 1:",
        "if is_full:",
        (f"{_BOOK}::test_nobody_can_make_sure_that_others_get_no_place",),
    ),
    Mutation(
        "three addresses a peer are read",
        ADDRESS_BOOK,
        "        for addr in addrs[:PEER_ADDRS_MAX]:\n",
        "        for addr in addrs:\n",
        (_BOOK,),
    ),
    Mutation(
        "hearsay displaces nothing",
        ADDRESS_BOOK,
        "entry is not None and origin > Origin.HEARSAY and entry.origin <= origin",
        "entry is not None",
        (f"{_BOOK}::test_hearsay_fills_places_and_displaces_nothing",),
    ),
    Mutation(
        "a flood costs nothing that worked",
        ADDRESS_BOOK,
        "        entries = self._proven if proven else self._unproven\n",
        "        entries = self._unproven\n",
        (f"{_BOOK}::test_a_flood_of_made_up_addresses_costs_none_that_worked",),
    ),
    Mutation(
        "addresses are bounded",
        ADDRESS_BOOK,
        "        if len(entries) > (PROVEN_MAX if proven else UNPROVEN_MAX):",
        "        if False:",
        (f"{_BOOK}::test_a_flood_of_made_up_addresses_costs_none_that_worked",),
    ),
    Mutation(
        "who reaches nobody forgets nobody",
        ADDRESS_BOOK,
        "        if alone:\n            return\n",
        "",
        (f"{_BOOK}::test_who_reaches_nobody_forgets_nobody",),
    ),
    Mutation(
        "what never answers is forgotten",
        ADDRESS_BOOK,
        "        if entry.failures >= (PROVEN_FAILURES_MAX if proven else UNPROVEN_FAILURES_MAX):",
        "        if False:",
        (f"{_BOOK}::test_what_never_answers_is_forgotten_what_once_did_much_later",),
    ),
    Mutation(
        "while peers are few nothing waits long",
        ADDRESS_BOOK,
        "entry.tried_at + min(entry.delay_s, wait_max_s)",
        "entry.tried_at + entry.delay_s",
        (f"{_BOOK}::test_what_fails_waits_longer_and_longer_but_five_seconds_while_peers_are_few",),
    ),
    Mutation(
        "who is connected is not dialled",
        ADDRESS_BOOK,
        "                    address.peer_id in besides\n                    or ",
        "                    ",
        (f"{_BOOK}::test_what_worked_is_dialled_first_and_what_held_before_what_did_not",),
    ),
    Mutation(
        "hearsay does not outlive a restart",
        ADDRESS_BOOK,
        "        if entry.is_vouched:\n            self._change(address)\n",
        "        self._change(address)\n",
        (f"{_KEPT}::test_hearsay_is_kept_once_the_node_says_it_or_it_worked",),
    ),
    Mutation(
        "a node's own word is as good after a restart",
        ADDRESS_BOOK,
        "_Entry(Origin.AUTHOR, addr.last_success_ns",
        "_Entry(Origin.HEARSAY, addr.last_success_ns",
        (f"{_KEPT}::test_what_was_kept_is_as_good_as_before",),
    ),
    Mutation(
        "who was kept is judged anew",
        ADDRESS_BOOK,
        "if isinstance(judged, Refusal) or of_peer[peer] > PEER_ADDRS_MAX:",
        "if of_peer[peer] > PEER_ADDRS_MAX:",
        (f"{_KEPT}::test_what_was_kept_comes_back_and_is_judged_anew",),
    ),
)

DIALS = (
    Mutation(
        "a place is dialled once a second",
        DIALLING,
        "        await trio.sleep_until(turn_at)\n",
        "        await trio.lowlevel.checkpoint()\n",
        (f"{_DISCOVERY}::test_a_seed_s_place_under_other_names_is_not_dialled_more_often",),
    ),
    Mutation(
        "enough peers are enough",
        DISCOVERY,
        "return self._choose(company, frozenset()) if open_places > 0 else None",
        "return self._choose(company, frozenset())",
        (f"{_DISCOVERY}::test_nodes_that_were_heard_of_are_dialled_until_there_are_enough",),
    ),
    Mutation(
        "one dial a second in all",
        "meshnode/services/beat.py",
        "due_at = trio.current_time() + pause_s",
        "due_at = trio.current_time() + 0.3 * pause_s",
        (f"{_DISCOVERY}::test_a_seed_s_place_under_other_names_is_not_dialled_more_often", _POISON),
    ),
    Mutation(
        "trimming is no loss",
        CONNECTIONS,
        "        if not (wanted or looked_back):\n",
        "        if not looked_back:\n",
        (f"{_DISCOVERY}::test_too_many_nodes_are_trimmed_after_a_visit_and_none_is_a_loss",),
    ),
    Mutation(
        "a visit lasts a while",
        CONNECTIONS,
        "if self._since.get(peer, before) <= before]",
        "if True]",
        (f"{_DISCOVERY}::test_too_many_nodes_are_trimmed_after_a_visit_and_none_is_a_loss",),
    ),
    Mutation(
        "hearsay proves nothing",
        CONNECTIONS,
        " if self._addresses.is_vouched(one)]",
        "]",
        (
            f"{_DISCOVERY}"
            "::test_a_suspect_is_dialled_where_it_said_it_is_and_hearsay_proves_nothing",
        ),
    ),
)

DISTANCES = (
    Mutation(
        "what is not said again expires",
        HOPS,
        " and now < until",
        "",
        (f"{_HOPS}::test_what_is_not_said_again_expires",),
    ),
    Mutation(
        "a way through the asker is none",
        HOPS,
        "if neighbour != asker and ",
        "if ",
        (f"{_HOPS}::test_a_way_through_the_asker_is_none_to_it",),
    ),
    Mutation(
        "distances end",
        HOPS,
        "if hops is not None and 0 <= hops < HOPS_MAX",
        "if hops is not None",
        (f"{_HOPS}::test_distances_end_at_the_bound_and_nonsense_is_not_believed",),
    ),
    Mutation(
        "neighbours are asked one by one",
        ROUNDS,
        "max(self._last_at, first_at) + apart_s",
        "now + whole_s",
        ("tests/core/test_rounds.py::test_neighbours_met_together_are_asked_one_by_one",),
    ),
    Mutation(
        "the asker is known to the answer",
        ANSWER,
        "self._status.reply(request.keys, asker=frames.stream.peer_id)",
        "self._status.reply(request.keys)",
        (f"{_TOPOLOGY}::test_a_neighbour_is_not_told_its_own_distance_as_ours",),
    ),
    Mutation(
        "another network's node is sent away",
        TOPOLOGY,
        'if reply["network"] != self._network:',
        "if False:",
        (f"{_TOPOLOGY}::test_who_is_of_another_network_is_sent_away_and_forgotten",),
    ),
    Mutation(
        "who gives another's name is not believed",
        TOPOLOGY,
        'if reply["node_id"] != peer:',
        "if False:",
        (f"{_TOPOLOGY}::test_who_gives_another_s_name_or_nonsense_is_not_believed",),
    ),
    Mutation(
        "a page of a neighbour's peers is read",
        TOPOLOGY,
        '(reply["peers"] or ())[:PEERS_READ_MAX]',
        '(reply["peers"] or ())',
        (f"{_TOPOLOGY}::test_of_a_neighbour_s_peers_a_page_is_read",),
    ),
)

MEMORY = (
    Mutation(
        "acquaintances are bounded",
        ACQUAINTANCES,
        "        if len(self._last_seen_ns) > self._nodes_max:",
        "        if False:",
        (_ACQUAINTANCES,),
    ),
    Mutation(
        "a return is no discovery",
        REMEMBER,
        "        recall(self._acquaintances, self._presence.providers, author, now_ns)\n",
        "",
        (f"{_REMEMBER}::test_a_provider_that_presence_forgot_returns_and_is_no_discovery",),
    ),
    Mutation(
        "many changes do not wait for the next commit",
        REMEMBER,
        "if self._acquaintances.changes + self._addresses.changes >= CHANGES_MAX:",
        "if False:",
        (f"{_REMEMBER}::test_no_flood_of_changes_waits_for_a_disk_that_hangs",),
    ),
    Mutation(
        "a store begun anew is told everything",
        REMEMBER,
        "if everything or self._store.generation != self._generation:",
        "if everything:",
        (f"{_REMEMBER}::test_a_store_that_was_begun_anew_is_told_everything_again",),
    ),
    Mutation(
        "rows of others have a checksum",
        "meshnode/adapters/storage/acquaintances.py",
        "if len(author) != KEY_BYTES or _node_checksum(author, last_seen_ns) != checksum:",
        "if len(author) != KEY_BYTES:",
        ("tests/adapters/storage/test_acquaintances.py",),
    ),
)

MUTATIONS = (*RULES, *BOOK, *DIALS, *DISTANCES, *MEMORY)
