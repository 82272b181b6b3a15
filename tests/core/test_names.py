"""Names: what was heard is never new again, what was not stays welcome within the window."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from meshnode.core.names import FORGET_AFTER_NS, Names, NameWindow, Standing
from protocols.ids import Topic
from protocols.limits import NAME_WINDOW, UINT64_MAX
from protocols.messages import Name

ALICE, BOB, CAROL, DAVE = (bytes([number]) * 32 for number in range(1, 5))
NOW_NS = 1_700_000_000 * 10**9


def nothing_kept(_: bytes) -> bool:
    return False


def test_a_new_name_is_known_once_marked() -> None:
    window = NameWindow(NAME_WINDOW)
    assert window.classify(1, 1, 7) is Standing.NEW
    window.mark(1, 1, 7)
    assert window.classify(1, 1, 7) is Standing.KNOWN
    assert window.classify(1, 1, 8) is Standing.CONFLICT


def test_a_digest_of_zero_is_remembered_too() -> None:
    window = NameWindow(NAME_WINDOW)
    window.mark(1, 1, 0)
    assert window.classify(1, 1, 0) is Standing.KNOWN


def test_seq_0_is_never_new() -> None:
    assert NameWindow(NAME_WINDOW).classify(9, 0, 7) is Standing.TOO_OLD
    names = Names(is_kept=nothing_kept)
    assert names.classify(Name(ALICE, Topic.PRICES, 1, 0), 7) is Standing.TOO_OLD


def test_the_window_is_open_to_what_was_not_seen() -> None:
    window = NameWindow(NAME_WINDOW)
    window.mark(1, 5000, 7)
    assert window.classify(1, 5000 - NAME_WINDOW, 7) is Standing.TOO_OLD
    assert window.classify(1, 5000 - NAME_WINDOW + 1, 7) is Standing.NEW
    window.mark(1, 4000, 8)
    assert window.seq == 5000, "a late one does not lower the mark"
    assert window.classify(1, 4000, 8) is Standing.KNOWN
    assert window.classify(1, 5000, 7) is Standing.KNOWN


def test_slots_left_behind_do_not_speak_for_what_comes_round() -> None:
    window = NameWindow(8)
    for seq in range(1, 9):
        window.mark(1, seq, seq)
    window.mark(1, 12, 12)
    assert window.classify(1, 11, 3) is Standing.NEW, "its slot held 3 before"
    window.mark(1, 20, 20)
    assert window.classify(1, 19, 11) is Standing.NEW
    assert window.classify(1, 13, 5) is Standing.NEW


def test_presence_is_strictly_in_order() -> None:
    window = NameWindow(0)
    window.mark(1, 5, 7)
    assert window.classify(1, 5, 7) is Standing.TOO_OLD
    assert window.classify(1, 4, 7) is Standing.TOO_OLD
    assert window.classify(1, 6, 7) is Standing.NEW
    names = Names(is_kept=nothing_kept)
    for topic in Topic:
        names.mark(Name(ALICE, topic, 1, 5), 7, NOW_NS)
    assert names.classify(Name(ALICE, Topic.PRESENCE, 1, 4), 7) is Standing.TOO_OLD
    assert names.classify(Name(ALICE, Topic.PRICES, 1, 4), 7) is Standing.NEW


def test_a_new_epoch_begins_afresh_and_closes_the_old_one() -> None:
    window = NameWindow(NAME_WINDOW)
    window.mark(1, 500, 7)
    window.mark(2, 1, 7)
    assert (window.epoch, window.seq) == (2, 1)
    assert window.classify(1, 501, 7) is Standing.TOO_OLD
    assert window.classify(2, 500, 7) is Standing.NEW


def test_the_ends_of_uint64() -> None:
    window = NameWindow(NAME_WINDOW)
    window.mark(UINT64_MAX, UINT64_MAX, UINT64_MAX)
    assert window.classify(UINT64_MAX, UINT64_MAX, UINT64_MAX) is Standing.KNOWN
    assert window.classify(UINT64_MAX, UINT64_MAX - NAME_WINDOW, 1) is Standing.TOO_OLD
    window.mark(UINT64_MAX, UINT64_MAX - 1, 1)
    assert window.classify(UINT64_MAX - 1, UINT64_MAX, 1) is Standing.TOO_OLD


def test_after_a_restart_everything_up_to_the_mark_counts_as_seen() -> None:
    names = Names(is_kept=nothing_kept)
    names.restore(Name(ALICE, Topic.PRICES, 3, 100), NOW_NS)
    assert names.classify(Name(ALICE, Topic.PRICES, 3, 99), 7) is Standing.TOO_OLD
    names.mark(Name(ALICE, Topic.PRICES, 3, 103), 7, NOW_NS)
    assert names.classify(Name(ALICE, Topic.PRICES, 3, 100), 7) is Standing.TOO_OLD
    assert names.classify(Name(ALICE, Topic.PRICES, 3, 101), 7) is Standing.NEW
    assert names.classify(Name(ALICE, Topic.PRESENCE, 1, 1), 7) is Standing.NEW


def test_restoring_a_lower_mark_lowers_nothing() -> None:
    names = Names(is_kept=nothing_kept)
    names.mark(Name(ALICE, Topic.PRICES, 3, 100), 7, NOW_NS)
    names.restore(Name(ALICE, Topic.PRICES, 3, 50), NOW_NS)
    names.restore(Name(ALICE, Topic.PRICES, 2, 500), NOW_NS)
    assert list(names.marks()) == [Name(ALICE, Topic.PRICES, 3, 100)]
    assert names.classify(Name(ALICE, Topic.PRICES, 3, 100), 7) is Standing.KNOWN


def test_a_demoted_window_only_refuses_more() -> None:
    names = Names(is_kept=nothing_kept, windows_max=2)
    for author in (ALICE, BOB, ALICE, CAROL):  # bob is the one heard longest ago
        seq = 10 if names.classify(Name(author, Topic.PRICES, 1, 10), 7) is Standing.NEW else 20
        names.mark(Name(author, Topic.PRICES, 1, seq), 7, NOW_NS)
    assert names.classify(Name(BOB, Topic.PRICES, 1, 9), 7) is Standing.TOO_OLD
    assert names.classify(Name(ALICE, Topic.PRICES, 1, 19), 7) is Standing.NEW
    statistics = names.statistics()
    assert (statistics.windows, statistics.demoted) == (2, 1)


def test_room_is_made_by_forgetting_the_author_unheard_for_longest() -> None:
    names = Names(is_kept=nothing_kept, authors_max=2)
    names.mark(Name(ALICE, Topic.PRESENCE, 1, 9), 7, NOW_NS)
    names.mark(Name(BOB, Topic.PRESENCE, 1, 9), 7, NOW_NS + 1)
    assert not names.make_room(CAROL, NOW_NS + FORGET_AFTER_NS)
    assert names.make_room(CAROL, NOW_NS + FORGET_AFTER_NS + 1)
    assert [mark.author for mark in names.marks()] == [BOB]
    statistics = names.statistics()
    assert (statistics.authors, statistics.forgotten, statistics.refused) == (1, 1, 1)


def test_whoever_keeps_marks_elsewhere_is_told_of_the_forgotten() -> None:
    told: list[bytes] = []
    names = Names(is_kept=nothing_kept, on_forgotten=told.append, authors_max=1)
    names.mark(Name(ALICE, Topic.PRESENCE, 1, 9), 7, NOW_NS)
    assert not names.make_room(BOB, NOW_NS + FORGET_AFTER_NS)
    assert told == []
    assert names.make_room(BOB, NOW_NS + FORGET_AFTER_NS + 1)
    assert told == [ALICE]


def test_a_forgotten_author_gives_up_its_window_too() -> None:
    names = Names(is_kept=nothing_kept, authors_max=1)
    names.mark(Name(ALICE, Topic.PRICES, 1, 9), 7, NOW_NS)
    assert names.make_room(BOB, NOW_NS + FORGET_AFTER_NS + 1)
    assert names.statistics().windows == 0


def test_what_is_kept_or_on_the_allowlist_is_never_forgotten() -> None:
    kept = {ALICE}
    names = Names(is_kept=lambda author: author in kept, allowlist=frozenset({BOB}), authors_max=2)
    names.mark(Name(ALICE, Topic.PRESENCE, 1, 9), 7, NOW_NS)
    names.mark(Name(BOB, Topic.PRESENCE, 1, 9), 7, NOW_NS)
    later_ns = NOW_NS + 10 * FORGET_AFTER_NS
    assert not names.make_room(CAROL, later_ns)
    kept.clear()
    assert names.make_room(CAROL, later_ns + 2 * FORGET_AFTER_NS)
    assert [mark.author for mark in names.marks()] == [BOB]


def test_strangers_cannot_lock_out_the_allowlist() -> None:
    names = Names(is_kept=nothing_kept, allowlist=frozenset({CAROL}), authors_max=1)
    names.mark(Name(ALICE, Topic.PRESENCE, 1, 9), 7, NOW_NS)
    assert not names.make_room(BOB, NOW_NS)
    assert names.make_room(CAROL, NOW_NS)


def test_a_mark_that_finds_no_room_lets_no_replay_in() -> None:
    names = Names(is_kept=nothing_kept, authors_max=1)
    assert names.restore(Name(ALICE, Topic.PRICES, 1, 9), NOW_NS)
    assert not names.restore(Name(BOB, Topic.PRICES, 1, 9), NOW_NS)
    # Bob's last message expires long before there can be room for him.
    assert not names.make_room(BOB, NOW_NS + FORGET_AFTER_NS)


class WindowAgainstModel(RuleBasedStateMachine):
    """One window of each width against the set of all that was seen, and the rule."""

    @initialize(width=st.sampled_from([0, 1, 8, 64]), high=st.booleans())
    def begin(self, width: int, high: bool) -> None:
        self.window = NameWindow(width)
        self.width = width
        self.base = UINT64_MAX - 300 if high else 0
        self.seen: dict[tuple[int, int], int] = {}
        self.epoch = self.top = self.floor = 0

    def expected(self, epoch: int, seq: int, digest: int) -> Standing:
        if epoch < self.epoch or seq < 1:
            return Standing.TOO_OLD
        if epoch == self.epoch and seq <= max(self.floor, self.top - self.width):
            return Standing.TOO_OLD
        if (epoch, seq) not in self.seen:
            return Standing.NEW
        return Standing.KNOWN if self.seen[epoch, seq] == digest else Standing.CONFLICT

    @rule(step=st.integers(-1, 2), back=st.integers(-40, 80), digest=st.integers(1, 3))
    def hear_near_the_mark(self, step: int, back: int, digest: int) -> None:
        self.hear(max(0, self.epoch + step), max(0, self.top - back), digest)

    @rule(epoch=st.integers(0, 4), seq=st.integers(0, 300), digest=st.integers(1, 3))
    def hear(self, epoch: int, seq: int, digest: int) -> None:
        seq = min(seq if seq > 300 else self.base + seq, UINT64_MAX)
        epoch = min(epoch, UINT64_MAX)
        standing = self.window.classify(epoch, seq, digest)
        assert standing is self.expected(epoch, seq, digest)
        if standing is not Standing.NEW:
            return
        self.window.mark(epoch, seq, digest)
        if epoch > self.epoch:
            self.epoch, self.top, self.floor = epoch, 0, 0
        self.top = max(self.top, seq)
        self.seen[epoch, seq] = digest

    @rule()
    def restart(self) -> None:
        self.window, stored = NameWindow(self.width), self.window
        self.window.restore(stored.epoch, stored.seq)
        self.floor = self.top

    @rule()
    def demote(self) -> None:
        self.window.demote()
        self.floor = self.top

    @rule(epoch=st.integers(0, 4), seq=st.integers(1, 300))
    def restore(self, epoch: int, seq: int) -> None:
        self.window.restore(epoch, seq)
        if (epoch, seq) > (self.epoch, self.top):
            self.epoch, self.top, self.floor = epoch, seq, seq

    @invariant()
    def the_mark_is_the_highest(self) -> None:
        if hasattr(self, "window"):
            assert (self.window.epoch, self.window.seq) == (self.epoch, self.top)


@dataclass
class Heard:
    """What the model knows of an author."""

    seen: set[Name] = field(default_factory=set)
    heard_ns: int = 0
    kept_ns: int = 0  # when it was released; it may have been passed over up to then


class NamesAgainstModel(RuleBasedStateMachine):
    """Few places, many authors: nothing seen is new again unless it was right to forget it."""

    AUTHORS = (ALICE, BOB, CAROL, DAVE)
    ALLOWED = frozenset({DAVE})

    def __init__(self) -> None:
        super().__init__()
        self.kept: set[bytes] = set()
        self.now_ns = NOW_NS
        self.model: dict[bytes, Heard] = {}
        self.names = self.new_names()

    def new_names(self) -> Names:
        return Names(
            is_kept=lambda author: author in self.kept,
            allowlist=self.ALLOWED,
            authors_max=2,
            windows_max=2,
        )

    def may_be_forgotten(self, author: bytes) -> bool:
        unheard_ns = self.now_ns - self.model[author].heard_ns
        return unheard_ns > FORGET_AFTER_NS and author not in self.kept | self.ALLOWED

    def must_make_room(self, author: bytes) -> bool:
        unkept_ns = self.now_ns - self.model[author].kept_ns
        return unkept_ns > FORGET_AFTER_NS and self.may_be_forgotten(author)

    @rule(
        author=st.sampled_from(AUTHORS),
        topic=st.sampled_from(Topic),
        epoch=st.integers(1, 3),
        seq=st.integers(1, 30),
    )
    def hear(self, author: bytes, topic: Topic, epoch: int, seq: int) -> None:
        name = Name(author, topic, epoch, seq)
        standing = self.names.classify(name, 7)
        if author in self.model and name in self.model[author].seen:
            assert standing is not Standing.NEW
        if standing is not Standing.NEW:
            return
        if not self.names.make_room(author, self.now_ns):
            assert author not in self.model
            assert author not in self.ALLOWED
            assert not any(self.must_make_room(other) for other in self.model)
            return
        self.notice_the_forgotten()
        self.names.mark(name, 7, self.now_ns)
        heard = self.model.setdefault(author, Heard())
        heard.seen.add(name)
        heard.heard_ns = self.now_ns

    def notice_the_forgotten(self) -> None:
        for author in self.model.keys() - {mark.author for mark in self.names.marks()}:
            assert self.may_be_forgotten(author)
            del self.model[author]

    @rule(author=st.sampled_from(AUTHORS))
    def keep(self, author: bytes) -> None:
        self.kept.add(author)

    @rule(author=st.sampled_from(AUTHORS))
    def release(self, author: bytes) -> None:
        if author in self.kept and author in self.model:
            self.model[author].kept_ns = self.now_ns
        self.kept.discard(author)

    @rule(seconds=st.sampled_from([1, 60, 120, 121]))
    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * 10**9

    @rule()
    def restart(self) -> None:
        stored = list(self.names.marks())
        self.names = self.new_names()
        # The allowlisted need no place, so all that fitted before fit again.
        for mark in sorted(stored, key=lambda mark: mark.author in self.ALLOWED):
            assert self.names.restore(mark, self.now_ns)
        for heard in self.model.values():
            heard.heard_ns = self.now_ns
        assert set(self.names.marks()) == set(stored)

    @invariant()
    def bounds_hold(self) -> None:
        statistics = self.names.statistics()
        assert statistics.authors <= 2 + len(self.ALLOWED)
        assert statistics.windows <= 2

    @invariant()
    def marks_stand_at_the_highest_seen(self) -> None:
        marks = {(mark.author, mark.topic): (mark.epoch, mark.seq) for mark in self.names.marks()}
        for heard in self.model.values():
            for name in heard.seen:
                assert marks[name.author, name.topic] >= (name.epoch, name.seq)


TestWindowAgainstModel = WindowAgainstModel.TestCase
TestWindowAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNamesAgainstModel = NamesAgainstModel.TestCase
TestNamesAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
