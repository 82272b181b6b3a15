"""Scenarios as files: what they may say, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from meshnode.errors import ConfigError
from simulations.runner import Setup, simulate
from simulations.scenario import load, names

STORY = """
summary = "a consumer dies and comes back, a provider stands still"
nodes = 5
providers = 2
minutes = 1.5

[[step]]
at_s = 40
do = "start"
nodes = ["n4"]

[[step]]
at_s = 20
do = "kill"
nodes = ["n4"]

[[step]]
at_s = 25
do = "freeze"
nodes = "providers"
share = 0.5

[[step]]
at_s = 30
do = "thaw"
nodes = ["all"]
"""


def test_a_script_is_played_in_the_order_of_its_times(tmp_path: Path) -> None:
    file = tmp_path / "story.toml"
    file.write_text(STORY)
    scenario = load(str(file))
    assert (scenario.nodes, scenario.minutes) == (5, 1.5)
    outcome = simulate(Setup(scenario, scenario.nodes, 1, scenario.minutes))
    assert outcome.holds
    told = [(round(h.at_s), h.what, h.nodes) for h in outcome.story[1:5]]
    assert [(at_s, what) for at_s, what, _ in told] == [
        (20, "killed"),
        (25, "frozen"),
        (30, "thawed"),
        (40, "started"),
    ]
    assert told[0][2] == ("n4",)
    assert len(told[1][2]) == 1


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('at_s = 1\ndo = "kil"', "none of kill"),
        ('do = "kill"', "at_s"),
        ('at_s = -1\ndo = "kill"', "at_s = -1"),
        ('at_s = 1\ndo = "kill"\nnodes = ["n9"]', "there is no 'n9'"),
        ('at_s = 1\ndo = "cut"\nnodes = ["n1"]', "takes two nodes"),
        ('at_s = 1\ndo = "kill"\nnode = ["n1"]', "did you mean nodes"),
    ],
)
def test_a_step_that_is_wrong_is_told_with_its_remedy(tmp_path: Path, step: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(f"nodes = 5\n[[step]]\n{step}\n")
    with pytest.raises(ConfigError, match=said) as error:
        load(str(file))
    assert "step 1" in str(error.value)


def test_a_scenario_in_python(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        '"""Mine."""\nNODES, MINUTES = 3, 0.5\n\n\nasync def play(stage):\n'
        "    await stage.grow(providers=1)\n    await stage.play_out()\n"
    )
    scenario = load(str(file))
    assert (scenario.summary, scenario.nodes) == ("Mine.", 3)
    assert simulate(Setup(scenario, 3, 1, 0.5)).holds


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("staedy", "did you mean steady"),
        ("xyz", "meshnode simulate lists them"),
        ("no.py", "there is no file"),
        ("no.toml", "No such file"),
    ],
)
def test_what_is_no_scenario(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(name)


def test_every_scenario_says_what_it_is() -> None:
    for name in names():
        scenario = load(name)
        assert scenario.name == name
        assert scenario.summary.endswith(".")
