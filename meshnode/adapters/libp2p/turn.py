"""Taking turns: how much a task works before it lets the others in."""

# About two milliseconds of work: a message's two signatures take as long as 4 KiB of its content.
TURN_BYTES = 32 * 1024
MESSAGE_BYTES = 4 * 1024
FRAME_BYTES = 512  # one without messages


class Turn:
    """Counts work in bytes, not in time: in virtual time the same seed must give the same run."""

    def __init__(self, item_bytes: int = MESSAGE_BYTES) -> None:
        """`item_bytes`: the bytes that an item counts for beyond its own."""
        self._item_bytes = item_bytes
        self._left_bytes = TURN_BYTES

    def is_over(self, size: int) -> bool:
        """Whether the others are to be let in before this item; then the next turn begins."""
        self._left_bytes -= self._item_bytes + size
        if self._left_bytes > 0:
            return False
        self._left_bytes = TURN_BYTES
        return True
