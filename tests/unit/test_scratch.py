"""Temporary folders, in real processes that are interrupted and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ferd import scratch
from ferd.scratch import scratch_folder

CHILD = """
import sys, time
from ferd.scratch import scratch_folder
with scratch_folder("add") as folder:
    (folder / "big").write_text("x")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


HEARS_SIGNALS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
"""Tests that run in the background of a shell, or under nohup, inherit that these are ignored."""


def start(folder: Path, code: str = CHILD) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HEARS_SIGNALS + code],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def age(folder: Path) -> None:
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))


def test_it_is_removed_at_the_end_and_after_an_error(tmp: Path):
    with scratch_folder("add") as folder:
        (folder / "a").mkdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(OSError, match="full"), scratch_folder("add"):
        raise OSError(28, "full")
    assert left(tmp) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -2)])
def test_a_signal_leaves_nothing(tmp: Path, number: signal.Signals, code: int):
    with start(tmp) as child:
        assert len(left(tmp)) == 1
        child.send_signal(number)
        assert child.wait(60) == code
    assert left(tmp) == []


def test_the_next_one_removes_what_a_killed_process_left(tmp: Path):
    with start(tmp) as child:
        child.kill()
        child.wait(60)
    (orphan,) = tmp.iterdir()
    with scratch_folder("teach"):
        assert orphan.exists(), "it may be that of a process that has not locked it yet"
    age(orphan)
    with scratch_folder("teach"):
        assert not orphan.exists()


def test_a_folder_in_use_stays_however_old(tmp: Path):
    with start(tmp) as child:
        (used,) = tmp.iterdir()
        age(used)
        with scratch_folder("add"):
            assert (used / "big").exists()
        child.terminate()
        child.wait(60)


def test_nothing_else_is_removed(tmp: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp / "mine").mkdir()
    (tmp / "ferd-add-abcdefgh").symlink_to(tmp / "mine")
    for name in ("ferd-teach-othersid", "ferd-gpio-abcdefgh", "ferd-add-other.name"):
        (tmp / name).mkdir()
        age(tmp / name)
    (tmp / "ferd-teach-file0000").touch()
    age(tmp / "ferd-teach-file0000")
    monkeypatch.setattr(scratch.os, "geteuid", lambda: 12345)
    before = left(tmp)
    with scratch_folder("add"):
        pass
    assert left(tmp) == before
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp))
    with scratch_folder("add"):
        pass
    # Of the same user, only what has the name of a scratch folder, and is one.
    assert set(before) - set(left(tmp)) == {"ferd-teach-othersid"}


def test_handlers_of_the_program_stay(tmp: Path):
    """The daemon has its own; afterwards the former ones are back."""
    code = """
import os, signal, time
from ferd.scratch import scratch_folder
caught = []
signal.signal(signal.SIGTERM, lambda *_: caught.append(1))
with scratch_folder("add"):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
assert caught == [1]
assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
print("ready", flush=True)
"""
    with start(tmp, code) as child:
        assert child.wait(60) == 0
    assert left(tmp) == []
