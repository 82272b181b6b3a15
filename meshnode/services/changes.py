"""What became of a provider, in the words of a watch's `provider` event."""

from collections.abc import Mapping
from typing import Any

from meshnode.core.facts import (
    ProviderCleared,
    ProviderDiscovered,
    ProviderFact,
    ProviderFlapping,
    ProviderLost,
    ProviderReturned,
    ProviderSkewed,
    ProviderSuspected,
    ProviderUnreachable,
)


def provider_change(fact: ProviderFact) -> tuple[str, Mapping[str, Any]]:
    """Whom a fact is about, and `change` with what belongs to it; durations in whole seconds."""
    peer = fact.provider_id
    match fact:
        case ProviderDiscovered():
            return peer, {"change": "new"}
        case ProviderReturned(gone_s=gone_s):
            return peer, {"change": "returned", "gone_s": int(gone_s)}
        case ProviderCleared(was=was, silent_s=silent_s):
            return peer, {"change": "cleared", "was": was, "silent_s": int(silent_s)}
        case ProviderSuspected(cause=cause, silent_s=silent_s):
            return peer, {"change": "suspected", "cause": cause, "silent_s": int(silent_s)}
        case ProviderLost(cause=cause, silent_s=silent_s):
            return peer, {"change": "lost", "cause": cause, "silent_s": int(silent_s)}
        case ProviderUnreachable(silent_s=silent_s):
            return peer, {"change": "unreachable", "silent_s": int(silent_s)}
        case ProviderFlapping(held_s=held_s):
            return peer, {"change": "flapping", "held_s": int(held_s)}
        case ProviderSkewed():
            return peer, {"change": "skewed"}
