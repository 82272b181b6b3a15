"""What the nodes were seen to do, and whether it is the whole story. Pure: instants are arguments.

Instants `…_ns` are Unix time, which is one clock here: every node runs on this machine. `now` is
seconds of any steady clock.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from meshnode.cli.demo.moments import Moment, Row
from meshnode.cli.render import short_id
from meshnode.core.safe_text import one_line
from protocols.queries import PriceAnswer, WatchEvent
from protocols.timestamps import ns_from_rfc3339

PROVIDER, LISTENERS, NEWCOMER = "alice", ("bob", "carol"), "dave"
INTRODUCER = "carol"  # the one node whose address the newcomer knows
UPDATES_MIN = 3  # prices that move: the first could be a lucky one
SAMPLES_MAX = 10_000  # updates whose journey is timed; later ones are counted only
RATE_WINDOW_S = 3.0
NO_PROVIDERS = "NO_PROVIDERS"
NS_PER_MS = 10**6

UpdateKey = tuple[str, str]  # asset and `observed`: one quote of the one provider


class Step(Enum):
    """The steps of the story, in order, each as what must have been seen."""

    FLOW = "bob and carol got moving prices from alice"
    LOSS = "bob and carol noticed that alice was gone, warned, and served her prices as cached"
    RETURN = "bob and carol knew alice again, as returned, and had fresh prices of her"
    JOIN = "dave had every price from carol, and then heard alice through her"


@dataclass(slots=True)
class NodeView:
    """What one node told, and what was seen of it."""

    served: dict[str, tuple[PriceAnswer, float]] = field(default_factory=dict)
    updates: int = 0
    rate: deque[float] = field(default_factory=deque)
    received_ns: dict[UpdateKey, int] = field(default_factory=dict)
    lost_ns: int | None = None
    warning: str | None = None
    cached_ages_s: list[int] = field(default_factory=list)
    return_seen: str | None = None  # `returned`, or `new` if it was not recognised
    fresh_ns: int | None = None

    @property
    def newest(self) -> UpdateKey | None:
        """The newest update it got."""
        return next(reversed(self.received_ns), None)


@dataclass(frozen=True, slots=True)
class Joined:
    """How the newcomer joined: when it was connected, when it had every price of its peer."""

    connected_ns: int
    caught_up_ns: int

    @property
    def took_ms(self) -> int:
        """From the one to the other."""
        return (self.caught_up_ns - self.connected_ns) // NS_PER_MS


class Story:
    """Collects evidence; `told` and its siblings return what is worth a sentence."""

    def __init__(self) -> None:
        self.views = {name: NodeView() for name in (PROVIDER, *LISTENERS, NEWCOMER)}
        self.names: dict[str, str] = {}  # by node id
        self.killed_ns: int | None = None
        self.ready_again_ns: int | None = None
        self.joined: Joined | None = None
        self.neighbours: tuple[str, ...] | None = None  # of the newcomer, by name

    # --- what is told -----------------------------------------------------------------------

    def ready(self, name: str, node_id: str, at_ns: int) -> None:
        """A node is ready. The provider's second time counts only under the same id."""
        if name != PROVIDER or self.killed_ns is None:
            self.names[node_id] = name
        elif self.names.get(node_id) == name:
            self.ready_again_ns = at_ns

    def newcomer_joined(self, joined: Joined) -> Moment:
        """The newcomer has asked its one peer for everything."""
        self.joined = joined
        count, took_ms = len(self.views[NEWCOMER].served), joined.took_ms
        text = f"{NEWCOMER} has every price ({count}) {took_ms} ms after connecting"
        return Moment("joined", text, {"node": NEWCOMER, "prices": count, "took_ms": took_ms})

    def newcomer_connected(self, neighbours: tuple[str, ...]) -> Moment:
        """Whom the newcomer is connected to, now that updates reach it."""
        self.neighbours = neighbours
        peers = ", ".join(neighbours) or "nobody"
        text = f"{NEWCOMER} hears {PROVIDER}'s updates; it is connected to {peers} only"
        return Moment("relayed", text, {"node": NEWCOMER, "peers": list(neighbours)})

    def told(self, name: str, event: WatchEvent, now: float) -> list[Moment]:
        """An event of a node's watch. Raises Malformed for prices that are none."""
        match event.event:
            case "price":
                answers = event.fields.get("prices")
                found = answers if isinstance(answers, Mapping) else {}
                prices = {asset: PriceAnswer.from_map(a, asset) for asset, a in found.items()}
                return self._update(name, prices, now)
            case "provider":
                return self._provider(name, event)
            case "warning":
                return self._warning(name, event)
            case _:
                return []

    def asked(self, name: str, prices: Mapping[str, PriceAnswer], now: float) -> list[Moment]:
        """What a node answered to a query for its prices."""
        view, moments = self.views[name], []
        for asset, answer in prices.items():
            view.served[asset] = answer, now
            if answer.state != "cached" or view.lost_ns is None or answer.age_s is None:
                continue
            if not view.cached_ages_s:
                price = f"{one_line(asset)} {one_line(answer.price)}"
                text = f"{name} goes on serving {price}, marked cached, {answer.age_s} s old"
                fields = {"node": name, "asset": asset, "price": answer.to_map()}
                moments.append(Moment("cached", text, fields))
            view.cached_ages_s.append(answer.age_s)
        return moments

    # --- what is known ----------------------------------------------------------------------

    def is_between_updates(self) -> bool:
        """Whether all listeners have the same newest update: none is on its way."""
        newest = {self.views[name].newest for name in LISTENERS}
        return len(newest) == 1 and None not in newest

    def newcomer_has_every_price(self) -> bool:
        """Whether the newcomer serves whatever the node serves that it asked."""
        return self.views[NEWCOMER].served.keys() >= self.views[INTRODUCER].served.keys() > set()

    def rows(self, now: float) -> list[Row]:
        """The table: every price of every consumer, as it served it last, ages counted on."""
        rows = []
        for name in (*LISTENERS, NEWCOMER):
            view = self.views[name]
            while view.rate and view.rate[0] <= now - RATE_WINDOW_S:
                view.rate.popleft()
            for asset, (answer, told_at) in sorted(view.served.items()):
                age_s = None if answer.age_s is None else answer.age_s + int(now - told_at)
                provider = self.names.get(answer.provider_id or "", short_id(answer.provider_id))
                per_s = round(len(view.rate) / RATE_WINDOW_S)
                rows.append(Row(name, asset, answer.price, age_s, answer.state, provider, per_s))
        return rows

    def has(self, step: Step) -> bool:
        """Whether everything was seen that the step says."""
        listeners = [self.views[name] for name in LISTENERS]
        match step:
            case Step.FLOW:
                return all(view.updates >= UPDATES_MIN for view in listeners)
            case Step.LOSS:
                return all(
                    view.lost_ns is not None and view.warning is not None and _grew(view)
                    for view in listeners
                )
            case Step.RETURN:
                return self.ready_again_ns is not None and all(
                    view.return_seen == "returned" and view.fresh_ns is not None
                    for view in listeners
                )
            case Step.JOIN:
                return (
                    self.joined is not None
                    and self.newcomer_has_every_price()
                    and self.neighbours == (INTRODUCER,)
                    and self.views[NEWCOMER].updates >= UPDATES_MIN
                )

    def missing(self) -> tuple[Step, ...]:
        """The steps that did not happen, in order; none is what exit code 0 says."""
        return tuple(step for step in Step if not self.has(step))

    # --- inside -----------------------------------------------------------------------------

    def _update(self, name: str, prices: Mapping[str, PriceAnswer], now: float) -> list[Moment]:
        view, moments = self.views[name], []
        for asset, answer in prices.items():
            view.served[asset] = answer, now
            if self.names.get(answer.provider_id or "") != PROVIDER or answer.state != "fresh":
                continue
            if answer.observed is None or answer.received is None:
                continue
            received_ns = ns_from_rfc3339(answer.received)
            if len(view.received_ns) < SAMPLES_MAX:
                view.received_ns[asset, answer.observed] = received_ns
            view.updates += 1
            view.rate.append(now)
            if name == PROVIDER:
                continue
            price = f"{one_line(asset)} {one_line(answer.price)}"
            fields = {"node": name, "asset": asset, "price": answer.to_map()}
            if view.updates == 1 and name in LISTENERS:
                text = f"{name} has a price of {PROVIDER}: {price}"
                moments.append(Moment("first_price", text, fields))
            if view.lost_ns is not None and view.fresh_ns is None and received_ns > view.lost_ns:
                view.fresh_ns = received_ns
                moments.append(
                    Moment("fresh", f"{name} serves fresh prices again: {price}", fields)
                )
        return moments

    def _provider(self, name: str, event: WatchEvent) -> list[Moment]:
        view, at_ns = self.views[name], ns_from_rfc3339(event.time)
        change = event.fields.get("change")
        if self.names.get(str(event.fields.get("provider_id"))) != PROVIDER or name == PROVIDER:
            return []
        if self.killed_ns is None or at_ns < self.killed_ns:
            return []
        if change == "lost" and view.lost_ns is None:
            view.lost_ns = at_ns
            after_ms = (at_ns - self.killed_ns) // NS_PER_MS
            cause = event.fields.get("cause")
            why = "its connection broke" if cause == "connection" else f"cause: {cause}"
            text = f"{name} noticed after {after_ms} ms: {one_line(why)}"
            return [Moment("lost", text, {"node": name, "after_ms": after_ms, "cause": cause})]
        if change in ("returned", "new") and view.lost_ns is not None and not view.return_seen:
            view.return_seen = str(change)
            gone_s = event.fields.get("gone_s")
            text = (
                f"{name} knows {PROVIDER} again: returned after {gone_s} s, not a new provider"
                if change == "returned"
                else f"{name} takes {PROVIDER} for a new provider"
            )
            return [Moment("returned", text, {"node": name, "change": change, "gone_s": gone_s})]
        return []

    def _warning(self, name: str, event: WatchEvent) -> list[Moment]:
        view = self.views[name]
        for warning in _maps(event.fields.get("warnings")):
            if warning.get("code") == NO_PROVIDERS and view.lost_ns and view.warning is None:
                view.warning = one_line(str(warning.get("message")))
                text = f'{name} warns: "{view.warning}"'
                return [Moment("warning", text, {"node": name, **warning})]
        return []


def _grew(view: NodeView) -> bool:
    """Whether the same price was served from the cache at two ages: it is kept, and it ages."""
    return bool(view.cached_ages_s) and view.cached_ages_s[-1] > view.cached_ages_s[0]


def _maps(value: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(value, Sequence):
        return ()
    return [item for item in value if isinstance(item, Mapping)]
