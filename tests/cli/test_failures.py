import errno
import json
import os
import sys

import pytest

from meshnode.cli.failures import report
from meshnode.errors import ConfigError, DataDirInUse, MeshnodeError, PeerUnreachable, QueryRefused
from protocols.errors import Malformed


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (MeshnodeError("x"), "meshnode_error", 1),
        (ConfigError("x"), "config_error", 2),
        (PeerUnreachable("x"), "peer_unreachable", 3),
        (DataDirInUse("x"), "data_dir_in_use", 1),
        (QueryRefused("rate_limited", "x"), "rate_limited", 1),
        (Malformed("x"), "bad_reply", 1),
        (OSError(errno.ENOSPC, "x"), "output_lost", 1),
    ],
)
def test_each_error_has_a_code_and_an_exit_code(
    error: Exception, code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error, as_json=True) == exit_code
    assert json.loads(capsys.readouterr().err)["error"]["code"] == code


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF])
def test_an_output_that_takes_nothing_is_told_and_another_such_file_is_a_bug(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags, is_lost in ((os.O_RDONLY, True), (os.O_WRONLY, False)):
        with open(os.open(os.devnull, flags), "w") as output:
            monkeypatch.setattr(sys, "stdout", output)
            if is_lost:
                assert report(OSError(number, "x"), as_json=True) == 1
                assert json.loads(capsys.readouterr().err)["error"]["code"] == "output_lost"
                continue
            with pytest.raises(OSError, match="x"):
                report(OSError(number, "x"), as_json=True)


def test_an_error_is_one_line_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    report(ConfigError("first \x1b[2J\nsecond"), as_json=False)
    assert capsys.readouterr().err == "error: first \\x1b[2J\n       second\n"


def test_errors_out_of_a_nursery_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("nursery", [ExceptionGroup("nursery", [PeerUnreachable("bob is gone")])])
    assert report(group, as_json=False) == 3
    assert capsys.readouterr().err == "error: bob is gone\n"


def test_an_interrupt_wins_and_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("nursery", [PeerUnreachable("bob"), KeyboardInterrupt()])
    assert report(group, as_json=False) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        report(ZeroDivisionError(), as_json=False)
    group = ExceptionGroup("nursery", [PeerUnreachable("bob"), ZeroDivisionError()])
    with pytest.raises(ExceptionGroup):
        report(group, as_json=False)
    with pytest.raises(ImportError):
        report(ImportError("a bug of ours", name="meshnode.core"), as_json=False)


def test_a_missing_library_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    error = ImportError("libgmp.so.10: cannot open shared object file", name="fastecdsa.curve")
    assert report(error, as_json=False) == 1
    text = capsys.readouterr().err
    assert "libgmp.so.10" in text
    assert "apt-get install build-essential python3-dev python3-venv libgmp-dev" in text
