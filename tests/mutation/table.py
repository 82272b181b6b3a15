"""Every guard that is taken out."""

from tests.mutation import (
    of_clocks,
    of_connections,
    of_discovery,
    of_flow,
    of_gossip,
    of_inquiry,
    of_invariants,
    of_memory,
    of_node,
    of_presence,
    of_queries,
    of_store,
    of_sweeps,
    of_tracking,
    of_verdicts,
    of_wire,
)

MUTATIONS = (
    *of_verdicts.MUTATIONS,
    *of_memory.MUTATIONS,
    *of_wire.MUTATIONS,
    *of_queries.MUTATIONS,
    *of_store.MUTATIONS,
    *of_node.MUTATIONS,
    *of_connections.MUTATIONS,
    *of_discovery.MUTATIONS,
    *of_flow.MUTATIONS,
    *of_gossip.MUTATIONS,
    *of_invariants.MUTATIONS,
    *of_presence.MUTATIONS,
    *of_tracking.MUTATIONS,
    *of_sweeps.MUTATIONS,
    *of_inquiry.MUTATIONS,
    *of_clocks.MUTATIONS,
)
