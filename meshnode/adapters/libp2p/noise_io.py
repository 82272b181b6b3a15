"""Noise sessions that read what is there and decrypt it in one go.

The library reads each message's length and body by themselves, and copies each four times; the
handshake stays its own. The bytes on the wire are the same.
"""

from typing import Any

from cryptography.exceptions import InvalidTag
from libp2p.io.exceptions import ConnectionClosedError, DecryptionFailedException, IOException
from libp2p.security.base_session import BaseSession
from libp2p.security.noise.transport import Transport

LENGTH_BYTES = 2
TAG_BYTES = 16
MESSAGE_BYTES_MAX = 2**16 - 1  # encrypted, by the Noise specification
PLAINTEXT_BYTES_MAX = MESSAGE_BYTES_MAX - TAG_BYTES
READ_BYTES = 2**16 + LENGTH_BYTES
NONCES_MAX = 2**64 - 1  # the last one is reserved; then the connection ends


class Cipher:
    """One direction's ChaCha20-Poly1305 with its counter, taken over after the handshake."""

    def __init__(self, state: Any) -> None:
        self._aead: Any = state.cipher.cipher
        self._nonce: int = state.n

    def encrypt(self, plaintext: bytes) -> bytes:
        """The next message, with its tag. Raises IOException when nonces have run out."""
        return bytes(self._aead.encrypt(self._next(), plaintext, None))

    def decrypt(self, message: bytes | memoryview) -> bytes:
        """The next message's plaintext. Raises DecryptionFailedException."""
        try:
            return bytes(self._aead.decrypt(self._next(), message, None))
        except InvalidTag as error:
            raise DecryptionFailedException("a message that does not authenticate") from error

    def _next(self) -> bytes:
        if self._nonce >= NONCES_MAX:
            raise IOException("a connection on which everything has been said")
        nonce = b"\0\0\0\0" + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce


class NoiseSession(BaseSession):  # type: ignore[misc]  # the library is untyped to mypy
    """A secured connection; one task reads, one writes."""

    def __init__(self, session: Any) -> None:
        """Take over the library's session directly after its handshake."""
        super().__init__(
            local_peer=session.local_peer,
            local_private_key=session.local_private_key,
            remote_peer=session.remote_peer,
            remote_permanent_pubkey=session.remote_permanent_pubkey,
            is_initiator=session.is_initiator,
        )
        state = session.conn.noise_state.noise_protocol
        self._raw = session.conn.read_writer.read_write_closer
        self._outbound = Cipher(state.cipher_state_encrypt)
        self._inbound = Cipher(state.cipher_state_decrypt)
        self._partial = bytearray()  # what has arrived of a message
        self._plain = b""

    async def read(self, n: int | None = None) -> bytes:
        """Exactly `n` bytes, fewer only at the end; without `n` all that is there, at least one.

        Raises ConnectionClosedError at the end, DecryptionFailedException, RawConnError.
        """
        while not self._plain if n is None else len(self._plain) < n:
            received = await self._raw.read(READ_BYTES)
            if not received:
                if self._plain:
                    break
                raise ConnectionClosedError("Connection closed")
            self._plain += self._decrypt(received)
        if n is None:
            n = len(self._plain)
        plain, self._plain = self._plain[:n], self._plain[n:]
        return plain

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises ConnectionClosedError, RawConnError."""
        if len(data) <= PLAINTEXT_BYTES_MAX:
            message = self._outbound.encrypt(data)
            await self._raw.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)
            return
        messages = bytearray()
        for start in range(0, len(data), PLAINTEXT_BYTES_MAX):
            message = self._outbound.encrypt(data[start : start + PLAINTEXT_BYTES_MAX])
            messages += len(message).to_bytes(LENGTH_BYTES, "big")
            messages += message
        await self._raw.write(bytes(messages))

    async def close(self) -> None:
        """Close the connection below."""
        await self._raw.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's socket address, where the transport has such."""
        address: tuple[str, int] | None = self._raw.get_remote_address()
        return address

    def get_transport_addresses(self) -> list[Any]:
        """The peer's address as the transport knows it."""
        return list(self._raw.get_transport_addresses())

    def get_connection_type(self) -> Any:
        """Direct or relayed."""
        return self._raw.get_connection_type()

    def _decrypt(self, received: bytes) -> bytes:
        """The plaintext of the messages that are whole with what has been received."""
        if not self._partial and _is_one_message(received):
            return self._inbound.decrypt(received[LENGTH_BYTES:])  # as mostly
        plain, start = [], 0
        self._partial += received
        with memoryview(self._partial) as encrypted:
            while len(encrypted) - start >= LENGTH_BYTES:
                body = start + LENGTH_BYTES
                end = body + int.from_bytes(encrypted[start:body], "big")
                if end > len(encrypted):
                    break
                with encrypted[body:end] as message:
                    plain.append(self._inbound.decrypt(message))
                start = end
        del self._partial[:start]
        return b"".join(plain)


def _is_one_message(received: bytes) -> bool:
    length = int.from_bytes(received[:LENGTH_BYTES], "big")
    return len(received) == LENGTH_BYTES + length


class NoiseTransport(Transport):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's Noise handshake, our session."""

    async def secure_inbound(self, conn: Any) -> NoiseSession:
        """Shake hands with who dialled us. Raises what the library raises."""
        return NoiseSession(await super().secure_inbound(conn))

    async def secure_outbound(self, conn: Any, peer_id: Any) -> NoiseSession:
        """Shake hands with whom we dialled. Raises what the library raises."""
        return NoiseSession(await super().secure_outbound(conn, peer_id))
