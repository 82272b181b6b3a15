"""What is remembered: names, the book, providers, the outbox; each within its bound."""

from tests.mutation.mutation import Mutation

NAMES = "meshnode/core/names.py"
BOOK = "meshnode/core/book.py"
OUTBOX = "meshnode/core/outbox.py"
FRESHNESS = "meshnode/core/freshness.py"
OUTAGE = "meshnode/core/outage.py"

_NAMES = "tests/core/test_names.py"
_BOOK = "tests/core/test_book.py"
_OUTBOX = "tests/core/test_outbox.py"

WINDOWS = (
    Mutation(
        "the window ends 1024 behind the mark",
        NAMES,
        "if seq <= max(self._floor, self.seq - self._width):",
        "if seq <= self._floor:",
        (f"{_NAMES}::test_the_window_is_open_to_what_was_not_seen",),
    ),
    Mutation(
        "the width of the window",
        "protocols/limits.py",
        "NAME_WINDOW = 1024",
        "NAME_WINDOW = 1025",
        ("tests/protocols/test_vectors.py::test_gossip",),
    ),
    Mutation(
        "the floor after a restart",
        NAMES,
        "        self._floor = self.seq\n",
        "",
        (
            f"{_NAMES}::test_after_a_restart_everything_up_to_the_mark_counts_as_seen",
            "tests/core/test_admission.py::test_a_replay_is_refused_after_a_restart_too",
        ),
    ),
    Mutation(
        "slots that are passed over are emptied",
        NAMES,
        "self._digests[skipped % self._width] = 0",
        "pass",
        (f"{_NAMES}::test_slots_left_behind_do_not_speak_for_what_comes_round",),
    ),
    Mutation(
        "an older epoch is closed",
        NAMES,
        "if epoch < self.epoch or seq < 1:",
        "if seq < 1:",
        (f"{_NAMES}::test_a_new_epoch_begins_afresh_and_closes_the_old_one",),
    ),
    Mutation(
        "a digest of zero is no empty slot",
        NAMES,
        "return digest or 1",
        "return digest",
        (f"{_NAMES}::test_a_digest_of_zero_is_remembered_too",),
    ),
    Mutation(
        "restoring lowers no mark",
        NAMES,
        "if (epoch, seq) <= (self.epoch, self.seq):",
        "if False:",
        (f"{_NAMES}::test_restoring_a_lower_mark_lowers_nothing",),
    ),
    Mutation(
        "presence is strictly in order",
        NAMES,
        "self.presence = NameWindow(0)",
        "self.presence = NameWindow(NAME_WINDOW)",
        (f"{_NAMES}::test_presence_is_strictly_in_order",),
    ),
    Mutation(
        "windows are bounded",
        NAMES,
        "if len(self._windows) > self._windows_max:",
        "if False:",
        (f"{_NAMES}::test_a_demoted_window_only_refuses_more",),
    ),
)

AUTHORS = (
    Mutation(
        "authors are bounded",
        NAMES,
        "if len(self._authors) < self._authors_max or self._forget_one(now_ns):",
        "if True:",
        (f"{_NAMES}::test_room_is_made_by_forgetting_the_author_unheard_for_longest",),
    ),
    Mutation(
        "nobody is forgotten whose replays pass for fresh",
        NAMES,
        "FORGET_AFTER_NS = 120 * 10**9",
        "FORGET_AFTER_NS = 50 * 10**9",
        (
            "tests/core/test_admission.py"
            "::test_by_the_time_an_author_is_forgotten_its_replays_have_expired",
        ),
    ),
    Mutation(
        "nobody is forgotten who was heard lately",
        NAMES,
        "if now_ns - author.fresh_ns <= FORGET_AFTER_NS:",
        "if False:",
        (f"{_NAMES}::test_room_is_made_by_forgetting_the_author_unheard_for_longest",),
    ),
    Mutation(
        "nobody is forgotten of whom something is kept",
        NAMES,
        "if key in self._allowlist or self._is_kept(key):",
        "if False:",
        (f"{_NAMES}::test_what_is_kept_or_on_the_allowlist_is_never_forgotten",),
    ),
    Mutation(
        "strangers cannot lock out the allowlist",
        NAMES,
        "if author in self._authors or author in self._allowlist:",
        "if author in self._authors:",
        (f"{_NAMES}::test_strangers_cannot_lock_out_the_allowlist",),
    ),
    Mutation(
        "a stored mark without room lets nobody in",
        NAMES,
        "if not self.make_room(mark.author, now_ns):",
        "if False:",
        (f"{_NAMES}::test_a_mark_that_finds_no_room_lets_no_replay_in",),
    ),
    Mutation(
        "the store hears of the forgotten",
        NAMES,
        "self._on_forgotten(key)",
        "pass",
        (
            f"{_NAMES}::test_whoever_keeps_marks_elsewhere_is_told_of_the_forgotten",
            "tests/node/test_attacks.py::test_the_marks_on_disk_are_those_in_memory",
        ),
    ),
)

BOOKS = (
    Mutation(
        "the newest stands",
        BOOK,
        "elif standing[2:4] >= (epoch, seq):",
        "elif False:",
        (_BOOK,),
    ),
    Mutation(
        "assets of an author are bounded",
        BOOK,
        "if len(held) >= ASSETS_PER_AUTHOR_MAX:",
        "if False:",
        (f"{_BOOK}::test_an_author_has_so_many_assets_and_the_rest_is_refused_and_counted",),
    ),
    Mutation(
        "authors with prices are bounded",
        BOOK,
        "if len(self._authors) >= self._authors_max and not self._evict(now_ns, released):",
        "if False:",
        (f"{_BOOK}::test_a_new_author_is_refused_while_nobody_has_been_silent_for_an_hour",),
    ),
    Mutation(
        "whoever speaks keeps its place",
        BOOK,
        "if now_ns - silent.heard_ns < AUTHOR_SILENT_NS:",
        "if False:",
        (f"{_BOOK}::test_a_new_author_is_refused_while_nobody_has_been_silent_for_an_hour",),
    ),
    Mutation(
        "envelopes of an author are bounded",
        BOOK,
        "if author.proof_bytes > AUTHOR_ENVELOPE_BYTES_MAX:",
        "if False:",
        (f"{_BOOK}::test_over_its_bytes_an_author_loses_the_proofs_that_prove_least",),
    ),
    Mutation(
        "nothing is recorded twice",
        BOOK,
        "if standing[2:4] > (epoch, seq):",
        "if True:",
        (_BOOK,),
    ),
    Mutation(
        "a proof out of a store is verified",
        BOOK,
        "if not proof.is_verified:",
        "if False:",
        (f"{_BOOK}::test_a_proof_out_of_a_store_is_checked_before_it_is_served",),
    ),
    Mutation(
        "a proof stands under its own name",
        BOOK,
        " and said == key",
        "",
        (f"{_BOOK}::test_a_proof_out_of_a_store_is_checked_before_it_is_served",),
    ),
    Mutation(
        "a store cannot fill the book beyond its bound",
        BOOK,
        "if not has_room or len(author.quotes) >= ASSETS_PER_AUTHOR_MAX:",
        "if False:",
        (f"{_BOOK}::test_a_store_that_holds_more_than_the_book_may_does_not_fill_it_beyond",),
    ),
    Mutation(
        "nobody wins by a clock that is ahead",
        BOOK,
        "(q.author in active, min(q.issued_ns, q.received_ns), q.author)",
        "(q.author in active, q.issued_ns, q.author)",
        (f"{_BOOK}::test_nobody_wins_by_a_clock_that_is_ahead",),
    ),
    Mutation(
        "the newest price is not from the future",
        BOOK,
        "said_ns = min(stored.issued_ns, stored.received_ns)",
        "said_ns = stored.issued_ns",
        (f"{_BOOK}::test_nobody_wins_by_a_clock_that_is_ahead",),
    ),
    Mutation(
        "an active provider's price is served first",
        BOOK,
        "(q.author in active, min(",
        "(min(",
        (f"{_BOOK}::test_an_active_provider_s_price_is_served_though_another_s_is_newer",),
    ),
    Mutation(
        "an age is the longest that is known",
        FRESHNESS,
        "seen_ns = min(stored.quote.observed_ns, stored.issued_ns, stored.received_ns)",
        "seen_ns = stored.quote.observed_ns",
        ("tests/core/test_freshness.py::test_a_price_is_as_old_as_the_earliest_that_is_known",),
    ),
    Mutation(
        "an age is never negative",
        FRESHNESS,
        "return max(0, (now_ns - seen_ns) // 10**9)",
        "return (now_ns - seen_ns) // 10**9",
        ("tests/core/test_freshness.py::test_a_price_is_as_old_as_the_earliest_that_is_known",),
    ),
)

WAITING = (
    Mutation(
        "ticks that wait are bounded",
        OUTBOX,
        "while len(self._ticks) > self._ticks_max:",
        "while False:",
        (f"{_OUTBOX}::test_the_oldest_ticks_go_first_and_are_counted",),
    ),
    Mutation(
        "the forgotten that wait are bounded",
        OUTBOX,
        "if author in self._forgotten or len(self._forgotten) < FORGOTTEN_WAITING_MAX:",
        "if True:",
        (f"{_OUTBOX}::test_the_forgotten_that_wait_are_bounded_and_the_rest_counted",),
    ),
    Mutation(
        "what waits keeps the highest mark",
        OUTBOX,
        "if standing is None or (standing.epoch, standing.seq) < (mark.epoch, mark.seq):",
        "if True:",
        (_OUTBOX,),
    ),
    Mutation(
        "a batch that failed does not bring back what was released",
        OUTBOX,
        "            if key not in self._released:\n",
        "            if True:\n",
        (f"{_OUTBOX}::test_an_envelope_released_while_its_batch_failed_is_not_written",),
    ),
    Mutation(
        "a batch that failed does not bring back the marks of the forgotten",
        OUTBOX,
        "if mark.author not in self._forgotten:",
        "if True:",
        (f"{_OUTBOX}::test_forgetting_waits_for_a_store_that_failed",),
    ),
)

PRESENCE = (
    Mutation(
        "whoever was told of an outage is told that it ended",
        OUTAGE,
        "is_known = self._announced or self._asked",
        "is_known = self._announced",
        (
            "tests/core/test_outage.py"
            "::test_whoever_was_told_of_it_at_the_start_is_told_that_it_ended",
        ),
    ),
    Mutation(
        "a wall clock that jumps changes no outage",
        OUTAGE,
        "self._since = now if last_sign_at is None else min(last_sign_at, now)",
        "self._since = now if last_sign_at is None else last_sign_at",
        ("tests/core/test_outage.py::test_a_sign_of_life_from_the_future_is_one_of_now",),
    ),
)

MUTATIONS = (*WINDOWS, *AUTHORS, *BOOKS, *WAITING, *PRESENCE)
