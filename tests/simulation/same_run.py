"""A process of its own that runs a small world, and prints its fingerprint."""

import sys

from simulations.determinism import ensure_hash_seed
from simulations.runner import Setup, simulate
from simulations.scenario import load

NODES = 6


def main() -> None:
    """`same_run SCENARIO SEED MINUTES STACK`; prints how much happened as well."""
    ensure_hash_seed()
    name, seed, minutes, stack = sys.argv[1:]
    outcome = simulate(Setup(load(name), NODES, int(seed), float(minutes), stack))
    print(outcome.trace, outcome.accepted, len(outcome.story))


if __name__ == "__main__":
    main()
