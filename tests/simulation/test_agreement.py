"""Two accounts of one scenario: what counts as the same outcome, and what is named as another."""

from collections.abc import Iterator

import pytest

from meshnode.core.facts import ProviderDiscovered, ProviderLost, ProviderSuspected
from meshnode.services.changes import provider_change
from simulations.account import Account, state_after
from simulations.agreement import Agreement, compare
from simulations.episodes import episodes_of
from simulations.faults import Happening
from simulations.stores import FaultyStore
from simulations.world_node import Part, WorldNode, key_seed

DOWN_S, BACK_S, ENDED_S = 60.0, 160.0, 300.0
LISTENERS = ("bob", "carol", "zoe")


def node(name: str, role: str = "consumer") -> WorldNode:
    return WorldNode(name, key_seed(0, name), "", lambda _: None, FaultyStore(), part=Part(role))


class Told:
    """What is told of a run in which alice and zoe provide, and something befalls alice."""

    def __init__(self) -> None:
        self.account = Account()
        for each in (
            node("alice", "provider"),
            node("zoe", "provider"),
            node("bob"),
            node("carol"),
        ):
            self.account.started(1.0, each)
        for listener in LISTENERS:
            for provider in {"alice", "zoe"} - {listener}:
                self.account.saw(5.0, listener, provider, "active")
                self.account.price(ENDED_S - 2, listener, provider)

    def saw(self, at_s: float, state: str, *listeners: str, of: str = "alice") -> "Told":
        for listener in listeners or LISTENERS:
            self.account.saw(at_s, listener, of, state)
        return self

    def killed(self, *, until_s: float = BACK_S, what: str = "killed") -> Account:
        self.account.ended(DOWN_S, "alice")
        self.account.started(until_s, node("alice", "provider"))
        return self.after((DOWN_S, what), (until_s, "started"))

    def frozen(self, *, until_s: float) -> Account:
        return self.after((DOWN_S, "frozen"), (until_s, "thawed"))

    def after(self, *happenings: tuple[float, str]) -> Account:
        story = [Happening(at_s, what, ("alice",)) for at_s, what in happenings]
        self.account.end(story, ENDED_S)
        return self.account


def lost_and_back() -> Told:
    return Told().saw(70, "suspect").saw(85, "offline").saw(BACK_S + 4, "active")


def test_equal_accounts_agree() -> None:
    agreement = compare(lost_and_back().killed(), lost_and_back().killed())
    assert agreement.holds
    (one,) = agreement.compared
    assert {told.said for pair in one.verdicts for told in pair} == {"offline"}
    assert {told.returned_s for pair in one.verdicts for told in pair} == {4.0}


def test_one_may_notice_at_once_and_another_by_silence() -> None:
    at_once = Told().saw(60.6, "offline").saw(BACK_S + 1, "active").killed()
    assert compare(lost_and_back().killed(), at_once).holds


def only(agreement: Agreement) -> str:
    (sentence,) = agreement.disagreements
    return sentence


def test_who_never_noticed_is_named() -> None:
    real = Told().saw(70, "suspect").saw(85, "offline", "bob", "zoe").saw(BACK_S + 4, "active")
    sentence = only(compare(lost_and_back().killed(), real.killed()))
    assert sentence == (
        "alice killed at 60.0 s for 100.0 s, carol: simulated said offline, real said suspect"
    )


def test_who_noticed_too_late_is_named() -> None:
    real = Told().saw(70, "suspect").saw(85, "offline", "bob", "zoe").saw(150, "offline", "carol")
    real.saw(BACK_S + 4, "active")
    sentence = only(compare(lost_and_back().killed(), real.killed()))
    assert "carol: said offline after 25.0 s simulated, 90.0 s real; 65 s are allowed" in sentence


def test_who_does_not_see_the_return_is_named_with_how_it_ended() -> None:
    real = Told().saw(70, "suspect").saw(85, "offline").saw(BACK_S + 4, "active", "bob", "zoe")
    late, last = compare(lost_and_back().killed(), real.killed()).disagreements
    assert "carol: active again after 4.0 s simulated, never real; 15 s are allowed" in late
    assert last == "in the end carol said of alice: active simulated, offline real"


@pytest.mark.parametrize(
    ("until_s", "state", "agrees"),
    [
        (65, "suspect", False),  # five seconds are nothing
        (80, "suspect", True),
        (80, "offline", False),
        (100, "offline", True),  # the one simulated was not sure yet, and might have been
    ],
)
def test_what_may_be_said_of_who_was_frozen_depends_on_how_long(
    until_s: float, state: str, agrees: bool
) -> None:
    real = Told().saw(until_s - 1, state).saw(until_s + 1, "active")
    agreement = compare(Told().frozen(until_s=until_s), real.frozen(until_s=until_s))
    assert agreement.holds is agrees


def test_leaving_is_known_as_such() -> None:
    told = Told().saw(60.1, "left").saw(BACK_S + 4, "active").killed(what="left in order")
    sentences = compare(told, lost_and_back().killed(what="left in order")).disagreements
    assert len(sentences) == len(LISTENERS)
    assert all("simulated said left, real said offline" in sentence for sentence in sentences)


def test_the_well_must_not_be_accused() -> None:
    real = lost_and_back().saw(200, "offline", "bob", of="zoe").saw(204, "active", "bob", of="zoe")
    assert only(compare(lost_and_back().killed(), real.killed())) == (
        "only in the real run bob said offline of zoe at 200.0 s, with which nothing was the matter"
    )


def test_a_passing_suspicion_is_no_accusation() -> None:
    real = lost_and_back().saw(200, "suspect", "bob", of="zoe").saw(204, "active", "bob", of="zoe")
    assert compare(lost_and_back().killed(), real.killed()).holds


def test_who_is_held_as_flapping_is_not_compared_and_that_is_told() -> None:
    held = lost_and_back().saw(BACK_S + 10, "flapping", "bob")
    held.account.priced["bob", "alice"] = BACK_S  # nor are its prices served
    real = held.killed()
    agreement = compare(lost_and_back().killed(), real)
    assert agreement.holds
    assert agreement.notes == (
        "bob of alice is not compared: held as flapping in one run at least",
    )
    (one,) = agreement.compared
    assert {told.node for pair in one.verdicts for told in pair} == {"carol", "zoe"}


def test_prices_that_do_not_arrive_in_the_end_are_named() -> None:
    real = lost_and_back()
    real.account.priced["bob", "alice"] = ENDED_S - 100
    assert only(compare(lost_and_back().killed(), real.killed())) == (
        "in the end only in the simulated run bob had fresh prices of alice"
    )


@pytest.mark.parametrize(("down_s", "is_compared"), [(40, True), (120, False)])
def test_prices_of_an_upstream_that_may_not_have_been_tried_again_are_not_compared(
    down_s: float, is_compared: bool
) -> None:
    def dried() -> Told:
        told = Told()
        told.account.story += [
            Happening(100, "upstream down", ("zoe",)),
            Happening(100 + down_s, "upstream well again", ("zoe",)),
        ]
        return told

    real = dried()
    real.account.priced["bob", "zoe"] = 100
    agreement = compare(dried().after(), real.after())
    assert bool(agreement.disagreements) is is_compared
    assert bool(agreement.notes) is not is_compared


def test_who_is_missing_in_the_end_is_named() -> None:
    real = lost_and_back()
    real.account.ended(290, "bob")
    first, *_ = compare(lost_and_back().killed(), real.killed()).disagreements
    assert first == "in the end ran alice, bob, carol, zoe simulated, alice, carol, zoe real"


def test_an_outage_that_lasts_is_compared_and_a_short_one_is_not() -> None:
    def with_outage(until_s: float) -> Account:
        told = lost_and_back()
        told.account.outage(85, "bob", active=True)
        told.account.outage(until_s, "bob", active=False)
        return told.killed()

    assert compare(lost_and_back().killed(), with_outage(95)).holds
    assert only(compare(lost_and_back().killed(), with_outage(164))) == (
        "lasting outages were told by nobody simulated, bob real"
    )


def test_stories_that_part_are_an_error_and_a_longer_one_is_told() -> None:
    killed = lost_and_back().killed()
    assert (
        "step 1 of the story: simulated killed alice, real left in order alice"
        in compare(killed, lost_and_back().killed(what="left in order")).disagreements
    )
    longer = lost_and_back().killed()
    longer.story.append(Happening(280, "frozen", ("alice",)))
    agreement = compare(killed, longer)
    assert agreement.holds
    assert agreement.notes == ("only the real run went on: frozen alice",)


def test_who_was_not_well_itself_is_not_asked() -> None:
    def with_bob_frozen() -> Account:
        told = lost_and_back().killed()
        told.story += [Happening(58, "frozen", ("bob",)), Happening(100, "thawed", ("bob",))]
        return told

    (one,) = compare(with_bob_frozen(), with_bob_frozen()).compared
    assert {told.node for pair in one.verdicts for told in pair} == {"carol", "zoe"}


def test_episodes_end_with_the_next_start_or_thaw_or_never() -> None:
    def spans(account: Account) -> Iterator[tuple[str, float, float]]:
        return ((e.kind, e.from_s, e.lasted_s) for e in episodes_of(account))

    assert list(spans(Told().killed())) == [("killed", DOWN_S, 100.0)]
    assert list(spans(Told().frozen(until_s=65))) == [("frozen", DOWN_S, 5.0)]
    assert list(spans(Told().after((DOWN_S, "killed")))) == [("killed", DOWN_S, float("inf"))]


def test_what_a_node_says_again_is_no_news_but_a_new_life_begins_anew() -> None:
    told = Told().account
    before = len(told.sightings)
    told.saw(10, "bob", "alice", "active")
    assert len(told.sightings) == before
    told.started(20, node("bob"))
    told.saw(21, "bob", "alice", "active")
    assert len(told.sightings) == before + 1


def test_changes_are_states_in_the_words_of_a_status() -> None:
    def state(fact: ProviderDiscovered | ProviderSuspected | ProviderLost) -> str | None:
        return state_after(provider_change(fact)[1])

    assert state(ProviderDiscovered("alice")) == "active"
    assert state(ProviderSuspected("alice", "silence", 15.0)) == "suspect"
    assert state(ProviderLost("alice", "silence", 30.0)) == "offline"
    assert state(ProviderLost("alice", "leaving", 0.0)) == "left"
