import pytest

from meshnode.adapters.storage import memory
from meshnode.adapters.storage.memory import MemoryStore
from meshnode.ports import Batch
from tests.adapters.storage.story import quote_at


async def test_the_history_of_an_asset_is_bounded_and_says_what_it_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "TICKS_PER_ASSET_MAX", 5)
    store = MemoryStore()
    await store.commit(Batch(ticks=[quote_at(seq) for seq in range(8)]))
    await store.commit(Batch(ticks=[quote_at(1, "ETH-USD")]))
    assert [stored.seq for stored in await store.history("BTC-USD", 99)] == [7, 6, 5, 4, 3]
    assert len(await store.history("ETH-USD", 99)) == 1
    assert store.dropped_ticks == 3
