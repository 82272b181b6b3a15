"""`meshnode simulate`, as a shell sees it."""

import json
from pathlib import Path

import pytest

from meshnode.__main__ import main
from simulations.scenario import names


@pytest.fixture(autouse=True)
def hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Else the command would start this very process anew, to fix it.
    monkeypatch.setenv("PYTHONHASHSEED", "0")


def test_without_a_scenario_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names())
    assert main(["simulate", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["scenarios"]) == len(names())


def test_a_run_is_told_and_its_page_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["simulate", "steady", "--nodes", "4", "--minutes", "0.2", "--seed", "5"]
    assert main([*arguments, "--report", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "verdict   every rule held" in told.out
    page = tmp_path / "out" / "steady-4-5.html"
    assert str(page) in told.err
    assert page.read_text().startswith("<!doctype html>")


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "steady", "--nodes", "4", "--minutes", "0.2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_a_broken_rule_is_exit_code_1_with_its_replay(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "mute.py"
    file.write_text(
        '"""Gossip that goes nowhere."""\n\n\nasync def play(stage):\n'
        "    await stage.grow(providers=1)\n    await stage.wait(40)\n"
        "    stage.world.network.muted.add(stage.nodes[0].peer_id)\n"
        "    await stage.play_out()\n"
    )
    assert main(["simulate", str(file), "--nodes", "3", "--minutes", "1.5"]) == 1
    text = capsys.readouterr().out
    assert "never came" in text
    assert f"replay    meshnode simulate {file} --nodes 3 --seed 1" in text


def test_seeds_that_fail_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        '"""Seed 2 is a bad one."""\n\n\nasync def play(stage):\n'
        "    if stage.rng.random() == __import__('random').Random('scenario 2').random():\n"
        "        raise ZeroDivisionError('seed two')\n"
        "    await stage.grow(providers=1)\n"
    )
    arguments = ["simulate", str(file), "--nodes", "3", "--minutes", "0.1", "--seeds", "1..3"]
    assert main(arguments) == 1
    text = capsys.readouterr().out
    assert "seed 2: meshnode simulate" in text
    assert "2 of 3 seeds hold" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["staedy"], "did you mean steady"),
        (["steady", "--nodes", "1"], "from 2 to"),
        (["liars", "--nodes", "5"], "needs 6 and more"),
        (["steady", "--seeds", "9..1"], "lower number first"),
        (["steady", "--seeds", "many"], "such as 1..200"),
        (["freeze", "--stack", "processes", "--seeds", "1..3"], "--seeds is for simulated runs"),
        (["freeze", "--stack", "processes", "--report", "out"], "--report is for simulated runs"),
        (["freeze", "--stack", "processes", "--nodes", "31"], "30 at most"),
        (["partition", "--stack", "processes"], "such as freeze, provider-loss and restart"),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["simulate", *arguments]) == 2
    assert said in capsys.readouterr().err
