"""How long something took, for people."""

NOTHING = "-"


def duration(seconds: int | None) -> str:
    """Whole seconds in at most two units, such as `2 h 5 min`; `-` where not known."""
    if seconds is None:
        return NOTHING
    for unit_s, unit, part_s, part in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= unit_s:
            whole, rest = divmod(seconds, unit_s)
            return (
                f"{whole} {unit} {rest // part_s} {part}" if rest // part_s else f"{whole} {unit}"
            )
    return f"{seconds} s"
