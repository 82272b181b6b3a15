"""The verdict on every envelope: SPEC.md's rules in their order, and the mark on what passes."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshnode.core.author_budget import AuthorBudget
from meshnode.core.evidence import Evidence, EvidenceLog
from meshnode.core.names import Names, Standing
from meshnode.core.skew import Refusals, SkewLog
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from protocols.envelope import Envelope, open_envelope
from protocols.errors import Malformed
from protocols.ids import Topic
from protocols.limits import (
    EPOCH_AHEAD_MAX_S,
    ISSUED_AHEAD_MAX_NS,
    ISSUED_BEHIND_MAX_NS,
    KIND_MAX,
)
from protocols.messages import Message, Name


@dataclass(frozen=True, slots=True)
class AdmissionStatistics:
    """Counts since the start, gossip and snapshots together."""

    accepted: int
    refused: Mapping[Reason, int]
    evidence_dropped: int
    skewed_dropped: int


class Admission:
    """Judges envelopes for one network.

    `allowlist` holds raw public keys, None admits every author. `find_held` gives the envelope
    that stands under a name as it was received, or None; it completes evidence of equivocation.
    `budget` bounds what each author may say, None where the operator knows who speaks.
    `open_envelope` decodes: many nodes in one process need not each do it again.
    """

    def __init__(
        self,
        network: str,
        *,
        allowlist: frozenset[bytes] | None,
        names: Names,
        find_held: Callable[[Name], bytes | None],
        budget: AuthorBudget | None = None,
        open_envelope: Callable[[bytes], Envelope] = open_envelope,
    ) -> None:
        self._network = network
        self._allowlist = allowlist
        self._names = names
        self._find_held = find_held
        self._budget = budget
        self._open_envelope = open_envelope
        self._skew = SkewLog()
        self._evidence = EvidenceLog()
        self._sealed: Envelope | None = None
        self._accepted = 0
        self._refused: Counter[Reason] = Counter()

    def judge(self, topic: Topic, sender: bytes, data: bytes, now_ns: int) -> Verdict:
        """The verdict on a gossip message; the name of an accepted one is marked.

        `sender` is the raw public key of the gossip `from`, `now_ns` Unix time by our clock.
        Total: whatever the bytes, it raises nothing.
        """
        return self._counted(self._judge(topic, sender, data, now_ns))

    def vouch(self, envelope: Envelope) -> None:
        """We sealed this one just now: when it is judged, it is not decoded and verified again."""
        self._sealed = envelope

    def judge_held(self, data: bytes, now_ns: int) -> Verdict:
        """The verdict on an envelope out of a peer's snapshot; marks nothing. Total, too."""
        return self._counted(self._judge_held(data, now_ns))

    def skewed(self, now_ns: int) -> Mapping[bytes, Refusals]:
        """Authors lately refused for their time and not accepted since."""
        return self._skew.skewed(now_ns)

    def any_skewed(self) -> bool:
        """Whether there may be any, at whatever time."""
        return self._skew.any_skewed()

    def evidence(self) -> tuple[Evidence, ...]:
        """The equivocations noticed, at most one an author, the oldest first."""
        return self._evidence.all()

    def statistics(self) -> AdmissionStatistics:
        """What went through and what did not, by reason."""
        return AdmissionStatistics(
            self._accepted, dict(self._refused), self._evidence.dropped, self._skew.dropped
        )

    def _judge(self, topic: Topic, sender: bytes, data: bytes, now_ns: int) -> Verdict:
        try:
            envelope = self._open(data)
        except Malformed:
            return Rejected(Reason.MALFORMED)
        message = envelope.message
        if message.network != self._network:
            return Rejected(Reason.WRONG_NETWORK)
        if message.topic is not topic:
            return Rejected(Reason.WRONG_TOPIC)
        if message.author != sender:
            return Rejected(Reason.WRONG_AUTHOR)
        if message.kind > KIND_MAX:
            return Ignored(Reason.UNKNOWN_KIND)
        name, digest = message.name, envelope.digest
        standing = self._names.classify(name, digest)
        if standing is Standing.KNOWN:
            return Ignored(Reason.KNOWN)
        if standing is Standing.TOO_OLD:
            return Ignored(Reason.TOO_OLD)
        mistimed = _ahead(message, now_ns) or _behind(message, now_ns)
        # What we say ourselves goes out by our own clock, even where we know it to be wrong:
        # others see then that it is the clock, and not that we are gone.
        if mistimed and envelope is not self._sealed:
            self._note_skew(envelope, now_ns)
            return Ignored(mistimed)
        refusal = self._unproven(envelope, standing)
        if refusal:
            return refusal
        if not self._names.make_room(message.author, now_ns):
            return Ignored(Reason.TOO_MANY_AUTHORS)
        # Behind the signature: a forgery must not spend what is another's. And before the mark:
        # an author over its budget is heard again as soon as it says less.
        if self._budget is not None and not self._budget.spend(envelope, now_ns):
            return Ignored(Reason.OVER_BUDGET)
        # Marked after acceptance: a forgery must not block the original. In the same step: of two
        # copies only one passes.
        self._names.mark(name, digest, now_ns)
        self._skew.accepted(message.author)
        return Accepted(envelope)

    def _open(self, data: bytes) -> Envelope:
        """Raises Malformed."""
        if self._sealed is not None and self._sealed.raw == data:
            return self._sealed
        return self._open_envelope(data)

    def _judge_held(self, data: bytes, now_ns: int) -> Verdict:
        try:
            envelope = self._open_envelope(data)
        except Malformed:
            return Rejected(Reason.MALFORMED)
        message = envelope.message
        if message.network != self._network:
            return Rejected(Reason.WRONG_NETWORK)
        if message.topic is not Topic.PRICES:
            return Rejected(Reason.WRONG_TOPIC)
        # Behind the window or of an older epoch is fine here: who joins may hear message 5000
        # before a snapshot brings number 3, still the newest for some asset. The book sorts that
        # out. No mark is raised, or a peer's old snapshot would shut out what gossip still brings.
        standing = self._names.classify(message.name, envelope.digest)
        if standing is Standing.KNOWN:
            return Ignored(Reason.KNOWN)
        ahead = _ahead(message, now_ns)
        if ahead:
            return Ignored(ahead)
        return self._unproven(envelope, standing) or Accepted(envelope)

    def _unproven(self, envelope: Envelope, standing: Standing) -> Ignored | Rejected | None:
        """Rules 6 to 8, which need an envelope that passed all before."""
        if not self._allows(envelope.message.author):
            return Ignored(Reason.NOT_ALLOWED)
        if envelope is not self._sealed and not envelope.is_authentic():
            return Rejected(Reason.BAD_SIGNATURE)
        if standing is Standing.CONFLICT:
            name = envelope.message.name
            self._evidence.add(Evidence(name, self._find_held(name), envelope.raw))
            return Ignored(Reason.EQUIVOCATION)
        return None

    def _note_skew(self, envelope: Envelope, now_ns: int) -> None:
        # A replay of what an author said long ago is no sign of its clock, but it lies behind the
        # author's mark.
        message = envelope.message
        if self._allows(message.author) and self._names.is_ahead(message.name):
            self._skew.refused(envelope, now_ns)

    def _allows(self, author: bytes) -> bool:
        return self._allowlist is None or author in self._allowlist

    def _counted(self, verdict: Verdict) -> Verdict:
        if isinstance(verdict, Accepted):
            self._accepted += 1
        else:
            self._refused[verdict.reason] += 1
        return verdict


def _ahead(message: Message, now_ns: int) -> Reason | None:
    if message.epoch * 10**9 - now_ns > EPOCH_AHEAD_MAX_S * 10**9:
        return Reason.FUTURE_EPOCH
    if message.issued_ns - now_ns > ISSUED_AHEAD_MAX_NS:
        return Reason.FUTURE
    return None


def _behind(message: Message, now_ns: int) -> Reason | None:
    return Reason.EXPIRED if now_ns - message.issued_ns > ISSUED_BEHIND_MAX_NS else None
