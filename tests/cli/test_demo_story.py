"""What the demo claims, it has seen: the judgement and the figures, without a process."""

import pytest

from meshnode.cli.demo.play import pace
from meshnode.cli.demo.story import NEWCOMER, PROVIDER, Joined, Step, Story
from meshnode.cli.demo.summary import measure, percentile, summary_lines
from tests.cli.demo_evidence import (
    CONNECTED_MS,
    IDS,
    KILLED_MS,
    answer,
    at_ns,
    bring_back,
    event,
    flow,
    join,
    lose,
    provider,
    update,
    whole_story,
)


def test_a_story_of_which_everything_was_seen_misses_nothing() -> None:
    assert whole_story().missing() == ()


def test_nothing_seen_is_everything_missing() -> None:
    assert Story().missing() == tuple(Step)


def test_prices_that_do_not_move_are_no_flow() -> None:
    story = Story()
    for name, node_id in IDS.items():
        story.ready(name, node_id, at_ns(0))
    for name in ("bob", "carol"):
        update(story, name, 1000)
    assert not story.has(Step.FLOW)


def test_prices_of_another_provider_are_not_hers() -> None:
    story = Story()
    flow(story)
    before = story.views["bob"].updates
    story.names.pop(IDS[PROVIDER])
    assert update(story, "bob", 2000) == []
    assert story.views["bob"].updates == before


@pytest.mark.parametrize("ages_s", [(), (3,), (3, 3)])
def test_a_price_must_be_seen_to_age_in_the_cache(ages_s: tuple[int, ...]) -> None:
    story = Story()
    flow(story)
    lose(story, ages_s=ages_s)
    assert story.missing() == (Step.LOSS, Step.RETURN, Step.JOIN)


def test_a_loss_without_a_warning_is_not_what_was_promised() -> None:
    story = Story()
    flow(story)
    lose(story, warned=False)
    assert not story.has(Step.LOSS)


def test_both_consumers_must_notice() -> None:
    story = whole_story()
    story.views["carol"].lost_ns = None
    assert story.missing() == (Step.LOSS,)


def test_a_loss_before_the_kill_does_not_count() -> None:
    story = Story()
    flow(story)
    story.killed_ns = at_ns(KILLED_MS)
    assert provider(story, "bob", KILLED_MS - 1, change="lost", cause="connection") == []
    assert story.views["bob"].lost_ns is None


def test_a_provider_taken_for_a_new_one_has_not_returned() -> None:
    story = Story()
    flow(story)
    lose(story)
    bring_back(story, change="new")
    assert not story.has(Step.RETURN)


def test_one_that_comes_back_under_another_id_has_not_returned() -> None:
    story = Story()
    flow(story)
    lose(story)
    bring_back(story, node_id="12D3KooWmallory")
    assert not story.has(Step.RETURN)


def test_a_price_from_before_the_loss_is_not_fresh_again() -> None:
    story = Story()
    flow(story)
    lose(story)
    assert update(story, "bob", KILLED_MS - 50) == []
    assert story.views["bob"].fresh_ns is None
    assert update(story, "bob", KILLED_MS + 5000) == ["fresh"]


@pytest.mark.parametrize("neighbours", [(), ("alice", "carol"), ("bob",)])
def test_what_came_from_the_provider_itself_was_not_relayed(neighbours: tuple[str, ...]) -> None:
    story = Story()
    flow(story)
    lose(story)
    bring_back(story)
    join(story, neighbours=neighbours)
    assert story.missing() == (Step.JOIN,)


def test_a_newcomer_must_have_every_price() -> None:
    story = whole_story()
    other = answer(observed_ms=1, received_ms=2)
    story.views["carol"].served["ETHUSDT"] = other, 1.0
    assert not story.newcomer_has_every_price()
    assert story.missing() == (Step.JOIN,)
    assert not Story().newcomer_has_every_price()


def test_between_updates_means_that_all_have_the_same_newest() -> None:
    story = Story()
    assert not story.is_between_updates()
    flow(story)
    assert story.is_between_updates()
    update(story, "bob", 2000)
    assert not story.is_between_updates()
    update(story, "carol", 2000)
    assert story.is_between_updates()


def test_the_figures_are_those_that_were_measured() -> None:
    figures = measure(whole_story())
    assert figures.updates == {"bob": 5, "carol": 5, "dave": 3}
    assert (figures.journey_p50_us, figures.journey_p99_us) == (3000, 6000)
    assert (figures.trade_to_price_p50_ms, figures.trade_to_price_p99_ms) == (5, 8)
    assert figures.noticed_ms == {"bob": 200, "carol": 300}
    assert figures.cached_ms == {"bob": 9955, "carol": 9855}
    assert figures.recovered_ms == {"bob": 155, "carol": 155}
    assert figures.joined_ms == 42


def test_of_a_story_that_broke_off_only_what_was_seen_has_figures() -> None:
    story = Story()
    flow(story)
    figures = measure(story)
    assert figures.noticed_ms == figures.recovered_ms == {"bob": None, "carol": None}
    assert figures.joined_ms is None
    assert measure(Story()).journey_p99_us is None


def test_the_summary_says_what_was_seen_and_nothing_else() -> None:
    story = Story()
    flow(story)
    lose(story)
    text = "\n".join(summary_lines(story, measure(story), "/tmp/logs"))
    assert "Noticed after 200 ms (bob), 300 ms (carol)" in text
    assert "What did not happen" in text
    assert Step.JOIN.value.split(",")[0] in text
    assert "same key" not in text
    assert "Try it" not in text
    assert "/tmp/logs" in text


def test_the_summary_fits_a_terminal() -> None:
    story = whole_story()
    lines = summary_lines(story, measure(story), None)
    assert max(map(len, lines)) <= 79
    assert not any("did not happen" in line for line in lines)
    assert any("--source" in line for line in lines)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([], 50) is None
    assert percentile([7], 1) == 7
    assert percentile(range(1, 101), 50) == 50
    assert percentile(range(1, 101), 99) == 99
    assert percentile([3, 1, 2], 100) == 3


def test_the_time_is_divided_and_never_too_short_to_be_seen() -> None:
    paced = pace(34)
    assert paced.flow_s + paced.cached_s + paced.back_s + paced.joined_s == pytest.approx(28)
    hurried = pace(-3)
    assert min(hurried.flow_s, hurried.cached_s, hurried.back_s, hurried.joined_s) >= 1


def test_rows_count_ages_on_and_forget_old_updates_in_the_rate() -> None:
    story = Story()
    flow(story)
    (bob, carol) = story.rows(1.5)
    assert (bob.node, bob.asset, bob.provider, bob.updates_per_s) == ("bob", "BTCUSDT", "alice", 1)
    later = story.rows(61.3)[0]
    assert (later.age_s, later.updates_per_s) == (60, 0)
    assert carol.node == "carol"


def test_events_of_no_interest_are_passed_over() -> None:
    story = Story()
    assert story.told("bob", event("heartbeat", 1, {"uptime_s": 1}), 1.0) == []
    assert story.told("bob", event("warning", 1, {"warnings": None}), 1.0) == []
    assert Joined(at_ns(CONNECTED_MS), at_ns(CONNECTED_MS + 3)).took_ms == 3
    assert story.views[NEWCOMER].newest is None
