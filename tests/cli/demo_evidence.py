"""A story told by hand: what the nodes of a demo say when everything happens."""

from collections.abc import Mapping

from meshnode.cli.demo.story import LISTENERS, NEWCOMER, PROVIDER, Joined, Story
from protocols.queries import PriceAnswer, WatchEvent
from protocols.timestamps import rfc3339

NS_PER_MS = 10**6
START_NS = 1_700_000_000 * 10**9
KILLED_MS, READY_AGAIN_MS, CONNECTED_MS = 10_000, 20_000, 25_000
IDS = {name: f"12D3KooW{name}" for name in (PROVIDER, *LISTENERS, NEWCOMER)}


def at_ns(ms: int) -> int:
    return START_NS + ms * NS_PER_MS


def answer(
    price: str = "39432.48",
    *,
    observed_ms: int,
    received_ms: int,
    state: str = "fresh",
    age_s: int = 0,
) -> PriceAnswer:
    return PriceAnswer(
        price="39432.48",
        provider_id=IDS[PROVIDER],
        observed=rfc3339(at_ns(observed_ms)),
        received=rfc3339(at_ns(received_ms)),
        age_s=age_s,
        state=state,
    )


def event(kind: str, ms: int, fields: Mapping[str, object]) -> WatchEvent:
    return WatchEvent(kind, rfc3339(at_ns(ms)), fields)


def update(
    story: Story, name: str, ms: int, *, late_ms: int = 5, price: str = "39432.48"
) -> list[str]:
    """A node tells of a price that was observed at `ms` and took `late_ms`; the moments' events."""
    fields = {
        "prices": {"BTCUSDT": answer(price, observed_ms=ms, received_ms=ms + late_ms).to_map()}
    }
    moments = story.told(name, event("price", ms + late_ms, fields), ms / 1000)
    return [moment.event for moment in moments]


def provider(story: Story, name: str, ms: int, **fields: object) -> list[str]:
    told = {"provider_id": IDS[PROVIDER], **fields}
    return [moment.event for moment in story.told(name, event("provider", ms, told), ms / 1000)]


def flow(story: Story) -> None:
    for name, node_id in IDS.items():
        story.ready(name, node_id, at_ns(0))
    for ms in (1000, 1100, 1200, 1300):
        for name, late_ms in ((PROVIDER, 2), ("bob", 5), ("carol", 8)):
            update(story, name, ms, late_ms=late_ms)


def lose(story: Story, *, warned: bool = True, ages_s: tuple[int, ...] = (1, 3)) -> None:
    story.killed_ns = at_ns(KILLED_MS)
    for name, after_ms in (("bob", 200), ("carol", 300)):
        provider(story, name, KILLED_MS + after_ms, change="lost", cause="connection")
        if warned:
            warnings = ({"code": "NO_PROVIDERS", "message": "No live data sources"},)
            story.told(name, event("warning", KILLED_MS + 1000, {"warnings": warnings}), 11.0)
        for age_s in ages_s:
            held = answer(observed_ms=1300, received_ms=1305, state="cached", age_s=age_s)
            story.asked(name, {"BTCUSDT": held}, 11.0 + age_s)


def bring_back(story: Story, *, node_id: str = IDS[PROVIDER], change: str = "returned") -> None:
    story.ready(PROVIDER, node_id, at_ns(READY_AGAIN_MS))
    for name in LISTENERS:
        provider(story, name, READY_AGAIN_MS + 100, change=change, gone_s=10)
        update(story, name, READY_AGAIN_MS + 150)


def join(story: Story, *, neighbours: tuple[str, ...] = ("carol",)) -> None:
    story.newcomer_joined(Joined(at_ns(CONNECTED_MS), at_ns(CONNECTED_MS + 42)))
    for ms in (100, 200, 300):
        update(story, NEWCOMER, CONNECTED_MS + ms)
    story.newcomer_connected(neighbours)


def whole_story() -> Story:
    story = Story()
    flow(story)
    lose(story)
    bring_back(story)
    join(story)
    return story
