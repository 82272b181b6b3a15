"""The mutations fit the source; and, behind the marker, every one of them is noticed."""

from collections import Counter

import pytest

from tests.mutation.__main__ import main
from tests.mutation.mutation import Mutation, StaleMutation
from tests.mutation.table import MUTATIONS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.guard)
def test_a_mutation_fits_the_source(mutation: Mutation) -> None:
    mutation.check()


def test_each_guard_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(m.guard for m in MUTATIONS).items() if count > 1] == []


@pytest.mark.parametrize("source", ["", "guard()\nguard()\n"])
def test_a_guard_that_is_not_there_once_is_noticed(source: str) -> None:
    mutation = Mutation("a guard", "x.py", "guard()", "pass", ())
    assert mutation.applied("guard()\n") == "pass\n"
    with pytest.raises(StaleMutation, match="times"):
        mutation.applied(source)


def test_a_mutant_is_python() -> None:
    with pytest.raises(StaleMutation, match="no Python"):
        Mutation("a guard", "x.py", "guard()", "(", ()).applied("guard()\n")


@pytest.mark.long
def test_whatever_guard_is_taken_out_a_test_fails() -> None:
    assert main([]) == 0
