"""What speaks against a provider: silence, a connection that breaks, what peers say, its clock.

How long a silence is suspicious stands in `suspicion`; what a finding makes of a provider in
`lives`. Here is what is found.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from meshnode.core.facts import Fact
from meshnode.core.lifecycle import GONE, LIVE, ProviderState
from meshnode.core.lives import ASKED_ABOUT, Lives, LossCause
from meshnode.core.provider_table import ProviderRecord, ProviderTable
from meshnode.core.skew import Refusals
from meshnode.core.suspicion import (
    INTERVAL_S,
    REARMED_INTERVALS,
    SUSPECT_AFTER_INTERVALS,
    Suspicion,
    Verdict,
)

SKEWED_S = 60.0  # after its last refusal, a provider is not called skewed any more
# How much sooner than reckoned a provider is looked at: no rounding makes a look come late.
AHEAD_S = 0.5
SUSPECTS_MAX = 64  # asked about at a time; the others' turn comes when these are decided

_NOBODY: Mapping[bytes, Refusals] = MappingProxyType({})


class Doubts:
    """Accuses, where there is reason to; while isolated, and when it could not listen, nobody.

    Times: seconds of the node's clock, Unix ns. Until `look_at` time alone changes nothing that a
    `sweep` would see: infinite while nobody is to be judged.
    """

    def __init__(self, table: ProviderTable, lives: Lives) -> None:
        self._table = table
        self._lives = lives
        self._is_isolated = False
        self._listening_since = -math.inf  # silence before it is held against nobody
        self._spared_until = -math.inf  # nor are connections that broke meanwhile
        self.look_at = -math.inf

    # --- what connections and peers tell ----------------------------------------------------

    def connection_lost(self, peer: str, now: float) -> list[Fact]:
        """The last connection to a peer broke, and not because we closed it to have fewer."""
        record = self._table.find(peer)
        if record is None or record.state not in LIVE or now < self._spared_until:
            return []
        facts = self._lives.suspect(record, "connection", now)
        self.attend(record)
        if record.suspicion is not None:
            # It may have been found and connected since: no dial and no word is about this end.
            record.suspicion = Suspicion(now, broken=True, heard_at=record.suspicion.heard_at)
        return facts

    def dial_refused(self, peer: str, now: float) -> list[Fact]:
        """A dial of a peer after its connection broke was refused, not merely unanswered."""
        return self._testify(peer, now, lambda suspicion: suspicion.note_refusal())

    def asked(
        self, peer: str, about: str, verdict: Verdict, seen_ns: int, now: float
    ) -> list[Fact]:
        """What a peer that was asked knows about a suspect, whose last word it saw is of `seen_ns`.

        `seen_ns` is by the suspect's own clock; 0 where the peer saw none.
        """
        record = self._table.find(about)
        if record is None:
            return []
        # By one clock, the suspect's, so that whose is wrong does not matter.
        heard_at = min(record.said_at + (seen_ns - record.last_seen_ns) / 1e9, now)
        return self._testify(about, now, lambda suspicion: suspicion.note(peer, verdict, heard_at))

    def refused_elsewhere(self, about: str, seen_at: float, seen_ns: int, now: float) -> list[Fact]:
        """A peer refused a suspect for its time, at `seen_at`, and so passed on nothing of it."""
        record = self._table.find(about)
        if record is None or now - seen_at >= SKEWED_S or self._is_isolated:
            return []
        if record.suspicion is None and not record.is_hearsay:
            return []
        if self._silent_intervals(record, now) < SUSPECT_AFTER_INTERVALS:
            return []
        facts = self._lives.skew(record)
        record.is_hearsay = True
        self._note_refusal(record, seen_at, seen_ns)
        return facts

    def nobody_to_ask(self, about: str, now: float) -> list[Fact]:
        """There is no peer that could be asked about a suspect."""
        return self._testify(about, now, lambda suspicion: suspicion.note_nobody())

    def suspects(self) -> list[ProviderRecord]:
        """About whom others should be asked, at most SUSPECTS_MAX; nobody while isolated.

        First those whose connection broke: a stranger has fewer connections than names.
        """
        if self._is_isolated:
            return []
        asked_about = [r for r in self._table if r.state in ASKED_ABOUT or r.is_hearsay]
        return sorted(asked_about, key=lambda r: not r.is_broken_off)[:SUSPECTS_MAX]

    # --- what time tells --------------------------------------------------------------------

    def sweep(
        self,
        now: float,
        now_ns: int,
        *,
        isolated: bool = False,
        refused: Mapping[bytes, Refusals] = _NOBODY,
    ) -> list[Fact]:
        """Let time count. `refused` are the authors refused for their time, as of `now_ns`."""
        self._is_isolated = isolated
        if now < self.look_at and not refused:
            return []  # as nearly always: providers speak in time, or are known to be gone
        facts: list[Fact] = []
        for author, refusals in refused.items():
            if refusals.is_lasting:
                facts += self._skewed(author, refusals, now, now_ns)
        for record in self._table:
            if record.state in GONE:
                continue  # no silence makes it any more so
            refusals_of = refused.get(record.key)
            if refusals_of is not None and refusals_of.is_recent(now_ns):
                continue  # it speaks, whatever its clock says
            facts += self._judge_silence(record, now)
        self.look_at = min(map(self._matters_at, self._table), default=math.inf)
        return facts

    def attend(self, record: ProviderRecord) -> None:
        """A provider is new, or is to be judged otherwise than before: sooner, maybe."""
        self.look_at = min(self.look_at, self._matters_at(record))

    def rearm(self, now: float) -> None:
        """We could not listen: whatever was not heard so far is held against nobody.

        Nobody becomes suspect before REARMED_INTERVALS more have passed in silence.
        """
        waived_s = (SUSPECT_AFTER_INTERVALS - REARMED_INTERVALS) * INTERVAL_S
        self._listening_since = max(self._listening_since, now - waived_s)
        self._spared_until = now + REARMED_INTERVALS * INTERVAL_S
        for record in self._table:
            if record.suspicion is not None:
                record.suspicion.verdicts.clear()  # nor is what was said of it then

    def listen_from(self, now: float) -> None:
        """We begin to listen: all that was before is no silence to us."""
        self._listening_since = now

    # --- inside -----------------------------------------------------------------------------

    def _testify(self, about: str, now: float, note: Callable[[Suspicion], None]) -> list[Fact]:
        record = self._table.find(about)
        if record is None or record.suspicion is None:
            return []
        note(record.suspicion)
        return self._confirm(record, now)

    def _confirm(self, record: ProviderRecord, now: float) -> list[Fact]:
        suspicion = record.suspicion
        # Who is cut off itself accuses nobody, whatever it has been told.
        if suspicion is None or self._is_isolated:
            return []
        silent = self._silent_intervals(record, now)
        unheard = min(silent, (now - suspicion.heard_at) / record.interval_s)
        if not suspicion.is_confirmed(silent, unheard):
            return []
        cause: LossCause = "connection" if suspicion.broken and suspicion.refused else "silence"
        return self._lives.lose(record, cause, now)

    def _judge_silence(self, record: ProviderRecord, now: float) -> list[Fact]:
        silent = self._silent_intervals(record, now) >= SUSPECT_AFTER_INTERVALS
        lives, isolated = self._lives, self._is_isolated
        match record.state:
            case ProviderState.SKEWED:
                if record.skewed_at is not None and now - record.skewed_at < SKEWED_S:
                    return []
                return (
                    lives.cut_off(record, now) if isolated else lives.lose(record, "silence", now)
                )
            case ProviderState.ACTIVE | ProviderState.SUSPECT if silent and isolated:
                return lives.cut_off(record, now)
            case ProviderState.ACTIVE if silent:
                return lives.suspect(record, "silence", now)
            case ProviderState.SUSPECT | ProviderState.UNREACHABLE:
                return self._confirm(record, now)
            case ProviderState.FLAPPING:
                return lives.release(record, now, silent=silent, isolated=isolated)
            case _:
                return []

    def _skewed(self, author: bytes, refusals: Refusals, now: float, now_ns: int) -> list[Fact]:
        refused_at = now - (now_ns - refusals.last_ns) / 1e9
        if now - refused_at >= SKEWED_S:
            return []
        record = self._table.get(author)
        if record is None:
            if not refusals.provides:
                return []
            record = self._table.new(author, ProviderState.UNREACHABLE, now, refusals.last_ns)
            record.is_discovered = False
        record.is_hearsay = False
        self._note_refusal(record, refused_at, refusals.last_ns)
        return self._lives.skew(record)

    def _matters_at(self, record: ProviderRecord) -> float:
        """From when on time alone can change what a provider is to us; its words put that off."""
        if record.state in GONE:
            return math.inf
        if record.state is not ProviderState.ACTIVE:
            return -math.inf  # it depends on what others say, too
        heard_at = max(record.said_at, self._listening_since)
        return heard_at + SUSPECT_AFTER_INTERVALS * record.interval_s - AHEAD_S

    @staticmethod
    def _note_refusal(record: ProviderRecord, refused_at: float, refused_ns: int) -> None:
        # By the refusing node's clock: what this record is seen at goes round as hearsay and
        # must not grow younger on its way.
        record.skewed_at = max(record.skewed_at or refused_at, refused_at)
        record.last_seen_ns = max(record.last_seen_ns, refused_ns)

    def _silent_intervals(self, record: ProviderRecord, now: float) -> float:
        return (now - max(record.said_at, self._listening_since)) / record.interval_s
