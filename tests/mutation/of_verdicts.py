"""The verdict table of SPEC.md: each rule, its place among the others, and the mark."""

from tests.mutation.mutation import Mutation

ADMISSION = "meshnode/core/admission.py"
LIMITS = "protocols/limits.py"
SKEW = "meshnode/core/skew.py"
EVIDENCE = "meshnode/core/evidence.py"
BUDGET = "meshnode/core/author_budget.py"

_RULES = "tests/core/test_admission.py"
_ALONE = (f"{_RULES}::test_each_rule_decides_alone",)
_BLAME = (f"{_RULES}::test_only_rules_1_2_and_7_blame_the_sender",)
_ORIGIN = (f"{_RULES}::test_an_update_comes_from_its_author_on_its_topic",)
_TIMES = (f"{_RULES}::test_each_time_is_bounded",)
_VECTORS = ("tests/protocols/test_vectors.py::test_gossip",)
_SNAPSHOT = (f"{_RULES}::test_all_else_counts_in_a_snapshot_too",)
_FORGED = ("tests/core/test_forgeries.py",)
_SKEWED = "tests/core/test_skew.py"
_BUDGETS = "tests/core/test_author_budget.py"

_IN_GOSSIP = "        if message.topic is not topic:"
_IN_SNAPSHOT = "        if message.topic is not Topic.PRICES:"
_NETWORK = """\
        if message.network != self._network:
            return Rejected(Reason.WRONG_NETWORK)
"""

GOSSIP = (
    Mutation(
        "rule 1: what is malformed is rejected",
        ADMISSION,
        """\
        except Malformed:
            return Rejected(Reason.MALFORMED)
        message = envelope.message
"""
        + _NETWORK
        + _IN_GOSSIP,
        """\
        except Malformed:
            return Ignored(Reason.MALFORMED)
        message = envelope.message
"""
        + _NETWORK
        + _IN_GOSSIP,
        _BLAME,
    ),
    Mutation("rule 2: the network", ADMISSION, _NETWORK + _IN_GOSSIP, _IN_GOSSIP, _ALONE),
    Mutation("rule 2: the topic", ADMISSION, _IN_GOSSIP, "        if False:", _ORIGIN),
    Mutation(
        "rule 2: author = from", ADMISSION, "if message.author != sender:", "if False:", _ORIGIN
    ),
    Mutation("rule 3: kinds", ADMISSION, "if message.kind > KIND_MAX:", "if False:", _ALONE),
    Mutation("rule 3: its limit", LIMITS, "KIND_MAX = 31", "KIND_MAX = 32", _VECTORS),
    Mutation(
        "rule 4: known",
        ADMISSION,
        """\
        if standing is Standing.KNOWN:
            return Ignored(Reason.KNOWN)
        if standing is Standing.TOO_OLD:
""",
        "        if standing is Standing.TOO_OLD:\n",
        (f"{_RULES}::test_of_two_copies_one_passes",),
    ),
    Mutation(
        "rule 4: too old",
        ADMISSION,
        "if standing is Standing.TOO_OLD:",
        "if False:",
        (*_ALONE, f"{_RULES}::test_a_replay_is_refused_after_a_restart_too"),
    ),
    Mutation(
        "rule 5: the epoch ahead",
        ADMISSION,
        "if message.epoch * 10**9 - now_ns > EPOCH_AHEAD_MAX_S * 10**9:",
        "if False:",
        _TIMES,
    ),
    Mutation(
        "rule 5: the limit of the epoch",
        LIMITS,
        "EPOCH_AHEAD_MAX_S = 60",
        "EPOCH_AHEAD_MAX_S = 61",
        _VECTORS,
    ),
    Mutation(
        "rule 5: issued ahead",
        ADMISSION,
        "if message.issued_ns - now_ns > ISSUED_AHEAD_MAX_NS:",
        "if False:",
        _TIMES,
    ),
    Mutation(
        "rule 5: the limit ahead",
        LIMITS,
        "ISSUED_AHEAD_MAX_NS = 10 * 10**9",
        "ISSUED_AHEAD_MAX_NS = 10 * 10**9 + 1",
        _VECTORS,
    ),
    Mutation(
        "rule 5: issued behind",
        ADMISSION,
        "return Reason.EXPIRED if now_ns - message.issued_ns > ISSUED_BEHIND_MAX_NS else None",
        "return None",
        (*_TIMES, *_ALONE),
    ),
    Mutation(
        "rule 5: the limit behind",
        LIMITS,
        "ISSUED_BEHIND_MAX_NS = 60 * 10**9",
        "ISSUED_BEHIND_MAX_NS = 60 * 10**9 + 1",
        _VECTORS,
    ),
    Mutation(
        "rule 6: the allowlist",
        ADMISSION,
        "if not self._allows(envelope.message.author):",
        "if False:",
        _ALONE,
    ),
    Mutation(
        "rule 6: before the signature is looked at",
        ADMISSION,
        """\
        if not self._allows(envelope.message.author):
            return Ignored(Reason.NOT_ALLOWED)
        if envelope is not self._sealed and not envelope.is_authentic():
            return Rejected(Reason.BAD_SIGNATURE)
""",
        """\
        if envelope is not self._sealed and not envelope.is_authentic():
            return Rejected(Reason.BAD_SIGNATURE)
        if not self._allows(envelope.message.author):
            return Ignored(Reason.NOT_ALLOWED)
""",
        (f"{_RULES}::test_of_two_broken_rules_the_earlier_decides",),
    ),
    Mutation(
        "rule 7: the signature",
        ADMISSION,
        "if envelope is not self._sealed and not envelope.is_authentic():",
        "if False:",
        (*_ALONE, *_FORGED),
    ),
    Mutation(
        "rule 7: what we sealed is known by all its bytes",
        ADMISSION,
        "self._sealed.raw == data:",
        "self._sealed.body in data:",
        (f"{_RULES}::test_what_we_sealed_ourselves_covers_no_forgery_of_it",),
    ),
    Mutation(
        "rule 8: equivocation",
        ADMISSION,
        "if standing is Standing.CONFLICT:",
        "if False:",
        _ALONE,
    ),
    Mutation(
        "rule 8: behind the signature",
        ADMISSION,
        """\
        if standing is Standing.TOO_OLD:
            return Ignored(Reason.TOO_OLD)
""",
        """\
        if standing is Standing.TOO_OLD:
            return Ignored(Reason.TOO_OLD)
        if standing is Standing.CONFLICT:
            return Ignored(Reason.EQUIVOCATION)
""",
        (f"{_RULES}::test_an_equivocation_is_kept_as_evidence",),
    ),
    Mutation(
        "rule 8: the evidence is kept",
        ADMISSION,
        "self._evidence.add(Evidence(name, self._find_held(name), envelope.raw))",
        "pass",
        (f"{_RULES}::test_an_equivocation_is_kept_as_evidence",),
    ),
    Mutation(
        "evidence is bounded",
        EVIDENCE,
        "if kept is None and len(self._by_author) >= EVIDENCE_MAX:",
        "if False:",
        (f"{_RULES}::test_evidence_is_bounded_and_the_oldest_stands",),
    ),
)

MARKS = (
    Mutation(
        "a mark is set by what is accepted",
        ADMISSION,
        "self._names.mark(name, digest, now_ns)",
        "pass",
        (f"{_RULES}::test_of_two_copies_one_passes",),
    ),
    Mutation(
        "a mark is set by nothing else",
        ADMISSION,
        """\
        refusal = self._unproven(envelope, standing)
        if refusal:
            return refusal
""",
        """\
        refusal = self._unproven(envelope, standing)
        if refusal:
            if standing is Standing.NEW:
                self._names.mark(name, digest, now_ns)
            return refusal
""",
        (
            f"{_RULES}::test_a_forgery_does_not_block_the_original",
            f"{_RULES}::test_nothing_refused_leaves_a_mark",
        ),
    ),
    Mutation(
        "a mark is set by nothing out of its time",
        ADMISSION,
        "            self._note_skew(envelope, now_ns)\n",
        "            self._note_skew(envelope, now_ns)\n"
        "            self._names.mark(name, digest, now_ns)\n",
        (
            f"{_RULES}::test_nothing_refused_leaves_a_mark",
            "tests/node/test_attacks.py"
            "::test_nothing_is_pinned_by_what_gossip_brings_from_another_time",
        ),
    ),
    Mutation(
        "an author too many is refused",
        ADMISSION,
        "if not self._names.make_room(message.author, now_ns):",
        "if False:",
        (f"{_RULES}::test_one_author_too_many_is_refused",),
    ),
)

SNAPSHOTS = (
    Mutation("a snapshot's network", ADMISSION, _NETWORK + _IN_SNAPSHOT, _IN_SNAPSHOT, _SNAPSHOT),
    Mutation("a snapshot holds prices", ADMISSION, _IN_SNAPSHOT, "        if False:", _SNAPSHOT),
    Mutation(
        "a snapshot's known names",
        ADMISSION,
        """\
        if standing is Standing.KNOWN:
            return Ignored(Reason.KNOWN)
        ahead =""",
        "        ahead =",
        _SNAPSHOT,
    ),
    Mutation(
        "a snapshot's future",
        ADMISSION,
        "if ahead:",
        "if False:",
        (
            *_SNAPSHOT,
            "tests/node/test_attacks.py"
            "::test_nothing_is_pinned_by_what_a_snapshot_brings_from_another_time",
        ),
    ),
    Mutation(
        "a snapshot's allowlist, signature and equivocation",
        ADMISSION,
        "return self._unproven(envelope, standing) or Accepted(envelope)",
        "return Accepted(envelope)",
        _SNAPSHOT,
    ),
    Mutation(
        "a snapshot raises no mark",
        ADMISSION,
        "return self._unproven(envelope, standing) or Accepted(envelope)",
        """\
refusal = self._unproven(envelope, standing)
        if refusal is None and standing is Standing.NEW:
            self._names.mark(message.name, envelope.digest, now_ns)
        return refusal or Accepted(envelope)""",
        (f"{_RULES}::test_a_snapshot_raises_no_mark",),
    ),
)

CLOCKS = (
    Mutation(
        "a forgery makes nobody look skewed",
        SKEW,
        "if not envelope.is_authentic():",
        "if False:",
        (f"{_SKEWED}::test_a_forgery_makes_nobody_look_skewed_and_hides_nobody",),
    ),
    Mutation(
        "a replay makes nobody look skewed",
        ADMISSION,
        " and self._names.is_ahead(message.name)",
        "",
        (f"{_SKEWED}::test_a_replay_makes_nobody_look_skewed",),
    ),
    Mutation(
        "strangers are not shown as skewed",
        ADMISSION,
        "if self._allows(message.author) and ",
        "if ",
        (f"{_SKEWED}::test_a_stranger_is_not_shown_as_skewed",),
    ),
    Mutation(
        "a skewed author costs one verification in 10 s",
        SKEW,
        "if noted is not None and 0 <= now_ns - noted.last_ns < SKEW_RECHECK_NS:",
        "if False:",
        (f"{_SKEWED}::test_a_skewed_author_costs_one_verification_in_ten_seconds",),
    ),
    Mutation(
        "the skewed are bounded",
        SKEW,
        "if len(self._refused) > SKEWED_MAX:",
        "if False:",
        (f"{_SKEWED}::test_the_skewed_are_bounded_and_the_longest_refused_goes",),
    ),
)

BUDGETS = (
    Mutation(
        "an author has a budget",
        BUDGET,
        "if spent > BUDGET_QUOTES_MAX:",
        "if False:",
        (
            f"{_BUDGETS}::test_a_window_is_spent_and_the_next_one_is_new",
            f"{_BUDGETS}::test_over_its_budget_an_author_is_ignored_and_its_name_not_marked",
        ),
    ),
    Mutation(
        "the budget decides",
        ADMISSION,
        "if self._budget is not None and not self._budget.spend(envelope, now_ns):",
        "if False:",
        (f"{_BUDGETS}::test_over_its_budget_an_author_is_ignored_and_its_name_not_marked",),
    ),
    Mutation(
        "forgeries spend nothing",
        ADMISSION,
        "        refusal = self._unproven(envelope, standing)\n",
        """\
        if self._budget is not None:
            self._budget.spend(envelope, now_ns)
        refusal = self._unproven(envelope, standing)
""",
        (f"{_BUDGETS}::test_the_messages_of_others_and_forgeries_spend_nothing",),
    ),
    Mutation(
        "the budget counts by the time of issue",
        BUDGET,
        "window = message.issued_ns // BUDGET_WINDOW_NS",
        "window = now_ns // BUDGET_WINDOW_NS",
        (f"{_BUDGETS}::test_who_keeps_within_it_is_accepted_in_any_order_at_any_time",),
    ),
    Mutation(
        "a message costs something whatever is in it",
        BUDGET,
        "return MESSAGE_QUOTES + max(",
        "return max(",
        (f"{_BUDGETS}::test_a_message_weighs_its_quotes_or_its_bytes_besides_itself",),
    ),
    Mutation(
        "bytes are counted as well as quotes",
        BUDGET,
        "max(quotes, len(envelope.raw) // QUOTE_BYTES)",
        "quotes",
        (f"{_BUDGETS}::test_a_message_weighs_its_quotes_or_its_bytes_besides_itself",),
    ),
    Mutation(
        "windows out of time are forgotten",
        BUDGET,
        "            self._forget(now_ns)\n",
        "            pass\n",
        (f"{_BUDGETS}::test_windows_are_forgotten_when_they_are_out_of_time",),
    ),
)

MUTATIONS = (*GOSSIP, *MARKS, *SNAPSHOTS, *CLOCKS, *BUDGETS)
