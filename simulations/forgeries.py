"""What mallory says: forged, altered, replayed, out of time, in another form, or simply hers."""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from nacl.signing import SigningKey

from protocols.codec import encode_body, pack_envelope
from protocols.envelope import SIGNING_CONTEXT, Envelope, seal
from protocols.messages import Message, Payload
from simulations.clock import VirtualClock

HEARD_MAX = 5_000  # price updates kept for later; the oldest goes
SAID_MAX = 100  # of her own
RECENT_NS = 30 * 10**9  # what is so young is refused for its time by nobody
NS_PER_S = 10**9


class Forgeries:
    """Makes envelopes out of what was heard; most of these need that something was."""

    def __init__(self, rng: random.Random, key: SigningKey) -> None:
        self._rng = rng
        self._key = key
        self._public_key = bytes(key.verify_key)
        self._clock = VirtualClock()
        self._epoch = self._clock.now_ns() // NS_PER_S
        self._heard: deque[Envelope] = deque(maxlen=HEARD_MAX)
        self._said: deque[Envelope] = deque(maxlen=SAID_MAX)
        self._seq = 0

    def hear(self, envelope: Envelope) -> None:
        """Keep a price update for later."""
        self._heard.append(envelope)

    @property
    def have_heard(self) -> bool:
        """Whether there is anything to make them of."""
        return bool(self._heard)

    def message(self, author: SigningKey, payload: Payload) -> Message:
        """A message of now, in a life of its own."""
        self._seq += 1
        now_ns = self._clock.now_ns()
        epoch = now_ns // NS_PER_S
        return Message("main", bytes(author.verify_key), epoch, self._seq, now_ns, payload)

    # --- in an honest author's name ---------------------------------------------------------

    def forged(self) -> Envelope:
        """The next update of an honest author, signed by mallory."""
        told = self._rng.choice(self._heard).message
        newest = max(
            (e.message for e in self._heard if e.message.author == told.author),
            key=lambda m: (m.epoch, m.seq),
        )
        seq = newest.seq + self._rng.randint(1, 3)
        return self._signed_by_mallory(replace(newest, seq=seq, issued_ns=self._clock.now_ns()))

    def altered(self) -> Envelope:
        """An honest update that is on its way, with another time."""
        told = self._heard[-1].message
        return self._signed_by_mallory(replace(told, issued_ns=self._clock.now_ns()))

    def replayed(self) -> Envelope:
        """Anything that was heard."""
        return self._rng.choice(self._heard)

    def old(self) -> Envelope:
        """The oldest that was kept."""
        return self._heard[0]

    def recent(self) -> Envelope:
        """Another's update that is young enough to be taken by who has not heard it."""
        return self._rng.choice(self._recent() or self._heard)

    # --- her own ----------------------------------------------------------------------------

    def from_the_future(self) -> Envelope:
        """Her own prices, of a time to come."""
        ahead_s = self._rng.choice((15, 60, 3600))
        message = self.message(self._key, self._heard[-1].message.payload)
        ahead = replace(message, issued_ns=message.issued_ns + ahead_s * NS_PER_S)
        return seal(ahead, self._key)

    def own(self) -> Envelope:
        """Her own prices, with which nothing is wrong but whose they are."""
        envelope = seal(self._own_message(), self._key)
        self._said.append(envelope)
        return envelope

    def own_again(self) -> Envelope:
        """What she said before, perhaps minutes ago."""
        return self._rng.choice(self._said) if self._said else self.own()

    def in_another_form(self) -> Envelope:
        """What decodes to a message that everybody admits, and is not its one encoding.

        Either the body, which she signs as it is, or what is around it: that nobody signs, and so
        it may be of an honest author as well.
        """
        among = [seal(self._own_message(), self._key), *self._recent()[-1:]]
        envelope = self._rng.choice(among)
        if envelope is among[0] and self._rng.random() < 0.5:
            body = _widened(encode_body(envelope.message))
            signature = self._key.sign(SIGNING_CONTEXT + body).signature
            return Envelope(pack_envelope(body, signature), body, signature, envelope.message)
        return replace(envelope, raw=_widened(envelope.raw))

    def _own_message(self) -> Message:
        """In one life: else each would be a return, and make the ones before it too old."""
        return replace(self.message(self._key, self._heard[-1].message.payload), epoch=self._epoch)

    def _recent(self) -> Sequence[Envelope]:
        since_ns = self._clock.now_ns() - RECENT_NS
        return [
            envelope
            for envelope in self._heard
            if envelope.message.issued_ns > since_ns and envelope.message.author != self._public_key
        ]

    def _signed_by_mallory(self, message: Message) -> Envelope:
        sealed = seal(replace(message, author=self._public_key), self._key)
        body = sealed.body.replace(self._public_key, message.author)
        raw = pack_envelope(body, sealed.signature)
        return Envelope(raw, body, sealed.signature, message)


def _widened(packed: bytes) -> bytes:
    """The same short array of msgpack, its length in two bytes where half of one is enough."""
    return b"\xdc\x00" + bytes([packed[0] & 0x0F]) + packed[1:]
