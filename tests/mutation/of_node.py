"""The node as a whole: its configuration, its log, how it starts and how it leaves."""

from tests.mutation.mutation import Mutation

CONFIG = "meshnode/config.py"
LOGS = "meshnode/adapters/logs.py"
NODE = "meshnode/node.py"
PERSIST = "meshnode/services/persist.py"
RUN = "meshnode/cli/run.py"
SAFE_TEXT = "meshnode/core/safe_text.py"
SANITY = "meshnode/core/sanity.py"
STATUS = "meshnode/services/status.py"

_CONFIG = "tests/test_config.py"
_LOGS = "tests/adapters/test_logs.py"
_STORIES = "tests/node/test_stories.py"
_ATTACKS = "tests/node/test_attacks.py"
_STARTS = "tests/node/test_starting_and_leaving.py"

CONFIGURATION = (
    Mutation(
        "a misspelt key is no key",
        CONFIG,
        'extra="forbid"',
        'extra="ignore"',
        (f"{_CONFIG}::test_every_fault_is_listed_with_its_origin",),
    ),
    Mutation(
        "a misspelt variable is noticed",
        CONFIG,
        "faults = _misspelt_variables(environ)",
        "faults: list[str] = []",
        (f"{_CONFIG}::test_misspelt_variables_are_noticed_and_foreign_ones_are_not",),
    ),
    Mutation(
        "a seed names its peer",
        CONFIG,
        "    if parse_addr(text).peer_id is None:\n",
        "    if False:\n",
        (f"{_CONFIG}::test_a_seed_without_a_peer_id_says_where_to_get_it",),
    ),
    Mutation(
        "the allowlist holds peer ids",
        CONFIG,
        "    check_peer_id(text)\n",
        "",
        (f"{_CONFIG}::test_every_fault_is_listed_with_its_origin",),
    ),
    Mutation(
        "a provider has a source",
        CONFIG,
        'if role == "provider" and not sources:',
        "if False:",
        (f"{_CONFIG}::test_every_fault_is_listed_with_its_origin",),
    ),
    Mutation(
        "the environment is not read behind our back",
        CONFIG,
        "return (init_settings,)",
        "return (init_settings, env_settings)",
        (f"{_CONFIG}::test_the_process_environment_is_not_read_behind_our_back",),
    ),
    Mutation(
        "a configuration does not change",
        CONFIG,
        "frozen=True, extra",
        "extra",
        (f"{_CONFIG}::test_a_configuration_does_not_change",),
    ),
    Mutation(
        "a heartbeat keeps the protocol's promise",
        CONFIG,
        "heartbeat_s: int = Field(default=60, ge=1, le=60)",
        "heartbeat_s: int = Field(default=60, ge=1)",
        (f"{_CONFIG}::test_values_have_bounds",),
    ),
)

SECRETS = (
    Mutation(
        "user names and passwords are masked",
        SAFE_TEXT,
        '_USER_INFO.sub(f"://{MASK}@", text)',
        "text",
        (f"{_LOGS}::test_secrets_are_masked",),
    ),
    Mutation(
        "parameters that are secrets are masked",
        SAFE_TEXT,
        'return _SECRET_PARAMETER.sub(rf"\\1{MASK}", _USER_INFO.sub(f"://{MASK}@", text))',
        'return _USER_INFO.sub(f"://{MASK}@", text)',
        (f"{_LOGS}::test_secrets_are_masked",),
    ),
    Mutation(
        "fields that are secrets are masked",
        LOGS,
        "event[name] = MASK if is_secret_name(name) else _safe_value(value)",
        "event[name] = _safe_value(value)",
        (f"{_LOGS}::test_secrets_are_masked",),
    ),
    Mutation(
        "bytes are not shown",
        LOGS,
        'return f"<{len(value)} bytes>"',
        "return shown(str(value))",
        (f"{_LOGS}::test_secrets_are_masked",),
    ),
    Mutation(
        "a printed configuration masks secrets",
        "meshnode/cli/config_text.py",
        "without_secrets(",
        "str(",
        (f"{_CONFIG}::test_printing_masks_secrets",),
    ),
)

LINES = (
    Mutation(
        "one event is one line",
        SAFE_TEXT,
        "    if text.isprintable():\n        return text\n",
        "    return text\n",
        (f"{_LOGS}::test_one_event_is_one_line_whatever_it_holds",),
    ),
    Mutation(
        "a line is not endless",
        SAFE_TEXT,
        "return safe if len(safe) <= SHOWN_CHARS_MAX else",
        "return safe if True else",
        (f"{_LOGS}::test_an_endless_value_is_cut",),
    ),
    Mutation(
        "equal warnings come once in a while",
        LOGS,
        "if now - said_at < REPEAT_AFTER_S:",
        "if False:",
        (f"{_LOGS}::test_equal_warnings_come_once_in_a_while_with_a_count",),
    ),
    Mutation(
        "the memory of warnings is bounded",
        LOGS,
        "while len(self._said) >= WARNINGS_REMEMBERED_MAX:",
        "while False:",
        (f"{_LOGS}::test_the_memory_of_warnings_is_bounded",),
    ),
    Mutation(
        "a log without a reader ends nothing",
        LOGS,
        "except (OSError, ValueError):",
        "except KeyError:",
        (f"{_LOGS}::test_a_stream_that_is_gone_ends_nothing",),
    ),
)

SOURCES = (
    Mutation(
        "an observation is not from the future",
        SANITY,
        "if observed.observed_ns > horizon_ns:",
        "if False:",
        ("tests/core/test_sanity.py::test_a_bad_observation_is_refused",),
    ),
    Mutation(
        "an observation is a price",
        SANITY,
        "if not observed.price.is_finite() or observed.price <= 0:",
        "if False:",
        ("tests/core/test_sanity.py::test_a_bad_observation_is_refused",),
    ),
    Mutation(
        "an older observation does not replace a newer one",
        SANITY,
        "if previous is not None and observed.observed_ns < previous.observed_ns <= horizon_ns:",
        "if False:",
        ("tests/core/test_sanity.py::test_an_observation_older_than_what_is_known_is_refused",),
    ),
    Mutation(
        "assets provided are bounded",
        "meshnode/core/publication.py",
        "            if not self._has_room():\n",
        "            if False:\n",
        ("tests/core/test_publication.py::test_assets_are_bounded_and_the_refused_counted",),
    ),
)

LIFE = (
    Mutation(
        "an equivocation is told",
        "meshnode/services/monitor.py",
        "        self._tell_equivocations()\n",
        "",
        (f"{_ATTACKS}::test_an_equivocation_is_told_and_shown",),
    ),
    Mutation(
        "an equivocation is shown",
        STATUS,
        "newest_ns, evidence = self._book.newest_ns, self._evidence()",
        "newest_ns, evidence = self._book.newest_ns, ()",
        (f"{_ATTACKS}::test_an_equivocation_is_told_and_shown",),
    ),
    Mutation(
        "an open network is shown as such",
        STATUS,
        "        if self._is_open:\n",
        "        if False:\n",
        (f"{_ATTACKS}::test_a_thousand_strangers_take_little_room_where_there_is_none",),
    ),
    Mutation(
        "on an open network few have prices",
        NODE,
        "AUTHORS_OPEN_MAX if self.is_open else AUTHORS_MAX",
        "AUTHORS_MAX",
        (f"{_ATTACKS}::test_a_thousand_strangers_take_little_room_where_there_is_none",),
    ),
    Mutation(
        "on an open network each has a budget",
        NODE,
        "budget=AuthorBudget() if self.is_open else None",
        "budget=None",
        (f"{_ATTACKS}::test_who_says_too_much_is_held_to_its_budget_where_anybody_may_speak",),
    ),
    Mutation(
        "who is allowed has no budget",
        NODE,
        "budget=AuthorBudget() if self.is_open else None",
        "budget=AuthorBudget()",
        (f"{_ATTACKS}::test_who_says_too_much_is_held_to_its_budget_where_anybody_may_speak",),
    ),
    Mutation(
        "the node's allowlist counts",
        NODE,
        "allowlist = allowed | {own_key} if allowed else None",
        "allowlist = None",
        (f"{_ATTACKS}::test_a_thousand_strangers_have_no_influence_where_there_is_an_allowlist",),
    ),
    Mutation(
        "a node allows itself",
        NODE,
        "allowlist = allowed | {own_key} if allowed else None",
        "allowlist = allowed if allowed else None",
        (f"{_STARTS}::test_a_provider_with_an_allowlist_admits_itself",),
    ),
    Mutation(
        "stored marks count after a restart",
        NODE,
        "if not self.names.restore(mark, now_ns):",
        "if False:",
        (f"{_ATTACKS}::test_a_replay_is_refused_after_the_receiver_s_restart",),
    ),
    Mutation(
        "stored marks without room leave the disk",
        NODE,
        "                self.outbox.forget(mark.author)\n",
        "                pass\n",
        (f"{_ATTACKS}::test_the_marks_on_disk_are_those_in_memory",),
    ),
    Mutation(
        "nobody comes in before everything is served",
        NODE,
        "        mesh.serve(STATUS_PROTOCOL, answer.status)\n",
        "        await mesh.listen()\n        mesh.serve(STATUS_PROTOCOL, answer.status)\n",
        (f"{_STARTS}::test_everything_is_served_before_anybody_is_let_in",),
    ),
    Mutation(
        "a node that is ready listens",
        NODE,
        "                await mesh.listen()\n",
        "                self._tell_ready(mesh)\n                await mesh.listen()\n",
        (f"{_STARTS}::test_who_says_that_it_is_ready_listens",),
    ),
    Mutation(
        "leaving is said",
        NODE,
        "                    await announcer.leave()\n",
        "",
        (f"{_STORIES}::test_a_provider_that_leaves_in_order_is_known_to_have_left",),
    ),
    Mutation(
        "what waits is written on leaving",
        NODE,
        "            await persist.drain()\n",
        "            pass\n",
        (f"{_STARTS}::test_who_provided_is_on_disk_with_its_last_word_after_leaving",),
    ),
    Mutation(
        "what could not be written before the end is told",
        PERSIST,
        "            if left := len(self._outbox):\n",
        "            if (left := len(self._outbox)) < 0:\n",
        (
            "tests/services/test_persist.py"
            "::test_a_drain_writes_what_waits_and_tells_what_it_could_not",
        ),
    ),
    Mutation(
        "what could not be written before the end is the exit code's",
        RUN,
        "return LEFT_BEHIND if ready_line.has_left_behind else 0",
        "return 0",
        (
            "tests/processes/test_restart_and_leave.py"
            "::test_who_cannot_write_before_it_ends_says_so_with_its_exit_code",
        ),
    ),
    Mutation(
        "a shutdown takes no longer than it may",
        RUN,
        "with trio.move_on_after(shutdown_s):",
        "with trio.move_on_after(1e9):",
        ("tests/cli/test_run.py::test_a_node_that_takes_too_long_to_leave_is_ended",),
    ),
    Mutation(
        "the last word of each is put to what waits on leaving",
        NODE,
        "            remember.keep(everything=True)\n",
        "            pass\n",
        (f"{_STARTS}::test_who_provided_is_on_disk_with_its_last_word_after_leaving",),
    ),
)

MUTATIONS = (*CONFIGURATION, *SECRETS, *LINES, *SOURCES, *LIFE)
