"""Flow: what a peer was granted, who waits for whom, and for how long."""

from tests.mutation.mutation import Mutation

ADAPTER = "meshnode/adapters/libp2p"
FRAMES, GOSSIP, SENDING = f"{ADAPTER}/frames.py", f"{ADAPTER}/gossip.py", f"{ADAPTER}/sending.py"
NOISE, PUBSUB, YAMUX = f"{ADAPTER}/noise_io.py", f"{ADAPTER}/pubsub.py", f"{ADAPTER}/yamux_io.py"
STREAM = f"{ADAPTER}/yamux_stream.py"

_FRAMES = "tests/adapters/libp2p/test_frames.py"
_NOISE = "tests/adapters/libp2p/test_noise_io.py"
_SENDING = "tests/adapters/libp2p/test_sending.py"
_YAMUX = "tests/adapters/libp2p/test_yamux_io.py"

MUTATIONS = (
    Mutation(
        "yamux: no more than was granted is taken",
        YAMUX,
        "if length > stream.recv_window:",
        "if False:",
        (f"{_YAMUX}::test_who_sends_more_than_was_granted_is_cut_off",),
    ),
    Mutation(
        "yamux: what was taken is accounted for",
        YAMUX,
        "                stream.recv_window -= length\n",
        "",
        (f"{_YAMUX}::test_who_sends_more_than_was_granted_is_cut_off",),
    ),
    Mutation(
        "yamux: no more than was granted is sent",
        STREAM,
        "        self.send_window -= len(data)\n",
        "",
        (f"{_YAMUX}::test_no_more_is_sent_than_was_granted",),
    ),
    Mutation(
        "yamux: a stream is the peer's to open, once",
        YAMUX,
        "if stream is not None or stream_id % 2 == self._next_id % 2 or not stream_id:",
        "if False:",
        (
            f"{_YAMUX}::test_a_frame_that_cannot_be_ends_the_connection",
            f"{_YAMUX}::test_a_stream_is_opened_once",
        ),
    ),
    Mutation(
        "yamux: so many streams",
        YAMUX,
        '            raise Malformed(f"more than {STREAMS_MAX} streams that nobody closed")\n',
        "            pass\n",
        (f"{_YAMUX}::test_too_many_streams_end_the_connection",),
    ),
    Mutation(
        "yamux: answers that nobody reads",
        YAMUX,
        "if self._outbound_bytes > WAITING_BYTES_MAX:",
        "if False:",
        (f"{_YAMUX}::test_who_asks_and_does_not_read_the_answers_is_cut_off",),
    ),
    Mutation(
        "noise: no nonce twice",
        NOISE,
        "if self._nonce >= NONCES_MAX:",
        "if False:",
        (f"{_NOISE}::test_nothing_is_said_under_a_nonce_twice",),
    ),
    Mutation(
        "a publisher is held back",
        PUBSUB,
        "        await self.router.wait_room(topic)\n",
        "",
        (f"{_SENDING}::test_who_publishes_flat_out_is_held_back_and_loses_nothing",),
    ),
    Mutation(
        "a reader is held back",
        PUBSUB,
        "            await self._intake.wait_room()",
        "            pass",
        (f"{_SENDING}::test_who_publishes_flat_out_is_held_back_and_loses_nothing",),
    ),
    Mutation(
        "a peer that does not read is waited for once",
        SENDING,
        "        if self._is_lagging:\n            return\n",
        "",
        (
            f"{_SENDING}::test_a_peer_that_does_not_read_is_waited_for_once",
            f"{_SENDING}::test_a_neighbour_that_does_not_read_silences_nobody",
        ),
    ),
    Mutation(
        "frames take turns",
        FRAMES,
        "if frame is not None and self._turn.is_over(len(frame)):",
        "if False:",
        (f"{_FRAMES}::test_thousands_of_frames_let_others_in",),
    ),
)
