"""A process of its own that runs a small world of real hosts, and prints its fingerprint."""

import sys

from simulations.determinism import ensure_hash_seed
from simulations.runner import Setup, simulate
from simulations.scenario import load

NODES, MINUTES = 6, 0.25


def main() -> None:
    """`same_run SCENARIO SEED`."""
    ensure_hash_seed()
    scenario, seed = load(sys.argv[1]), int(sys.argv[2])
    outcome = simulate(Setup(scenario, NODES, seed, MINUTES, "libp2p"))
    print(outcome.trace, outcome.accepted)


if __name__ == "__main__":
    main()
