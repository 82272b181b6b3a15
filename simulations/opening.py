"""Decoding and verifying once for all: nodes of one process need not each repeat it.

The verdict is every node's own; what an envelope contains, and whether its signature fits, is a
fact about its bytes.
"""

from dataclasses import dataclass, field

from protocols.envelope import Envelope, open_envelope

OPENED_MAX = 20_000  # envelopes; the oldest is opened anew if it comes again


@dataclass(frozen=True, slots=True)
class OpenedEnvelope(Envelope):
    """An envelope that remembers whether it is authentic."""

    _known: list[bool] = field(default_factory=list, compare=False, repr=False)

    def is_authentic(self) -> bool:
        """See `Envelope.is_authentic`; found out once."""
        if not self._known:
            self._known.append(Envelope.is_authentic(self))
        return self._known[0]


class Opening:
    """Opens envelopes for all nodes of a world."""

    def __init__(self) -> None:
        self._opened: dict[bytes, OpenedEnvelope] = {}

    def __call__(self, raw: bytes) -> Envelope:
        """See `open_envelope`. Raises Malformed."""
        opened = self._opened.get(raw)
        if opened is None:
            envelope = open_envelope(raw)
            opened = OpenedEnvelope(
                envelope.raw, envelope.body, envelope.signature, envelope.message
            )
            if len(self._opened) >= OPENED_MAX:
                del self._opened[next(iter(self._opened))]
            self._opened[raw] = opened
        return opened
