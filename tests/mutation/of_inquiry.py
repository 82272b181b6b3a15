"""Who is asked about a suspect, in which order, and how often."""

from tests.mutation.mutation import Mutation

INQUIRY = "meshnode/services/inquiry.py"

_INQUIRY = "tests/services/test_inquiry.py"
_BREAKS_FIRST = f"{_INQUIRY}::test_whose_connection_breaks_is_dialled_before_names_that_fall_silent"
_FOUND_AND_LOST = (
    f"{_INQUIRY}::test_who_was_found_and_is_lost_again_is_dialled_and_asked_about_again"
)

MUTATIONS = (
    Mutation(
        "a suspect is dialled once more",
        INQUIRY,
        "            self._presence.dial_refused(suspect)\n",
        "            pass\n",
        (f"{_INQUIRY}::test_a_refused_dial_and_a_peer_that_agrees_take_less_than_a_second",),
    ),
    Mutation(
        "who was found and is lost again is dialled again",
        INQUIRY,
        "return dialled_at is None or self._presence.suspect_since(suspect) > dialled_at",
        "return dialled_at is None",
        (_FOUND_AND_LOST,),
    ),
    Mutation(
        "who was found and is lost again is asked about at once",
        "meshnode/services/presence.py",
        "        if self.suspect_since(peer_id) >= now:\n",
        "        if self.suspect_since(peer_id) > now:\n",
        (_FOUND_AND_LOST,),
    ),
    Mutation(
        "who comes and goes is dialled behind the others",
        INQUIRY,
        "return min(due, key=lambda peer: self._dialled.get(peer, -math.inf), default=None)",
        "return next(iter(due), None)",
        (f"{_INQUIRY}::test_who_comes_and_goes_is_dialled_behind_those_that_were_not",),
    ),
    Mutation(
        "what was found before a break is no word on it",
        "meshnode/core/doubts.py",
        "Suspicion(now, broken=True, heard_at=record.suspicion.heard_at)",
        "Suspicion(now, True, record.suspicion.refused, False, record.suspicion.verdicts)",
        (
            "tests/core/test_suspects.py::test_what_was_found_before_the_last_break_is_no_word_on_it",
        ),
    ),
    Mutation(
        "when others heard it is known after a break, too",
        "meshnode/core/doubts.py",
        "Suspicion(now, broken=True, heard_at=record.suspicion.heard_at)",
        "Suspicion(now, broken=True)",
        (
            "tests/core/test_suspects.py"
            "::test_when_others_heard_it_last_is_known_however_often_its_connection_breaks",
        ),
    ),
    Mutation(
        "a peer is asked no oftener than it answers",
        INQUIRY,
        "            if _lately(self._asked_at.get(peer), now) < requests_max\n",
        "",
        (f"{_INQUIRY}::test_five_peers_are_asked_each_within_what_it_answers",),
    ),
    Mutation(
        "who was connected to the suspect is asked first",
        INQUIRY,
        "is_far = self._peers_of(peer).isdisjoint(suspects)",
        "is_far = False",
        (f"{_INQUIRY}::test_who_was_connected_to_the_suspect_is_asked_first",),
    ),
    Mutation(
        "one place is for whose turn it is",
        INQUIRY,
        "[: peers_asked - 1]\n",
        "[:peers_asked]\n        in_turn = []\n",
        (f"{_INQUIRY}::test_who_says_that_it_was_near_keeps_nobody_from_being_asked",),
    ),
    Mutation(
        "also if it was asked a while ago",
        INQUIRY,
        "return now - self._last_asked(peer) < SAME_AGAIN_S, is_far",
        "return self._last_asked(peer) > 0, is_far",
        (f"{_INQUIRY}::test_who_was_connected_to_the_suspect_is_asked_first",),
    ),
    Mutation(
        "dials of suspects are bounded",
        INQUIRY,
        "trio.Semaphore(DIALS_MAX)",
        "trio.Semaphore(1_000)",
        (f"{_INQUIRY}::test_dials_that_are_not_over_are_bounded",),
    ),
    Mutation(
        "who has not answered yet is not asked again",
        INQUIRY,
        "for p in others if p not in self._asking]",
        "for p in others]",
        (f"{_INQUIRY}::test_who_has_not_answered_yet_is_not_asked_again",),
    ),
    Mutation(
        "a question is kept for whoever's connection breaks",
        INQUIRY,
        "REQUESTS_ON_SILENCE_MAX = REQUESTS_MAX - 1\n",
        "REQUESTS_ON_SILENCE_MAX = REQUESTS_MAX\n",
        (_BREAKS_FIRST,),
    ),
    Mutation(
        "whose connection breaks comes before those who fall silent",
        "meshnode/core/doubts.py",
        "key=lambda r: not r.is_broken_off",
        "key=lambda r: r.is_broken_off",
        (_BREAKS_FIRST,),
    ),
    Mutation(
        "who is no node is not asked about others",
        INQUIRY,
        "if p not in suspects and self._is_node(p)",
        "if p not in suspects",
        (f"{_INQUIRY}::test_who_is_no_node_is_not_asked",),
    ),
)
