"""Every way is long, and three links in ten stall and break, again and again."""

from simulations.scenarios.bad_links import suffer
from simulations.stage import Stage

NODES, MINUTES = 20, 10
SHARE = 0.3


async def play(stage: Stage) -> None:
    """As with bad links, only more of them."""
    await suffer(stage, SHARE)
