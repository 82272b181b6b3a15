"""What stands before the router: RPCs, messages, and what is held against their senders."""

from tests.mutation.mutation import Mutation

_PACKAGE = "meshnode/adapters/libp2p"
BANS = f"{_PACKAGE}/bans.py"
BUDGET = f"{_PACKAGE}/budget.py"
CONDUCT = f"{_PACKAGE}/conduct.py"
CONTROL = f"{_PACKAGE}/control.py"
FRAMES = f"{_PACKAGE}/frames.py"
PUBSUB = f"{_PACKAGE}/pubsub.py"
ROUTER = f"{_PACKAGE}/router.py"
SEEN = f"{_PACKAGE}/seen.py"

_TESTS = "tests/adapters/libp2p"
_BANS = f"{_TESTS}/test_bans.py"
_BUDGET = f"{_TESTS}/test_budget.py"
_CONDUCT = f"{_TESTS}/test_conduct.py"
_CONTROL = f"{_TESTS}/test_control.py"
_FRAMES = f"{_TESTS}/test_frames.py"
_GOSSIP = f"{_TESTS}/test_gossip.py"
_HOSTILE = f"{_TESTS}/test_hostile_gossip.py"
_PLACES = f"{_TESTS}/test_places.py"
_SEEN = f"{_TESTS}/test_seen.py"
_SUBSCRIPTIONS = f"{_TESTS}/test_subscriptions.py"

SUBSCRIPTIONS = (
    Mutation(
        "a subscription starts no task",
        PUBSUB,
        "await self._note_subscription(peer, subscription)",
        "self.handle_subscription(peer, subscription)",
        (f"{_SUBSCRIPTIONS}::test_a_burst_of_subscriptions_starts_no_tasks",),
    ),
    Mutation(
        "nobody works for who is gone",
        PUBSUB,
        "            await muxed.event_closed.wait()\n            raise StreamEOF\n",
        "            await trio.sleep_forever()\n",
        (f"{_SUBSCRIPTIONS}::test_for_who_is_gone_nothing_more_is_worked_off",),
    ),
    Mutation(
        "who is gone does not subscribe",
        PUBSUB,
        "if not self.host.get_network().get_connections(peer):",
        "if False:",
        (f"{_SUBSCRIPTIONS}::test_who_is_gone_does_not_subscribe",),
    ),
)

RPCS = (
    Mutation(
        "an RPC has a size",
        FRAMES,
        "if length > RPC_BYTES_MAX:",
        "if False:",
        (f"{_FRAMES}::test_a_length_beyond_the_limit_is_refused_unread",),
    ),
    Mutation(
        "an RPC's length ends",
        FRAMES,
        "if len(received) >= LENGTH_BYTES_MAX:",
        "if False:",
        (f"{_FRAMES}::test_a_length_beyond_the_limit_is_refused_unread",),
    ),
    Mutation(
        "an RPC once begun has a deadline",
        FRAMES,
        "with trio.fail_after(RPC_DEADLINE_S):",
        "with trio.CancelScope():",
        (f"{_FRAMES}::test_a_frame_once_begun_has_a_deadline",),
    ),
    Mutation(
        "an RPC holds so many of a kind",
        CONTROL,
        "    if count > most:\n",
        "    if False:\n",
        (f"{_CONTROL}::test_too_many_of_a_kind_are_refused",),
    ),
    Mutation(
        "an RPC is counted",
        PUBSUB,
        "            check_counts(rpc)\n",
        "",
        (f"{_HOSTILE}::test_who_does_not_speak_the_protocol_is_disconnected",),
    ),
    Mutation(
        "control messages are reduced",
        PUBSUB,
        "            bound_control(rpc.control, self.allowed_topics)\n",
        "",
        (
            f"{_HOSTILE}::test_control_messages_about_other_things_leave_no_trace",
            f"{_HOSTILE}::test_a_topic_that_is_no_text_is_passed_over",
        ),
    ),
    Mutation(
        "an id is worked on once",
        CONTROL,
        "[i for i in ids if i not in known][: MESSAGE_IDS_PER_RPC_MAX - len(known)]",
        "[i for i in request.messageIDs if len(i) == MESSAGE_ID_BYTES]",
        (
            f"{_CONTROL}::test_an_id_is_worked_on_once_however_often_it_is_named",
            f"{_CONTROL}::test_ids_are_bounded_and_of_the_right_length",
        ),
    ),
    Mutation(
        "a peer is told of a message once",
        ROUTER,
        "new = [i for i in ids if i not in known]",
        "new = ids",
        (f"{_TESTS}/test_router.py::test_a_peer_is_told_of_a_message_once",),
    ),
    Mutation(
        "of a list of ids, what is left is what is worked on",
        CONTROL,
        "if len(fresh) < len(named):",
        "if False:",
        (
            f"{_CONTROL}::test_an_id_is_worked_on_once_however_often_it_is_named",
            f"{_CONTROL}::test_ids_are_bounded_and_of_the_right_length",
        ),
    ),
    Mutation(
        "a PRUNE recommends nobody",
        CONTROL,
        "        del prune.peers[:]\n",
        "        pass\n",
        (f"{_CONTROL}::test_nobody_is_dialled_on_a_strangers_word",),
    ),
    Mutation(
        "control is about our topics",
        CONTROL,
        "[entry for entry in entries if entry.topicID in topics]",
        "list(entries)",
        (f"{_CONTROL}::test_only_our_topics_are_kept",),
    ),
    Mutation(
        "an exception while reading ends its connection only",
        PUBSUB,
        "except Exception as error:  # noqa: BLE001",
        "except KeyError as error:  # noqa: BLE001",
        (f"{_HOSTILE}::test_who_does_not_speak_the_protocol_is_disconnected",),
    ),
    Mutation(
        "gossip: a message is signed",
        PUBSUB,
        "if forwarder != self.my_id and not self._is_signed(",
        "if False and not self._is_signed(",
        (
            f"{_HOSTILE}::test_malformed_and_forged_messages_are_rejected",
            f"{_HOSTILE}::test_a_forgery_does_not_block_the_original",
        ),
    ),
    Mutation(
        "gossip: a sequence number has 8 bytes",
        PUBSUB,
        "if len(msg.seqno) != SEQNO_BYTES:",
        "if False:",
        (f"{_HOSTILE}::test_malformed_and_forged_messages_are_rejected",),
    ),
    Mutation(
        "gossip: exactly one topic of ours",
        PUBSUB,
        "if len(msg.topicIDs) != 1 or msg.topicIDs[0] not in self._intake.topics:",
        "if msg.topicIDs[0] not in self._intake.topics:",
        (f"{_HOSTILE}::test_malformed_and_forged_messages_are_rejected",),
    ),
    Mutation(
        "gossip: no key but the author's",
        PUBSUB,
        'if msg.key not in (b"", msg.from_id[2:]):',
        "if False:",
        (f"{_HOSTILE}::test_malformed_and_forged_messages_are_rejected",),
    ),
    Mutation(
        "gossip: nothing is carried on that nobody knows",
        PUBSUB,
        "        msg.DiscardUnknownFields()\n",
        "",
        (f"{_HOSTILE}::test_unknown_fields_are_not_carried_on",),
    ),
    Mutation(
        "gossip: a copy is not news",
        PUBSUB,
        "        if self.seen_messages.has(message_id):\n            return None\n",
        "",
        (f"{_HOSTILE}::test_a_copy_is_not_news",),
    ),
    Mutation(
        "gossip: what is refused for a while may come again",
        PUBSUB,
        "isinstance(verdict, Ignored) and verdict.reason in FINAL",
        "isinstance(verdict, Ignored)",
        (f"{_GOSSIP}::test_what_is_early_may_come_again_but_what_is_late_is_judged_once",),
    ),
    Mutation(
        "gossip: accepted messages that wait are bounded",
        PUBSUB,
        """\
        if self._intake.is_full():
            return self._intake.count(Ignored(Reason.BUSY))
""",
        "",
        (f"{_GOSSIP}::test_a_full_node_refuses_and_takes_it_later",),
    ),
    Mutation(
        "gossip: what was seen is forgotten in time",
        SEEN,
        "return expiry is not None and trio.current_time() < expiry[0]",
        "return expiry is not None",
        (f"{_SEEN}::test_an_id_is_known_until_its_time_is_over",),
    ),
    Mutation(
        "gossip: what was seen is bounded",
        SEEN,
        "while len(self._expiry) > self._ids_max or ",
        "while ",
        (f"{_SEEN}::test_beyond_the_bound_the_oldest_goes",),
    ),
    Mutation(
        "gossip: what is sent again has a budget",
        ROUTER,
        "if not served.try_spend(length, trio.current_time()):",
        "if False:",
        (f"{_PLACES}::test_recent_messages_are_sent_again_within_a_budget",),
    ),
)

BLAME = (
    Mutation(
        "who passes on rubbish goes",
        PUBSUB,
        "                blame = REJECTED_BLAME\n",
        "                blame = 0.0\n",
        (f"{_HOSTILE}::test_who_passes_on_too_much_rubbish_is_disconnected",),
    ),
    Mutation(
        "who says the same for ever goes",
        PUBSUB,
        "                    blame = REPEATED_BLAME\n",
        "                    blame = 0.0\n",
        (f"{_PLACES}::test_who_says_the_same_for_ever_is_disconnected",),
    ),
    Mutation(
        "copies of what others sent blame nobody",
        PUBSUB,
        "if self.seen_messages.sender(msg.from_id + msg.seqno) is peer:",
        "if True:",
        (f"{_PLACES}::test_an_honest_relay_is_not_blamed_for_copies",),
    ),
    Mutation(
        "our clock and our list blame nobody",
        CONDUCT,
        "return is_own or reason not in OWN_POLICY",
        "return True",
        (f"{_CONDUCT}::test_an_honest_relay_is_not_blamed_for_our_clock_or_our_list",),
    ),
    Mutation(
        "a flood is told of once in a while",
        CONDUCT,
        "if now - told_at < TELL_EVERY_S:",
        "if False:",
        (f"{_CONDUCT}::test_a_flood_is_told_of_once_in_a_while",),
    ),
    Mutation(
        "a ban lasts longer each time",
        BANS,
        "length_s = min(2 * ban.length_s, BAN_MAX_S)",
        "length_s = ban.length_s",
        (f"{_BANS}::test_each_lasts_twice_as_long_as_the_last_up_to_a_bound",),
    ),
    Mutation(
        "bans are bounded",
        BANS,
        "if len(self._bans) > self._bans_max:",
        "if False:",
        (f"{_BANS}::test_the_list_is_bounded",),
    ),
    Mutation(
        "budgets of peers are bounded",
        BUDGET,
        "if len(self._budgets) > self._peers_max:",
        "if False:",
        (f"{_BUDGET}::test_a_budget_outlives_its_connection_and_memory_is_bounded",),
    ),
    Mutation(
        "saved tokens are bounded",
        BUDGET,
        "self._tokens = min(self._burst, self._tokens + earned)",
        "self._tokens += earned",
        (f"{_BUDGET}::test_saved_tokens_have_a_bound",),
    ),
)

MUTATIONS = (*SUBSCRIPTIONS, *RPCS, *BLAME)
