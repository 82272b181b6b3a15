"""The mesh's contract is kept by real hosts and by the model."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.worlds import OpenWorld, World, libp2p, model


@pytest.fixture(params=[libp2p, model])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    open_world: OpenWorld = request.param
    async with open_world() as made:
        yield made
