"""What may be asked of a node, how often, and for how long; and what it believes of an answer."""

from tests.mutation.mutation import Mutation

RATELIMIT = "meshnode/core/ratelimit.py"
ANSWER = "meshnode/services/answer.py"
ASK = "meshnode/services/ask.py"
CATCHUP = "meshnode/services/catchup.py"
FEED = "meshnode/services/feed.py"
WATCH = "meshnode/services/watch.py"

_LIMITS = "tests/core/test_ratelimit.py"
_ANSWER = "tests/services/test_answer.py"
_ASK = "tests/services/test_ask.py"
_CATCHUP = "tests/services/test_catchup.py"
_WATCH = "tests/services/test_watch.py"

LIMITS = (
    Mutation(
        "requests of a peer",
        RATELIMIT,
        "            or (len(asker.asked) >= REQUESTS_PER_PEER_MAX and not is_page)\n",
        "",
        (f"{_LIMITS}::test_five_requests_in_fifteen_seconds",),
    ),
    Mutation(
        "requests of all",
        RATELIMIT,
        "len(self._node) >= REQUESTS_PER_NODE_MAX_PER_S",
        "False",
        (f"{_LIMITS}::test_the_node_answers_fifty_a_second_pages_included",),
    ),
    Mutation(
        "bytes of all",
        RATELIMIT,
        "            or self._bytes_left <= 0\n",
        "",
        (f"{_LIMITS}::test_bytes_are_a_budget_that_fills_again",),
    ),
    Mutation(
        "rest earns no more than the burst",
        RATELIMIT,
        "min(REPLY_BYTES_BURST, self._bytes_left + earned)",
        "self._bytes_left + earned",
        (f"{_LIMITS}::test_rest_earns_no_more_than_the_burst",),
    ),
    Mutation(
        "pages of an answer",
        RATELIMIT,
        "asker.pages_left -= 1",
        "pass",
        (f"{_LIMITS}::test_the_pages_of_an_answer_are_free_up_to_their_number",),
    ),
    Mutation(
        "a cursor needs an answer before it",
        RATELIMIT,
        "is_page = follows_cursor and asker.pages_left > 0",
        "is_page = follows_cursor",
        (f"{_LIMITS}::test_a_cursor_without_an_answer_before_it_is_a_request",),
    ),
    Mutation(
        "askers that are remembered",
        RATELIMIT,
        "if len(self._askers) > PEERS_TRACKED_MAX:",
        "if False:",
        (f"{_LIMITS}::test_a_thousand_peers_are_remembered_the_latest",),
    ),
)

ANSWERS = (
    Mutation(
        "status is rate-limited",
        ANSWER,
        "        self._admit(frames)\n",
        "",
        (
            f"{_ANSWER}::test_who_asks_too_often_is_refused_for_a_while",
            "tests/node/test_stories.py::test_who_asks_too_often_is_told_so",
        ),
    ),
    Mutation(
        "prices are rate-limited",
        ANSWER,
        "        self._admit(frames, follows_cursor=request.cursor is not None)\n",
        "",
        (_ANSWER,),
    ),
    Mutation(
        "an answer has a deadline",
        ANSWER,
        "with trio.move_on_after(EXCHANGE_DEADLINE_S):",
        "with trio.CancelScope():",
        (f"{_ANSWER}::test_half_a_request_is_cut_off_after_five_seconds",),
    ),
    Mutation(
        "replies are paid for",
        ANSWER,
        "        self._limiter.replied(frames.bytes_sent, now)\n",
        "",
        (f"{_ANSWER}::test_replies_are_paid_for_in_bytes",),
    ),
    Mutation(
        "a request has a limit",
        ANSWER,
        "frames = Frames(stream, REQUEST_BYTES_MAX)",
        "frames = Frames(stream, 2**31)",
        (f"{_ANSWER}::test_what_cannot_be_asked_is_refused_with_its_code",),
    ),
    Mutation(
        "a page of prices has a limit",
        ANSWER,
        "            if room < 0:\n                break\n            page[asset]",
        "            page[asset]",
        (f"{_ANSWER}::test_five_thousand_prices_come_in_pages_none_missing_none_twice",),
    ),
    Mutation(
        "a page of proofs has a limit",
        ANSWER,
        "            if room < 0 and page:\n                break\n",
        "",
        (f"{_ANSWER}::test_a_page_with_its_envelopes_stays_within_its_bytes",),
    ),
    Mutation(
        "a status fits its frame",
        "protocols/status.py",
        "return pack_map(self.fitted().to_map(), self.bytes_max)",
        "return pack_map(self.to_map(), self.bytes_max)",
        (
            "tests/services/test_status.py"
            "::test_a_status_of_a_thousand_providers_fits_and_says_what_it_cut",
        ),
    ),
)

WATCHES = (
    Mutation(
        "watchers of a node",
        WATCH,
        "self._watchers.total() < WATCHERS_MAX",
        "True",
        (f"{_WATCH}::test_the_sixty_fifth_watcher_is_refused",),
    ),
    Mutation(
        "watchers of a peer",
        WATCH,
        "            and self._watchers[peer] < WATCHERS_PER_PEER_MAX\n",
        "",
        (f"{_WATCH}::test_a_peer_s_third_watcher_is_refused_until_one_goes",),
    ),
    Mutation(
        "watching is a request like any other",
        WATCH,
        "            and self._limiter.admit(peer, trio.current_time())\n",
        "",
        (f"{_WATCH}::test_watching_again_and_again_is_limited_like_any_request",),
    ),
    Mutation(
        "a watch has a deadline to be asked for",
        WATCH,
        "with trio.fail_after(EXCHANGE_DEADLINE_S):",
        "with trio.CancelScope():",
        (f"{_WATCH}::test_half_a_request_is_cut_off_after_five_seconds",),
    ),
    Mutation(
        "a watcher that takes nothing is cut off",
        WATCH,
        "with trio.fail_after(WRITE_DEADLINE_S):",
        "with trio.CancelScope():",
        (f"{_WATCH}::test_a_watcher_that_takes_nothing_is_cut_off_and_delays_nobody",),
    ),
    Mutation(
        "a watcher's slot comes back",
        WATCH,
        "            self._watchers[peer] -= 1\n",
        "",
        (f"{_WATCH}::test_a_peer_s_third_watcher_is_refused_until_one_goes",),
    ),
    Mutation(
        "a slow watcher's buffer is bounded",
        FEED,
        "if len(self._events) >= FEED_BUFFER_EVENTS_MAX:",
        "if False:",
        ("tests/services/test_feed.py",),
    ),
)

BELIEFS = (
    Mutation(
        "a page of envelopes has a limit, whatever the peer says",
        ASK,
        "frames.limit = min(ENVELOPE_BYTES_MAX, room)",
        "frames.limit = 2**31",
        (_ASK,),
    ),
    Mutation(
        "the pages of an answer end",
        ASK,
        """\
    cursor: str | None = None
    for _ in range(CURSOR_PAGES_MAX):
        request = PricesRequest(wanted, proofs=True, cursor=cursor)
""",
        """\
    cursor: str | None = None
    while True:
        request = PricesRequest(wanted, proofs=True, cursor=cursor)
""",
        (_ASK,),
    ),
    Mutation(
        "a peer that does not answer is given up",
        ASK,
        "with trio.move_on_after(EXCHANGE_DEADLINE_S):",
        "with trio.CancelScope():",
        (_ASK,),
    ),
    Mutation(
        "a node that says nothing is given up",
        ASK,
        "with trio.move_on_after(silence_max_s) as scope:",
        "with trio.CancelScope() as scope:",
        (_ASK,),
    ),
    Mutation(
        "what a peer holds is judged",
        CATCHUP,
        "                        case _:\n                            refused += 1\n",
        """\
                        case _:
                            refused += 1
                            from protocols.envelope import open_envelope

                            self._intake.take_held(open_envelope(raw))
""",
        (f"{_CATCHUP}::test_what_must_not_be_believed_is_counted_and_never_served",),
    ),
    Mutation(
        "few peers are asked",
        CATCHUP,
        "if self._answers < PEERS_ASKED and not await self._ask(peer):",
        "if not await self._ask(peer):",
        (f"{_CATCHUP}::test_so_many_peers_are_asked_and_again_after_bob_was_alone",),
    ),
    Mutation(
        "a peer that answers rubbish is no exception of ours",
        CATCHUP,
        "except (PeerUnreachable, StreamBroken, QueryRefused, ProtocolError) as error:",
        "except (PeerUnreachable, StreamBroken, QueryRefused) as error:",
        (f"{_CATCHUP}::test_a_peer_that_answers_rubbish_is_a_failure_not_an_exception",),
    ),
    Mutation(
        "a frozen peer is noticed",
        "meshnode/services/pings.py",
        "            self._silent(pinged.peer)\n",
        "",
        (
            "tests/services/test_connections.py"
            "::test_a_peer_is_pinged_and_one_that_does_not_answer_is_dropped",
        ),
    ),
    Mutation(
        "records of connections are bounded",
        "meshnode/core/link_table.py",
        "if len(self._links) > LINKS_MAX:",
        "if False:",
        ("tests/services/test_connections.py::test_askers_are_no_links_and_records_are_bounded",),
    ),
)

MUTATIONS = (*LIMITS, *ANSWERS, *WATCHES, *BELIEFS)
