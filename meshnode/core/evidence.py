"""Equivocations: what an author signed twice under one name, kept as proof."""

from dataclasses import dataclass

from protocols.messages import Name

EVIDENCE_MAX = 64  # pairs, one an author; drop the newcomer, and count it


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two envelopes with one name and different bodies, both with their author's signature.

    `first` is None where the one accepted is not held any more; `second` was then refused on the
    word of its digest.
    """

    name: Name
    first: bytes | None
    second: bytes


class EvidenceLog:
    """One pair an author: it proves as much as many.

    The oldest stand, for else an equivocator could wash its own away with those of new identities.
    """

    def __init__(self) -> None:
        self._by_author: dict[bytes, Evidence] = {}
        self.dropped = 0

    def add(self, evidence: Evidence) -> None:
        """Keep it, unless as much is known of its author already or there is no room."""
        kept = self._by_author.get(evidence.name.author)
        if kept is None and len(self._by_author) >= EVIDENCE_MAX:
            self.dropped += 1
        elif kept is None or (kept.first is None and evidence.first is not None):
            self._by_author[evidence.name.author] = evidence

    def all(self) -> tuple[Evidence, ...]:
        """What is kept, the oldest first."""
        return tuple(self._by_author.values())
