"""How the process ends while a camera's library has not returned from a call."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading, time
import ferd.__main__, ferd.cli.main
from ferd.sources.capture import CaptureThread
from ferd.sources.fake import FakeCamera, hang

def command():
    print("last words")
    if sys.argv[1] == "hung":
        CaptureThread(lambda: FakeCamera([hang(3600)]), lambda *_: None, lambda: None, "camera").start()
        threading.Timer(3600, print).start()  # what would wait at an ordinary end
    return 7

ferd.cli.main.main = command
sys.exit(ferd.__main__.main())
"""


def end_of(how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=60, check=False)


def test_it_leaves_at_once_and_loses_no_output() -> None:
    ended = end_of("hung")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "last words\n", "")


def test_without_a_hang_it_ends_as_usual() -> None:
    assert (end_of("well").returncode, end_of("well").stdout) == (7, "last words\n")
