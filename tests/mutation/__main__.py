"""`python -m tests.mutation [WORDS]`: exit 1 where a guard's absence is not noticed."""

import sys

from tests.mutation.bench import Result, check_baseline, open_copies, try_all
from tests.mutation.mutation import StaleMutation
from tests.mutation.table import MUTATIONS

JOBS = 2


def main(words: list[str]) -> int:
    """Try the mutations whose guard or file holds all the words; returns the exit code."""
    chosen = [m for m in MUTATIONS if all(word in f"{m.guard} {m.file}" for word in words)]
    try:
        for mutation in chosen:
            mutation.check()
    except StaleMutation as error:
        print(f"stale: {error}")
        return 1
    if not chosen:
        print("no such mutation")
        return 2
    with open_copies(JOBS) as copies:
        failed = check_baseline(copies[0], chosen)
        if failed is not None:
            print(f"{failed}\nthe tests fail without any mutation")
            return 1
        results = try_all(copies, chosen, tell)
    escaped = [result for result in results if not result.is_proof]
    for result in escaped:
        print(f"\n{result.outcome.value}: {result.mutation.guard}\n{result.output}")
    print(f"\n{len(results)} guards taken out, {len(escaped)} not noticed")
    return 1 if escaped else 0


def tell(result: Result) -> None:
    """One line a mutation."""
    mutation = result.mutation
    tests = " ".join(mutation.tests)
    print(
        f"{result.outcome.value:9} {mutation.guard} | {mutation.file} | {tests}"
        f" ({result.took_s:.1f} s)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
