"""Sweeps pass over providers whose turn has not come: what brings the next look forward."""

from tests.mutation.mutation import Mutation

DOUBTS = "meshnode/core/doubts.py"
PROVIDERS = "meshnode/core/providers.py"

_SWEEPS = "tests/core/test_sweeps.py"

MUTATIONS = (
    Mutation(
        "who is new is looked at in time",
        PROVIDERS,
        "            self._table.heard(record)\n            self.doubts.attend(record)\n",
        "            self._table.heard(record)\n",
        (_SWEEPS,),
    ),
    Mutation(
        "who is remembered is looked at in time",
        PROVIDERS,
        "        self.doubts.listen_from(now)\n        self.doubts.attend(record)\n",
        "        self.doubts.listen_from(now)\n",
        (f"{_SWEEPS}::test_who_is_remembered_is_looked_at",),
    ),
    Mutation(
        "who broke off is looked at at once",
        DOUBTS,
        "        self.attend(record)\n",
        "",
        (f"{_SWEEPS}::test_who_broke_off_is_looked_at_at_once",),
    ),
    Mutation(
        "who is heard puts off the look at nobody else",
        DOUBTS,
        "self._look_at = min(self._look_at, self._matters_at(record))",
        "self._look_at = self._matters_at(record)",
        (f"{_SWEEPS}::test_who_speaks_puts_off_the_look_at_nobody_else",),
    ),
    Mutation(
        "who is refused for its time is looked at at once",
        DOUBTS,
        "if now < self._look_at and not refused:",
        "if now < self._look_at:",
        (_SWEEPS,),
    ),
)
