"""What stands between the open internet and the library: handshakes, places, streams, frames."""

from tests.mutation.mutation import Mutation

_PACKAGE = "meshnode/adapters/libp2p"
CONNECTIONS = f"{_PACKAGE}/connections.py"
FRAME_GUARD = f"{_PACKAGE}/frame_guard.py"
GUARDS = f"{_PACKAGE}/guards.py"
HALF_OPEN = f"{_PACKAGE}/half_open.py"
HOST = f"{_PACKAGE}/host.py"
IDENTIFY = f"{_PACKAGE}/identify.py"
LISTENER = f"{_PACKAGE}/listener.py"
NEGOTIATION = f"{_PACKAGE}/negotiation.py"
STREAMS = f"{_PACKAGE}/streams.py"
SWARM = f"{_PACKAGE}/swarm.py"
WAKER = "meshnode/adapters/waker.py"

_TESTS = "tests/adapters/libp2p"
_EDGES = f"{_TESTS}/test_edges.py"
_FRAME_GUARD = f"{_TESTS}/test_frame_guard.py"
_HALF_OPEN = f"{_TESTS}/test_half_open.py"
_HOST = f"{_TESTS}/test_host.py"
_IDENTIFY = f"{_TESTS}/test_identify.py"
_LISTENER = f"{_TESTS}/test_listener.py"
_NEGOTIATION = f"{_TESTS}/test_negotiation.py"
_PLACES = f"{_TESTS}/test_places.py"
_MESH = "tests/contract/test_mesh_contract.py"
_WAKER = "tests/adapters/test_waker.py"
_NOBODY_SENDS = (f"{_FRAME_GUARD}::test_what_nobody_sends_does_not",)

LISTENING = (
    Mutation(
        "connections are taken by the batch",
        LISTENER,
        "if len(self._taken) >= ACCEPT_BATCH_MAX:",
        "if self._taken:",
        (f"{_LISTENER}::test_a_batch_is_taken_in_one_turn_of_the_loop",),
    ),
    Mutation(
        "a batch of connections is bounded",
        LISTENER,
        "if len(self._taken) >= ACCEPT_BATCH_MAX:",
        "if False:",
        (f"{_LISTENER}::test_a_batch_is_taken_in_one_turn_of_the_loop",),
    ),
    Mutation(
        "nobody waits for who has hung up",
        LISTENER,
        "if has_hung_up(connection):",
        "if False:",
        (f"{_LISTENER}::test_nobody_waits_for_those_who_have_hung_up",),
    ),
)

HANDSHAKES = (
    Mutation(
        "a handshake has a deadline",
        HALF_OPEN,
        "trio.CancelScope(deadline=trio.current_time() + self._deadline_s)",
        "trio.CancelScope()",
        (f"{_HALF_OPEN}::test_a_place_has_a_deadline",),
    ),
    Mutation(
        "places for handshakes are bounded",
        HALF_OPEN,
        "if len(self._places) >= self._places_max:",
        "if False:",
        (f"{_HALF_OPEN}::test_the_oldest_of_who_holds_most_makes_room",),
    ),
    Mutation(
        "a network's owner displaces itself",
        HALF_OPEN,
        "self._places[scope] = owner_of(ip), handshake",
        "self._places[scope] = ip, handshake",
        (f"{_HALF_OPEN}::test_who_has_a_whole_network_displaces_itself",),
    ),
    Mutation(
        "who shakes hands is told from who is silent",
        HALF_OPEN,
        "for scope, said in theirs if not said.has_begun)",
        "for scope, said in theirs)",
        (f"{_HALF_OPEN}::test_who_has_said_something_is_not_displaced_by_the_silent",),
    ),
    Mutation(
        "a handshake has few bytes",
        HALF_OPEN,
        "        self._left -= len(data)\n",
        "",
        (f"{_HALF_OPEN}::test_a_handshake_has_few_bytes",),
    ),
    Mutation(
        "a line of the negotiation is short",
        NEGOTIATION,
        "read_varint_prefixed_bytes_limited(self.read_writer, LINE_BYTES_MAX)",
        "read_varint_prefixed_bytes_limited(self.read_writer, 2**30)",
        (_NEGOTIATION,),
    ),
    Mutation(
        "lines of the negotiation are few",
        NEGOTIATION,
        "if self._lines > LINES_MAX:",
        "if False:",
        (f"{_NEGOTIATION}::test_nobody_tries_for_ever",),
    ),
    Mutation(
        "garbage in a handshake is counted",
        SWARM,
        "except Exception:  # noqa: BLE001 - the edge: what a stranger's bytes can raise",
        "except KeyError:  # noqa: BLE001 - the edge: what a stranger's bytes can raise",
        (f"{_EDGES}::test_a_handshake_that_is_none_is_counted",),
    ),
)

PLACES = (
    Mutation(
        "connections of a peer are few",
        SWARM,
        "if len(same) + self._joining[peer] >= CONNECTIONS_PER_PEER_MAX:",
        "if False:",
        (f"{_PLACES}::test_a_peer_has_few_connections",),
    ),
    Mutation(
        "connections of all are bounded",
        SWARM,
        "if len(connections) + self._joining.total() < self._peers_max:",
        "if True:",
        (f"{_PLACES}::test_a_newcomer_is_refused_where_everybody_is_new",),
    ),
    Mutation(
        "who brings nothing makes room",
        SWARM,
        "self.manager.run_task(self.close_connection, conn)\n                return True",
        "return False",
        (f"{_PLACES}::test_who_brings_nothing_makes_room_for_a_newcomer",),
    ),
    Mutation(
        "a place comes back",
        SWARM,
        "            del self._inbound[conn]\n",
        "            pass\n",
        (f"{_EDGES}::test_of_a_connection_that_ended_no_place_is_kept",),
    ),
    Mutation(
        "who misbehaved is not let in",
        SWARM,
        "        if self._conduct.kept_out_s(peer):\n",
        "        if False:\n",
        (f"{_PLACES}::test_who_misbehaved_is_not_let_in_again",),
    ),
    Mutation(
        "who misbehaved is not dialled",
        HOST,
        "if kept_out_s := self._conduct.kept_out_s(peer):",
        "if kept_out_s := 0:",
        (f"{_PLACES}::test_who_misbehaved_is_not_dialled",),
    ),
    Mutation(
        "nobody is dialled on anybody's word",
        SWARM,
        '            raise SwarmException(f"not connected to {peer_id}")\n',
        "            return list(await super().dial_peer(peer_id))\n",
        (f"{_PLACES}::test_nobody_is_dialled_on_anybodys_word",),
    ),
    Mutation(
        "a node that is cancelled leaves like any other",
        HOST,
        "with trio.CancelScope(shield=True) as lifetime:",
        "with trio.CancelScope() as lifetime:",
        (f"{_MESH}::test_a_cancelled_node_leaves_like_any_other", _HOST),
    ),
    Mutation(
        "what we said last is read before we go",
        HOST,
        "                    await pubsub.depart()\n",
        "                    pass\n",
        (f"{_EDGES}::test_who_leaves_in_the_middle_of_its_words_is_heard_to_the_end",),
    ),
    Mutation(
        "a port is not shared",
        HOST,
        "                await check_free(addr)\n",
        "                pass\n",
        (f"{_HOST}::test_a_port_is_not_shared",),
    ),
    Mutation(
        "events of connections are bounded",
        CONNECTIONS,
        "if peer not in self._pending and len(self._pending) >= self._events_max:",
        "if False:",
        (f"{_TESTS}/test_connections.py",),
    ),
)

STREAM_GUARDS = (
    Mutation(
        "streams of a peer are few",
        GUARDS,
        "if self._open[peer] >= self._streams_max:",
        "if False:",
        (
            f"{_HOST}::test_streams_of_one_peer_are_capped_in_negotiation_already",
            f"{_MESH}::test_a_peer_has_few_streams_at_a_time",
        ),
    ),
    Mutation(
        "a stream's slot comes back",
        GUARDS,
        "        self._open[peer] -= 1\n",
        "",
        (f"{_MESH}::test_a_peer_has_few_streams_at_a_time", _HOST),
    ),
    Mutation(
        "an exception of a handler is told of",
        STREAMS,
        "except Exception as error:  # noqa: BLE001",
        "except KeyError as error:  # noqa: BLE001",
        (f"{_EDGES}::test_an_exception_of_a_handler_is_told_of_by_its_protocol",),
    ),
    Mutation(
        "a stream that its peer never closes goes",
        GUARDS,
        "            await settle(stream)\n",
        "",
        (f"{_IDENTIFY}::test_streams_that_a_peer_never_closes_do_not_pile_up",),
    ),
    Mutation(
        "who does not say what it is goes",
        IDENTIFY,
        "if not answered and network.get_connections(peer_id):",
        "if False:",
        (f"{_IDENTIFY}::test_who_does_not_say_what_it_is_is_disconnected",),
    ),
    Mutation(
        "few addresses are believed",
        IDENTIFY,
        "told = said.listen_addrs[:ADDRS_MAX]",
        "told = said.listen_addrs",
        (f"{_IDENTIFY}::test_few_addresses_are_believed",),
    ),
    Mutation(
        "nobody says again and again what it is",
        IDENTIFY,
        "        self.multiselect.remove_handler(IDENTIFY_PUSH)\n",
        "",
        (f"{_IDENTIFY}::test_nobody_pushes_its_identity_again_and_again",),
    ),
    Mutation(
        "pings are answered at a pace",
        IDENTIFY,
        "            await trio.sleep(pace.spend(1, trio.current_time()))\n",
        "",
        (f"{_IDENTIFY}::test_pings_are_answered_at_a_pace",),
    ),
    Mutation(
        "two tasks don't wait for one thing",
        WAKER,
        "        if self._task is not None:\n            raise",
        "        if False:\n            raise",
        (f"{_WAKER}::test_there_is_one_place",),
    ),
    Mutation(
        "who is cancelled waits no more",
        WAKER,
        "        self._task = None\n        return",
        "        return",
        (f"{_WAKER}::test_who_is_cancelled_leaves_the_place_to_the_next",),
    ),
    Mutation(
        "a ping that nobody answers is given up",
        HOST,
        "with suppress(BaseLibp2pError), trio.move_on_after(PING_TIMEOUT_S):",
        "with suppress(BaseLibp2pError):",
        (f"{_HOST}::test_a_ping_that_nobody_answers_is_given_up",),
    ),
    Mutation(
        "a ping is not waited for without end",
        IDENTIFY,
        "with trio.fail_after(PING_IDLE_S):",
        "with trio.CancelScope():",
        (f"{_IDENTIFY}::test_nobody_waits_for_a_ping_that_does_not_come",),
    ),
)

MUXER = (
    Mutation(
        "yamux: version, type and flags",
        FRAME_GUARD,
        "if version != 0 or kind not in TYPES or flags & ~FLAGS:",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: sessions and streams",
        FRAME_GUARD,
        "if (kind in (TYPE_PING, TYPE_GO_AWAY)) != (stream_id == 0):",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: pings",
        FRAME_GUARD,
        "if not self._pings.try_spend(1, now):",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: windows end somewhere",
        FRAME_GUARD,
        "if window + length > WINDOW_MAX:",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: who opens which stream",
        FRAME_GUARD,
        "if stream_id % 2 != self._parity or stream is not None or stream_id in self._fed:",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: streams that nobody closed",
        FRAME_GUARD,
        "if len(self._streams) >= STREAMS_PER_CONNECTION_MAX:",
        "if False:",
        (f"{_FRAME_GUARD}::test_too_many_streams_that_nobody_closed",),
    ),
    Mutation(
        "yamux: a flood of streams",
        FRAME_GUARD,
        "if not self._opened.try_spend(1, now):",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: data without a stream",
        FRAME_GUARD,
        "if is_stray and not self._stray_bytes.try_spend(length, now):",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: the window granted",
        FRAME_GUARD,
        "if length > window:",
        "if False:",
        _NOBODY_SENDS,
    ),
    Mutation(
        "yamux: what nobody reads",
        FRAME_GUARD,
        "if sum(map(len, self._unread.values())) > UNREAD_BYTES_MAX:",
        "if False:",
        (f"{_FRAME_GUARD}::test_too_much_that_nobody_reads",),
    ),
    Mutation(
        "yamux: a frame has a deadline",
        FRAME_GUARD,
        "with trio.CancelScope(deadline=self._guard.deadline) as scope:",
        "with trio.CancelScope() as scope:",
        (f"{_FRAME_GUARD}::test_a_frame_once_begun_has_a_deadline",),
    ),
    Mutation(
        "yamux: who breaks it is kept out",
        FRAME_GUARD,
        '            self._conduct.condemn(self._peer, "yamux", error)\n',
        "",
        (f"{_FRAME_GUARD}::test_who_sends_what_nobody_sends_is_kept_out",),
    ),
)

MUTATIONS = (*LISTENING, *HANDSHAKES, *PLACES, *STREAM_GUARDS, *MUXER)
