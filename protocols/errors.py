"""The one family of errors that bytes from outside can cause."""


class ProtocolError(ValueError):
    """What was said breaks the protocol: by a peer when decoding, by us when encoding."""


class Malformed(ProtocolError):
    """Bytes that are not one canonical message within the limits (SPEC.md, verdict rule 1)."""


class FrameTooLarge(ProtocolError):
    """A stream frame announces more bytes than its protocol allows."""
