"""Scenarios as files: what they may say, and what is said of those that are wrong."""

import re
from pathlib import Path

import pytest

from meshnode.errors import ConfigError
from simulations.own_module import ScenarioFailed
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
        ('do = "kill"', "at_s is missing; write at_s = 60"),
        ('at_s = -1\ndo = "kill"', "at_s = -1"),
        ('at_s = nan\ndo = "kill"', "at_s = nan"),
        ('at_s = 1\ndo = "kill"\nnodes = ["nine"]', "there is no 'nine'"),
        ('at_s = 1\ndo = "kill"\nnodes = []', "is nobody"),
        ('at_s = 1\ndo = "kill"\nshare = 5', "write one up to 1"),
        ('at_s = 1\ndo = "kill"\nshare = 0', "write one up to 1"),
        ('at_s = 1\ndo = "cut"\nnodes = ["n1"]', "takes two nodes"),
        ('at_s = 1\ndo = "cut"\nnodes = ["n1", "n1"]', "takes two nodes"),
        ('at_s = 1\ndo = "cut"\nnodes = ["n1", "n2"]\nshare = 0.5', "takes two nodes"),
        ('at_s = 1\ndo = "clock"', "clock takes off_s"),
        ('at_s = 1\ndo = "clock"\noff_s = inf', "off_s = inf"),
        ('at_s = 1\ndo = "kill"\nnode = ["n1"]', "did you mean nodes"),
    ],
)
def test_a_step_that_is_wrong_is_told_with_its_remedy(tmp_path: Path, step: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(f"nodes = 5\n[[step]]\n{step}\n")
    with pytest.raises(ConfigError, match=said) as error:
        load(str(file))
    assert "step 1" in str(error.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nodes = 5.5", "nodes = 5.5 is no whole number"),
        ("providers = 1.5", "providers = 1.5 is no whole number"),
        ("minutes = 0", "minutes = 0 is no time"),
        ("minutes = inf", "minutes = inf"),
    ],
)
def test_a_figure_that_is_wrong_is_told(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(line)
    with pytest.raises(ConfigError, match=said):
        load(str(file))


@pytest.mark.parametrize(
    ("nodes", "minutes", "said"),
    [
        (4, 1.5, r"step 1: there is no 'n4'; with 4 nodes there are .* n0 to n3"),
        (5, 0.5, r"step 1: at_s = 40 is after the run's end, 30 s"),
    ],
)
def test_a_script_is_not_played_where_steps_would_come_to_nothing(
    tmp_path: Path, nodes: int, minutes: float, said: str
) -> None:
    file = tmp_path / "story.toml"
    file.write_text(STORY)
    with pytest.raises(ConfigError, match=said):
        Setup(load(str(file)), nodes, 1, minutes)


def test_a_scenario_in_python(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        '"""Mine."""\nNODES, MINUTES = 3, 0.5\n\n\nasync def play(stage):\n'
        "    await stage.grow(providers=1)\n    await stage.play_out()\n"
    )
    scenario = load(str(file))
    assert (scenario.summary, scenario.nodes) == ("Mine.", 3)
    assert simulate(Setup(scenario, 3, 1, 0.5)).holds


PLAY = "async def play(stage):\n    "


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def play(stage): pass", "has no `async def play"),
        ("play = 5", "has no `async def play"),
        ("x = 1\ny = nope", "mine.py, line 2: NameError: name 'nope'"),
        ("x = = 1", "mine.py, line 1: invalid syntax"),
        ("import nowhere", "mine.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        (f'NODES = "20"\n{PLAY}pass', "NODES = '20' is no whole number"),
        (f'MINUTES = "2"\n{PLAY}pass', "MINUTES = '2' is no number"),
    ],
)
def test_a_scenario_in_python_that_is_wrong_is_told_with_its_line(
    tmp_path: Path, code: str, said: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(str(file))


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("raise ZeroDivisionError", r"mine.py, line 3: ZeroDivisionError$"),
        ("await stage.kill(stage.size)", r"line 3: TypeError: .* \(stage.py, line [0-9]+\)$"),
        ("raise ExceptionGroup('two', [KeyError(1)])", r"line 3: KeyError: 1$"),
        ("stage.break_disk(None, 'fulll')", r"line 3: ValueError: a disk is full, gone, slow, not"),
        ("stage.lie(None, 1.5)", r"line 3: TypeError: write Decimal\('1.5'\)"),
        ("stage.nod", r"line 3: AttributeError: .*nod"),
    ],
)
def test_what_a_users_scenario_raises_is_told_with_its_line(
    tmp_path: Path, deed: str, said: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f'""" """\n{PLAY}{deed}')
    scenario = load(str(file))
    assert scenario.summary == "mine.py"
    with pytest.RaisesGroup(ScenarioFailed, flatten_subgroups=True) as raised:
        simulate(Setup(scenario, 3, 1, 0.5))
    (error,) = raised.value.exceptions
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert re.search(said, str(error))


def test_what_a_scenario_refuses_itself_stays_as_it_says(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"{PLAY}await stage.grow(providers=5)")
    with pytest.RaisesGroup(
        pytest.RaisesExc(ConfigError, match="needs 6 and more"), flatten_subgroups=True
    ):
        simulate(Setup(load(str(file)), 3, 1, 0.5))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("staedy", "did you mean steady"),
        ("xyz", "meshnode simulate lists them"),
        ("/tmp/steady", "is no file that ends in .py or .toml"),
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
