"""What is on disk: whole transactions, checksums, marks that never go back, one process."""

from tests.mutation.mutation import Mutation

DATABASE = "meshnode/adapters/storage/database.py"
DATADIR = "meshnode/adapters/datadir.py"
OPENING = "meshnode/adapters/storage/opening.py"
PORTAL = "meshnode/adapters/storage/portal.py"
ROWS = "meshnode/adapters/storage/rows.py"
SQLITE = "meshnode/adapters/storage/sqlite.py"
TABLES = "meshnode/adapters/storage/tables.py"

_CONTRACT = "tests/contract/test_store_contract.py"
_DAMAGE = "tests/adapters/storage/test_damage.py"
_PORTAL = "tests/adapters/storage/test_portal.py"
_SQLITE = "tests/adapters/storage/test_sqlite.py"
_DATADIR = "tests/adapters/test_datadir.py"

ROW_CHECKS = (
    Mutation(
        "the checksum of a quote",
        ROWS,
        "if quote_checksum(asset, author, *content) != checksum:",
        "if False:",
        (f"{_DAMAGE}::test_a_flipped_byte_of_a_name_is_noticed",),
    ),
    Mutation(
        "the checksum of an envelope",
        ROWS,
        "if envelope_checksum(author, epoch, seq, raw) != checksum:",
        "if False:",
        (f"{_DAMAGE}::test_a_damaged_envelope_is_left_out",),
    ),
    Mutation(
        "the checksum of a mark",
        ROWS,
        "if mark_checksum(author, topic, epoch, seq) != checksum:",
        "if False:",
        (f"{_DAMAGE}::test_a_damaged_mark_is_raised_to_what_its_authors_quotes_show",),
    ),
    Mutation(
        "the checksum of our own epoch",
        ROWS,
        "if epoch_checksum(epoch) == checksum:",
        "if True:",
        (f"{_DAMAGE}::test_a_damaged_epoch_falls_back_on_the_clock",),
    ),
    Mutation(
        "a damaged mark is raised to what its quotes show",
        TABLES,
        "marks=tuple(sound if len(sound) == len(marks) else rows.marks_covering(latest, sound)),",
        "marks=tuple(sound),",
        (f"{_DAMAGE}::test_a_damaged_mark_is_raised_to_what_its_authors_quotes_show",),
    ),
    Mutation(
        "damaged text spoils its own rows only",
        OPENING,
        "        connection.text_factory = _text\n",
        "",
        (f"{_DAMAGE}::test_a_name_that_is_no_text_any_more_spoils_its_own_rows_only",),
    ),
)

TRANSACTIONS = (
    Mutation(
        "a transaction that fails is rolled back",
        DATABASE,
        "            await _roll_back(connection)\n",
        "",
        (f"{_SQLITE}::test_a_commit_that_fails_half_way_wrote_nothing",),
    ),
    Mutation(
        "a batch is one transaction",
        DATABASE,
        '            await connection.execute("BEGIN IMMEDIATE")\n',
        "",
        (f"{_SQLITE}::test_a_commit_that_fails_half_way_wrote_nothing",),
    ),
    Mutation(
        "a question waits for the transaction before it",
        DATABASE,
        "        async with self._lock:\n            if self.fault or self._connection is None:",
        "        if True:\n            if self.fault or self._connection is None:",
        (f"{_SQLITE}::test_what_is_not_committed_is_not_read",),
    ),
    Mutation(
        "names are learnt again after a failure",
        DATABASE,
        "            self._known.names_valid = False\n            await",
        "            await",
        (_SQLITE,),
    ),
    Mutation(
        "marks never go back",
        TABLES,
        "if before is None or (epoch, seq) > before:",
        "if True:",
        (f"{_CONTRACT}::test_marks_never_go_back",),
    ),
    Mutation(
        "our epoch only grows",
        DATABASE,
        "epoch = max(last + 1, now_s)",
        "epoch = now_s",
        (f"{_CONTRACT}::test_epochs_only_grow_whatever_the_clock_says",),
    ),
    Mutation(
        "our epoch is written before it is used",
        DATABASE,
        "            await tables.write_epoch(connection, epoch)\n",
        "",
        (f"{_CONTRACT}::test_epochs_only_grow_whatever_the_clock_says",),
    ),
    Mutation(
        "the disk is waited for",
        OPENING,
        "PRAGMA synchronous = FULL;",
        "PRAGMA synchronous = NORMAL;",
        (f"{_SQLITE}::test_it_is_durable_and_compact_by_its_settings",),
    ),
    Mutation(
        "the log is written ahead",
        OPENING,
        "PRAGMA journal_mode = WAL;\n",
        "",
        (f"{_SQLITE}::test_it_is_durable_and_compact_by_its_settings",),
    ),
    Mutation(
        "marks and quotes travel together",
        "meshnode/services/intake.py",
        "self._outbox.put(applied, message.name)",
        "self._outbox.put(applied)",
        ("tests/node/test_attacks.py::test_a_replay_is_refused_after_the_receiver_s_restart",),
    ),
    Mutation(
        "quotes travel with their marks",
        "meshnode/services/intake.py",
        "self._outbox.put(applied, message.name)",
        "self._outbox.put(Applied(), message.name)",
        (
            "tests/node/test_stories.py"
            "::test_what_a_node_kept_is_served_after_its_restart_without_any_peer",
        ),
    ),
    Mutation(
        "the marks of the forgotten go",
        TABLES,
        "    await connection.executemany(_DROP_MARKS, gone)\n",
        "",
        (f"{_CONTRACT}::test_marks_take_no_more_room_however_many_authors_come_and_go",),
    ),
    Mutation(
        "the forgotten go themselves",
        TABLES,
        "    await connection.executemany(_DROP_AUTHOR, gone)\n",
        "",
        (f"{_SQLITE}::test_of_a_forgotten_author_no_row_is_left_nor_a_promise",),
    ),
    Mutation(
        "nobody is forgotten whose quotes are stored",
        TABLES,
        "if id_ is None or id_ in known.quoted or await _fetch(connection, _HAS_ENVELOPE, (id_,)):",
        "if id_ is None:",
        (f"{_CONTRACT}::test_a_forgotten_author_s_marks_go_unless_its_quotes_are_stored",),
    ),
)

FILES = (
    Mutation(
        "a file that was removed is noticed",
        DATABASE,
        "if identity_of(self._path) != self._files:",
        "if False:",
        (f"{_SQLITE}::test_a_file_removed_under_us_is_noticed_and_written_anew",),
    ),
    Mutation(
        "a damaged file is put aside",
        DATABASE,
        "                self._put_aside(self._damage)\n",
        "",
        (f"{_DAMAGE}::test_marks_and_epoch_outlive_a_file_found_damaged_in_use",),
    ),
    Mutation(
        "what was put aside is not overwritten",
        "meshnode/adapters/storage/files.py",
        '.damaged-{number}")).exists():',
        '.damaged-{number}")).exists() and False:',
        (f"{_DAMAGE}::test_garbage_is_put_aside_under_the_next_free_name",),
    ),
    Mutation(
        "a newer version is left alone",
        OPENING,
        "if version > schema.VERSION:",
        "if False:",
        ("tests/adapters/storage/test_schema.py",),
    ),
    Mutation(
        "tables that are not ours are not used",
        OPENING,
        "if version not in schema.TABLES or not found.issuperset(schema.TABLES[version]):",
        "if version not in schema.TABLES:",
        ("tests/adapters/storage/test_schema.py::test_tables_that_are_not_ours_are_put_aside",),
    ),
    Mutation(
        "the store is closed whatever happens",
        SQLITE,
        "with trio.CancelScope(shield=True):",
        "with trio.CancelScope():",
        (f"{_SQLITE}::test_a_cancelled_node_closes_its_file_all_the_same",),
    ),
    Mutation(
        "a store answers in time",
        PORTAL,
        "async with asyncio.timeout(timeout_s):",
        "async with asyncio.timeout(None):",
        (f"{_PORTAL}::test_the_time_limit_is_kept_by_the_other_side",),
    ),
    Mutation(
        "calls to a store are bounded",
        PORTAL,
        "if self._in_flight >= PORTAL_CALLS_MAX:",
        "if False:",
        (f"{_PORTAL}::test_too_many_calls_are_refused_and_counted",),
    ),
    Mutation(
        "history is bounded",
        SQLITE,
        "rows_max = min(limit, HISTORY_ROWS_MAX)",
        "rows_max = limit",
        (f"{_SQLITE}::test_history_has_a_bound_of_its_own",),
    ),
    Mutation(
        "a commit that is cancelled loses nothing",
        "meshnode/services/persist.py",
        "                self._outbox.give_back(batch)\n",
        "                pass\n",
        ("tests/services/test_persist.py::test_a_commit_that_is_cancelled_loses_nothing",),
    ),
    Mutation(
        "a mark put aside does not wait for ever",
        "meshnode/services/persist.py",
        "        if now >= self._look_at:\n",
        "        if False:\n",
        ("tests/services/test_persist.py::test_marks_put_aside_do_not_wait_for_ever",),
    ),
    Mutation(
        "a consumer's word alone is not written at once",
        "meshnode/services/intake.py",
        "self._outbox.raise_mark(message.name)",
        "self._outbox.put(_NOTHING, message.name)",
        ("tests/services/test_remember.py::test_a_consumer_s_word_alone_is_written_with_others",),
    ),
    Mutation(
        "a store that was begun anew is filled",
        "meshnode/services/persist.py",
        "if self._store.generation != self._generation:",
        "if False:",
        ("tests/services/test_persist.py::test_a_store_that_was_begun_anew_is_filled_from_memory",),
    ),
)

HOME = (
    Mutation(
        "one process a directory",
        DATADIR,
        "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        (f"{_DATADIR}::test_a_second_process_is_told_who_holds_the_directory",),
    ),
    Mutation(
        "a key that others can read is refused",
        DATADIR,
        "if mode & 0o077:",
        "if False:",
        (f"{_DATADIR}::test_a_key_that_others_can_read_is_refused_with_the_remedy",),
    ),
    Mutation(
        "nobody else can read what is made",
        DATADIR,
        "path.mkdir(mode=0o700, parents=True, exist_ok=True)",
        "path.mkdir(parents=True, exist_ok=True)",
        (f"{_DATADIR}::test_alice_keeps_her_identity_and_nobody_else_can_read_it",),
    ),
    Mutation(
        "a broken key is refused",
        DATADIR,
        "if not _SEED.fullmatch(content):",
        "if False:",
        (f"{_DATADIR}::test_a_broken_key_is_refused_and_never_replaced",),
    ),
    Mutation(
        "a key is never replaced",
        DATADIR,
        "file.hardlink_to(temporary)",
        "file.write_bytes(temporary.read_bytes())",
        (f"{_DATADIR}::test_a_key_made_by_another_in_the_meantime_stands",),
    ),
    Mutation(
        "what a killed process left is cleared away",
        DATADIR,
        "            (path / NODE_FILE).unlink(missing_ok=True)\n",
        "",
        (f"{_DATADIR}::test_what_a_killed_process_left_is_cleared_away",),
    ),
)

MUTATIONS = (*ROW_CHECKS, *TRANSACTIONS, *FILES, *HOME)
