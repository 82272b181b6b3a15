"""What became of a provider, or of an outage, as a sentence. The fields are a peer's: any type."""

from collections.abc import Mapping
from typing import Any

from meshnode.cli.durations import duration
from meshnode.core.safe_text import one_line

_CHANGES = {
    "present": "is {state}",
    "new": "is new, and active",
    "returned": "is back after {gone_s}",
    "suspected": "may be gone: {why}, silent for {silent_s}; others are asked",
    "cleared": "is active after all, it was {was}",
    "lost": "is gone: {why}, silent for {silent_s}",
    "unreachable": "is not heard, as nobody is; silent for {silent_s}",
    "flapping": "comes and goes; it does not count for {held_s}",
    "skewed": "is refused for its time: its clock is wrong, or ours",
}
_CAUSES = {
    "connection": "its connection broke",
    "silence": "it says nothing",
    "leaving": "it left",
    "flapping": "it came and went",
    "providers_down": "the providers are down",
    "local_isolation": "this node is cut off",
    "partition": "the network is split",
    "unknown": "it is not known why",
}
_LEFT = "has left"


def provider_sentence(fields: Mapping[str, Any]) -> str | None:
    """What a `provider` event says, without whom; None for a change that we have no words for."""
    change, cause = fields.get("change"), fields.get("cause")
    if change == "lost" and cause == "leaving":
        return _LEFT
    words = _CHANGES.get(change) if isinstance(change, str) else None
    if words is None:
        return None
    return words.format(
        state=_text(fields.get("state")),
        was=_text(fields.get("was")),
        why=_why(cause),
        **{key: _span(fields.get(key)) for key in ("gone_s", "silent_s", "held_s")},
    )


def outage_sentence(fields: Mapping[str, Any]) -> str:
    """What an `outage` event says."""
    lasted = _span(fields.get("offline_s"))
    if fields.get("active") is False:
        return f"over: a provider is there again after {lasted}"
    kind = "no provider for more than ten minutes" if fields.get("extended") else "no provider"
    return f"{kind}: {_why(fields.get('cause'))}, {lasted} so far"


def _why(cause: object) -> str:
    known = _CAUSES.get(cause) if isinstance(cause, str) else None
    return known or _text(cause)


def _span(seconds: object) -> str:
    return duration(seconds) if isinstance(seconds, int) else _text(seconds)


def _text(value: object) -> str:
    return "-" if value is None else one_line(str(value))
