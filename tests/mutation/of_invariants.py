"""Rules that the simulator's checkers protect: without one of them, a run on few seeds fails."""

from tests.mutation.mutation import Mutation

_DIALS = (
    "tests/simulation/test_dials.py"
    "::test_what_mallory_names_is_not_dialled_but_for_what_anybody_may_name",
)
_LIARS = ("tests/simulation/test_scenarios.py::test_what_mallory_tries_is_in_vain",)

MUTATIONS = (
    Mutation(
        "simulated: the signature of what is gossiped",
        "meshnode/core/admission.py",
        "        if envelope is not self._sealed and not envelope.is_authentic():\n"
        "            return Rejected(Reason.BAD_SIGNATURE)\n",
        "",
        _LIARS,
    ),
    Mutation(
        "simulated: only who is on the allowlist is admitted",
        "meshnode/core/admission.py",
        "        return self._allowlist is None or author in self._allowlist\n",
        "        return True\n",
        _LIARS,
    ),
    Mutation(
        "simulated: a body has one form",
        "protocols/codec.py",
        "if pack(tree) != body:",
        "if False:",
        _LIARS,
    ),
    Mutation(
        "simulated: an envelope has one form",
        "protocols/codec.py",
        "if pack_envelope(body, signature) != raw:",
        "if False:",
        _LIARS,
    ),
    Mutation(
        "simulated: gossip is its author's",
        "meshnode/core/admission.py",
        "        if message.author != sender:\n            return Rejected(Reason.WRONG_AUTHOR)\n",
        "",
        _LIARS,
    ),
    Mutation(
        "simulated: a name is marked",
        "meshnode/core/admission.py",
        "        self._names.mark(name, digest, now_ns)\n",
        "",
        _LIARS,
    ),
    Mutation(
        "simulated: a known name is refused",
        "meshnode/core/admission.py",
        "        if standing is Standing.KNOWN:\n            return Ignored(Reason.KNOWN)\n"
        "        if standing is Standing.TOO_OLD:",
        "        if standing is Standing.TOO_OLD:",
        _LIARS,
    ),
    Mutation(
        "simulated: what was said long ago is refused",
        "meshnode/core/admission.py",
        "        mistimed = _ahead(message, now_ns) or _behind(message, now_ns)\n",
        "        mistimed = _ahead(message, now_ns)\n",
        _LIARS,
    ),
    Mutation(
        "simulated: what is of a time to come is refused",
        "meshnode/core/admission.py",
        "        mistimed = _ahead(message, now_ns) or _behind(message, now_ns)\n",
        "        mistimed = _behind(message, now_ns)\n",
        _LIARS,
    ),
    Mutation(
        "simulated: late messages have a window",
        "meshnode/core/names.py",
        "        self.prices = NameWindow(NAME_WINDOW)\n",
        "        self.prices = NameWindow(0)\n",
        ("tests/simulation/test_checkers.py::test_an_update_that_comes_late_is_not_lost",),
    ),
    Mutation(
        "simulated: marks on disk count after a restart",
        "meshnode/node.py",
        "            if not self.names.restore(mark, now_ns):\n"
        "                self.outbox.forget(mark.author)\n",
        "            pass\n",
        _LIARS,
    ),
    Mutation(
        "simulated: what a commit that failed held is written by a later one",
        "meshnode/services/persist.py",
        "                self._outbox.give_back(batch)\n",
        "                pass\n",
        ("tests/simulation/test_scenarios.py::test_a_scenario_holds",),
    ),
    Mutation(
        "simulated: loopback is not dialled on a stranger's word",
        "meshnode/core/dial_rules.py",
        "case Refusal.LOOPBACK if self._loopback:",
        "case Refusal.LOOPBACK:",
        _DIALS,
    ),
    Mutation(
        "simulated: names are for seeds",
        "meshnode/core/dial_rules.py",
        "        if place.transport[0] in _NAME_KINDS:\n            return Refusal.NAME\n",
        "        if place.transport[0] in _NAME_KINDS:\n            return place.spelt\n",
        _DIALS,
    ),
    Mutation(
        "simulated: transports that we don't speak are not dialled",
        "meshnode/core/dial_rules.py",
        "        if not (self._speaks_tcp if is_tcp else place.transport in self._transports):",
        "        if False:",
        _DIALS,
    ),
    Mutation(
        "simulated: nobody dials himself",
        "meshnode/core/dial_rules.py",
        "return Refusal.OWN if place.spelt in self._own_places else place.spelt",
        "return place.spelt",
        _DIALS,
    ),
    Mutation(
        "simulated: a place is dialled once a second",
        "meshnode/services/dialling.py",
        "        await trio.sleep_until(turn_at)\n",
        "        await trio.lowlevel.checkpoint()\n",
        _DIALS,
    ),
)
