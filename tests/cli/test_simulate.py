"""`meshnode simulate`, as a shell sees it."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshnode.__main__ import main
from meshnode.cli.ticker import Ticker
from simulations.runner import Progress
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
    page = tmp_path / "out" / "steady-model-4-nodes-0.2-min-seed-5.html"
    assert str(page) in told.err
    assert page.read_text().startswith("<!doctype html>")


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "steady", "--nodes", "4", "--minutes", "0.2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_a_broken_rule_is_exit_code_1_with_its_replay(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "mute.py"
    file.write_text(BROKEN_RULE)
    assert main(["simulate", str(file), "--nodes", "3", "--minutes", "1.5"]) == 1
    text = capsys.readouterr().out
    assert "never came" in text
    assert f"replay    meshnode simulate {file} --nodes 3 --seed 1" in text


BROKEN_RULE = (
    '"""Gossip that goes nowhere."""\n\n\nasync def play(stage):\n'
    "    await stage.grow(providers=1)\n    await stage.wait(40)\n"
    "    stage.world.network.muted.add(stage.nodes[0].peer_id)\n"
    "    await stage.play_out()\n"
)


@pytest.mark.parametrize(
    "closed", ["| true", "2>&1 | true", ">&-", "2>&-", ">&- 2>&-", ">/dev/full"]
)
def test_who_does_not_listen_changes_no_verdict(tmp_path: Path, closed: str) -> None:
    (tmp_path / "mute.py").write_text(BROKEN_RULE)
    command = f"{sys.executable} -m meshnode simulate mute.py --nodes 3 --minutes 1.5 --report ."
    script = f"{command} {closed}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, check=False, capture_output=True)
    assert ended.returncode == 1
    assert ended.stderr == b"" or b"Traceback" not in ended.stderr
    if closed != ">/dev/full":  # where the output is lost, that is the error
        assert list(tmp_path.glob("mute-py-*.html"))


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_lists_what_was_found_by_then(tmp_path: Path) -> None:
    (tmp_path / "mute.py").write_text(
        BROKEN_RULE.replace("    await stage.grow", "    await stage.wait(0)\n    await stage.grow")
    )
    about = ["--nodes", "3", "--minutes", "1.5", "--seeds", "1..1000000"]
    command = [sys.executable, "-m", "meshnode", "simulate", "mute.py", *about]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "FAILS" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        try:
            told, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "replay" not in told
    assert "meshnode simulate mute.py --nodes 3 --seed" in told
    assert "  trace " in told
    assert "0 of " in told


def test_a_line_of_progress_fits_and_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = io.StringIO()
    with Ticker(terminal, is_terminal=True) as ticker:
        ticker.tell(Progress(60.0, 600.0, 0.1, 5, 0))  # too soon
        assert terminal.getvalue() == ""
        ticker.tell(Progress(60.0, 600.0, 1.0, 1234, 1))
    line, end = terminal.getvalue().split("\r\x1b[K")[1:]
    assert line.startswith("  1.0 of 10.0 virtual minutes in 1 s, 1")
    assert len(line) == 39
    assert end == ""


def test_progress_in_a_file_is_a_line_now_and_then() -> None:
    file = io.StringIO()
    with Ticker(file, is_terminal=False) as ticker:
        for real_s in (1.0, 9.0, 11.0, 12.0):
            ticker.tell(Progress(60.0, 600.0, real_s, 5, 1))
    (line,) = file.getvalue().splitlines()
    assert line.endswith("in 11 s, 5 messages accepted, 1 violation")


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
        (["steady", "--seeds", "1..3000000"], "1000000 at most"),
        (["steady", "--seeds", "1..3", "--seed", "7"], "leave out --seeds, or --seed"),
        (["steady", "--seeds", "1..3", "--report", "out"], "--report is for one run"),
        (["steady", "--nodes", "0"], "from 2 to"),
        (["steady", "--nodes", "5.5"], "5.5 is no whole number"),
        (["steady", "--minutes", "inf"], "write a number up to"),
        (["steady", "--report", "/dev/null"], "--report /dev/null"),
        (["steady", "--report", "/proc/out"], "--report /proc/out"),
        (["--seeds", "1..3"], "name one; meshnode simulate lists them"),
        (["--nodes", "5"], "name one; meshnode simulate lists them"),
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
